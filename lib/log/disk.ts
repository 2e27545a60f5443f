/**
 * The port to the file system, synchronous because the storage thread's commits are. Paths are absolute or relative to
 * the process; `/` separates. Errors are `HoldfastError`s: `HF_DISK_FULL` for no space, `HF_IO` otherwise (the path and
 * the system's code in the message).
 */
export interface Disk {
  /** Makes a directory and its parents; nothing when it exists. */
  mkdir(path: string): void;
  /** Names in a directory, sorted; empty when it does not exist. */
  list(path: string): string[];
  exists(path: string): boolean;
  /** Opens for reading and writing; `create` makes an empty file or truncates an existing one. */
  open(path: string, how: "existing" | "create"): DiskFile;
  readFile(path: string): Uint8Array;
  rename(from: string, to: string): void;
  /** Removes a file, or a directory with all it holds. */
  remove(path: string): void;
  /** Makes names created, renamed or removed in a directory durable. */
  syncDirectory(path: string): void;
}

export interface DiskFile {
  readonly path: string;
  size(): number;
  /** Reads up to `into.length` bytes; returns how many were there. */
  read(into: Uint8Array, position: number): number;
  /** Writes all of `bytes`, or throws. */
  write(bytes: Uint8Array, position: number): void;
  /** Makes written bytes, and the size needed to read them, durable. */
  datasync(): void;
  close(): void;
}
