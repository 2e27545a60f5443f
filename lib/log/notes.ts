/**
 * Short texts beside the data that say what was going on when a thread or the process died.
 *
 * They have to outlive the process, not the machine: nothing is synced, so that a note costs a write into the page cache.
 * They are evidence, not state: a note that could not be written, or that a power loss tore, is as good as none.
 */
import { isHoldfastError } from "../base/errors.js";
import type { Disk, DiskFile } from "./disk.js";

/** Notes by name. No call throws for what the disk does. */
export interface Notes {
  read(name: string): string | undefined;
  /** Replaces the note of this name. */
  write(name: string, text: string): void;
  remove(name: string): void;
}

const lengthDigits = 8;

/**
 * Notes as files of one directory. A file is written in place and does not shrink, so that its text begins with its length.
 *
 * Owner and thread: whoever made it. Two threads never write notes of the same name.
 */
export class DiskNotes implements Notes {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #files = new Map<string, DiskFile>();

  constructor(disk: Disk, directory: string) {
    this.#disk = disk;
    this.#directory = directory;
  }

  read(name: string): string | undefined {
    const path = this.#path(name);
    return orNothing(() => {
      if (!this.#disk.exists(path)) return undefined;
      const text = Buffer.from(this.#disk.readFile(path)).toString("utf8");
      const length = Number.parseInt(text.slice(0, lengthDigits), 16);
      const note = text.slice(lengthDigits, lengthDigits + length);
      return note.length === length ? note : undefined; // NaN is not equal to anything
    });
  }

  write(name: string, text: string): void {
    orNothing(() => {
      const bytes = Buffer.from(text.length.toString(16).padStart(lengthDigits, "0") + text, "utf8");
      this.#open(name).write(bytes, 0);
    });
  }

  remove(name: string): void {
    orNothing(() => {
      this.#files.get(name)?.close();
      this.#files.delete(name);
      const path = this.#path(name);
      if (this.#disk.exists(path)) this.#disk.remove(path);
    });
  }

  close(): void {
    for (const file of this.#files.values()) orNothing(() => file.close());
    this.#files.clear();
  }

  #open(name: string): DiskFile {
    let file = this.#files.get(name);
    if (file === undefined) {
      this.#disk.mkdir(this.#directory);
      file = this.#disk.open(this.#path(name), "create");
      this.#files.set(name, file);
    }
    return file;
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

function orNothing<T>(access: () => T): T | undefined {
  try {
    return access();
  } catch (error) {
    if (isHoldfastError(error)) return undefined;
    throw error;
  }
}
