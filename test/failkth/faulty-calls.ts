/**
 * Counts every call of the storage layer into its ports, and lets one fail: the disk's, its files', the bases'.
 *
 * F1. A call that fails with an error has done nothing, or, for a write, some first part; a crash comes before the call,
 *     or behind it (of a write: within).
 */
import { HoldfastError } from "../../lib/base/errors.js";
import type { Disk, DiskFile } from "../../lib/log/disk.js";
import type { BaseWriter } from "../../lib/store/base.js";
import { SimulatedCrash } from "../simulation/sim-disk.js";

/** How a call fails. `short`: a write gets half of its bytes done, then an error. */
export const faultKinds = ["EIO", "ENOSPC", "short", "crash before", "crash behind"] as const;
export type FaultKind = (typeof faultKinds)[number];

export interface Fault {
  /** The call that fails, from 1. */
  readonly call: number;
  readonly kind: FaultKind;
}

type Doing = "look" | "read" | "write" | "sync" | "change";

export class FaultyCalls {
  /** Calls so far. */
  calls = 0;
  /** What the call that failed was. */
  failed: string | undefined;
  readonly #fault: Fault | undefined;

  constructor(fault: Fault | undefined) {
    this.#fault = fault;
  }

  /** Makes one call; `part` is a part of what it does. */
  call<T>(name: string, doing: Doing, action: () => T, part?: () => void): T {
    this.calls++;
    const { call, kind } = this.#fault ?? {};
    if (this.calls !== call) return action();
    this.failed = name;
    switch (kind) {
      case "crash before":
        throw new SimulatedCrash();
      case "crash behind":
        if (part === undefined) action();
        else part();
        throw new SimulatedCrash();
      case "short":
        if (doing === "write") part?.();
        throw diskError("EIO", name);
      case "ENOSPC":
        if (doing !== "write" && doing !== "change") return action(); // needs no space
        throw diskError("ENOSPC", name);
      default:
        throw diskError("EIO", name);
    }
  }
}

export class FaultyDisk implements Disk {
  readonly #disk: Disk;
  readonly #calls: FaultyCalls;

  constructor(disk: Disk, calls: FaultyCalls) {
    this.#disk = disk;
    this.#calls = calls;
  }

  mkdir(path: string): void {
    this.#calls.call(`mkdir ${path}`, "change", () => this.#disk.mkdir(path));
  }

  list(path: string): string[] {
    return this.#calls.call(`list ${path}`, "look", () => this.#disk.list(path));
  }

  /** Cannot fail: it answers no when it cannot look. */
  exists(path: string): boolean {
    return this.#disk.exists(path);
  }

  open(path: string, how: "existing" | "create"): DiskFile {
    const doing = how === "create" ? "change" : "look";
    const file = this.#calls.call(`${how === "create" ? "create" : "open"} ${path}`, doing, () =>
      this.#disk.open(path, how),
    );
    return new FaultyFile(file, this.#calls);
  }

  readFile(path: string): Uint8Array {
    return this.#calls.call(`read ${path}`, "read", () => this.#disk.readFile(path));
  }

  rename(from: string, to: string): void {
    this.#calls.call(`rename ${from} to ${to}`, "change", () => this.#disk.rename(from, to));
  }

  remove(path: string): void {
    this.#calls.call(`remove ${path}`, "look", () => this.#disk.remove(path));
  }

  syncDirectory(path: string): void {
    this.#calls.call(`sync directory ${path}`, "sync", () => this.#disk.syncDirectory(path));
  }
}

class FaultyFile implements DiskFile {
  readonly #file: DiskFile;
  readonly #calls: FaultyCalls;

  constructor(file: DiskFile, calls: FaultyCalls) {
    this.#file = file;
    this.#calls = calls;
  }

  get path(): string {
    return this.#file.path;
  }

  size(): number {
    return this.#calls.call(`size of ${this.path}`, "look", () => this.#file.size());
  }

  read(into: Uint8Array, position: number): number {
    return this.#calls.call(`read ${this.path}`, "read", () => this.#file.read(into, position));
  }

  write(bytes: Uint8Array, position: number): void {
    const half = bytes.subarray(0, bytes.length >>> 1);
    this.#calls.call(
      `write ${this.path}`,
      "write",
      () => this.#file.write(bytes, position),
      () => this.#file.write(half, position),
    );
  }

  datasync(): void {
    this.#calls.call(`sync ${this.path}`, "sync", () => this.#file.datasync());
  }

  close(): void {
    this.#calls.call(`close ${this.path}`, "look", () => this.#file.close());
  }
}

/** A base whose calls may fail; an `apply` that fails has applied nothing, as it is one transaction. */
export function faultyBase(base: BaseWriter, path: string, calls: FaultyCalls): BaseWriter {
  return {
    get epoch() {
      return base.epoch;
    },
    apply: (rows, epoch) => calls.call(`apply to base ${path}`, "write", () => base.apply(rows, epoch)),
    sync: () => calls.call(`sync base ${path}`, "sync", () => base.sync()),
    scan: (from, to) => calls.call(`scan base ${path}`, "read", () => base.scan(from, to)),
    close: () => calls.call(`close base ${path}`, "look", () => base.close()),
  };
}

function diskError(code: "EIO" | "ENOSPC", doing: string): HoldfastError {
  return code === "ENOSPC"
    ? new HoldfastError("HF_DISK_FULL", `no space left (${code}) to ${doing}`)
    : new HoldfastError("HF_IO", `cannot ${doing} (${code})`);
}
