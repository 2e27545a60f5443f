/**
 * The disk port over `node:fs`. Synchronous calls only: nothing on the commit path may wait for the libuv pool, which
 * other people's `fs` and DNS calls can fill.
 */
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { HoldfastError } from "../base/errors.js";
import type { Disk, DiskFile } from "./disk.js";

/** The real file system. Stateless. */
export class NodeDisk implements Disk {
  mkdir(path: string): void {
    attempt("create directory", path, () => mkdirSync(path, { recursive: true }));
  }

  list(path: string): string[] {
    return attempt("list", path, () => {
      try {
        return readdirSync(path).sort();
      } catch (error) {
        if (systemCode(error) === "ENOENT") return [];
        throw error;
      }
    });
  }

  exists(path: string): boolean {
    return existsSync(path);
  }

  open(path: string, how: "existing" | "create"): DiskFile {
    const descriptor = attempt("open", path, () => openSync(path, how === "create" ? "w+" : "r+"));
    return new NodeFile(path, descriptor);
  }

  readFile(path: string): Uint8Array {
    // Not fs.readFileSync: small results of that one are views of a pool that others share.
    const file = new NodeFile(
      path,
      attempt("open", path, () => openSync(path, "r")),
    );
    try {
      const { buffer, length } = Buffer.allocUnsafeSlow(file.size()); // a buffer of its own, not filled twice
      const bytes = new Uint8Array(buffer, 0, length);
      return bytes.subarray(0, file.read(bytes, 0));
    } finally {
      file.close();
    }
  }

  rename(from: string, to: string): void {
    attempt("rename", from, () => renameSync(from, to));
  }

  remove(path: string): void {
    attempt("remove", path, () => rmSync(path, { recursive: true }));
  }

  syncDirectory(path: string): void {
    if (process.platform === "win32") return; // a directory cannot be opened there, and its journal keeps the order
    attempt("sync directory", path, () => {
      const descriptor = openSync(path, "r");
      try {
        fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    });
  }
}

class NodeFile implements DiskFile {
  readonly path: string;
  readonly #descriptor: number;

  constructor(path: string, descriptor: number) {
    this.path = path;
    this.#descriptor = descriptor;
  }

  size(): number {
    return attempt("stat", this.path, () => fstatSync(this.#descriptor).size);
  }

  read(into: Uint8Array, position: number): number {
    try {
      let done = 0;
      while (done < into.length) {
        const count = readSync(this.#descriptor, into, done, into.length - done, position + done);
        if (count === 0) break;
        done += count;
      }
      return done;
    } catch (error) {
      throw diskError("read", this.path, error);
    }
  }

  write(bytes: Uint8Array, position: number): void {
    try {
      // A short write is no error yet: the reason comes with the next one.
      for (let done = 0; done < bytes.length; ) {
        const count = writeSync(this.#descriptor, bytes, done, bytes.length - done, position + done);
        if (count === 0) throw new Error("the system wrote nothing and gave no reason");
        done += count;
      }
    } catch (error) {
      throw diskError("write", this.path, error);
    }
  }

  datasync(): void {
    try {
      fdatasyncSync(this.#descriptor);
    } catch (error) {
      throw diskError("sync", this.path, error);
    }
  }

  close(): void {
    attempt("close", this.path, () => closeSync(this.#descriptor));
  }
}

function attempt<T>(doing: string, path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    throw diskError(doing, path, error);
  }
}

/** What a failed system call becomes: `HF_DISK_FULL` for no space, `HF_IO` otherwise. */
export function diskError(doing: string, path: string, cause: unknown): HoldfastError {
  const code = systemCode(cause) ?? (cause instanceof Error ? cause.message : String(cause));
  return code === "ENOSPC" || code === "EDQUOT"
    ? new HoldfastError("HF_DISK_FULL", `no space left (${code}) to ${doing} ${path}: free some space`, { cause })
    : new HoldfastError("HF_IO", `cannot ${doing} ${path} (${code})`, { cause });
}

function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : undefined;
}
