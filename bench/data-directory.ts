/** A directory for what a bench writes, in the system's folder for temporary files (TMPDIR), removed afterwards. */
import { mkdtemp, rm, statfs } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** `f_type` of a file system that lives in memory, on Linux. */
const tmpfs = 0x01021994;

export class DataDirectory {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async make(log: (line: string) => void): Promise<DataDirectory> {
    const path = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
    const { type } = await statfs(path);
    if (type === tmpfs) log(`${path} is in memory: set TMPDIR to a directory on a disk before you quote a number`);
    return new DataDirectory(path);
  }

  remove(): Promise<void> {
    return rm(this.path, { recursive: true, force: true });
  }
}
