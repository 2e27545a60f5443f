/**
 * An NDJSON file as an egress: one line per committed record, exactly once.
 *
 * Why exactly once: the engine keeps in its epochs how many bytes of the file were durable, and up to which epoch
 * (the watermark). After a crash the file is cut to that length and the engine gives every record of later epochs
 * again, in the same order, so the file ends up as if nothing had happened. What may be read before it is final is the
 * tail above the watermark: after a crash it is written a second time, with the same bytes.
 *
 * Owner and thread: main.
 * S1. The watermark that `sync` returns describes what `write` had been given before the call, no more and no less.
 * S2. Bytes are written in order at explicit offsets: #written <= #length, and the file is not touched by others.
 * S3. After a failure nothing is written any more: what the system kept of a failed write is unknown.
 * S4. A sink that was opened without a watermark starts after the present content. The engine must commit the watermark
 *     of one `sync` before the first `write`: a crash in between would leave records that no watermark tells apart from
 *     the content before.
 */
import { type FileHandle, mkdir, open } from "node:fs/promises";
import { basename, dirname, resolve } from "node:path";
import { HoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { KiB, MiB } from "../base/limits.js";
import {
  type EgressBinding,
  EgressDefinition,
  type EgressRecord,
  type EgressSink,
  type SinkWatermark,
} from "../model/egress.js";
import { checkOptionNames, filePath, systemCode } from "./file-path.js";
import { jsonLine } from "./json-value.js";

const newline = 0x0a;
/** Text is turned into bytes in parts of this size. */
const partLengthMin = 64 * KiB;
/** Above this many bytes not yet written, `write` returns a promise. */
const pendingBytesMax = 4 * MiB;

/** What `ndjsonEgress` takes. */
export interface NdjsonEgressOptions {
  /**
   * The file, relative to the working directory; made with its folder when it does not exist. A file with content is
   * appended to. To go on in another file, stop the application and give another file name.
   */
  readonly path: string | URL;
}

/**
 * Writes the records of an egress to a file, one JSON value per line. What JSON cannot carry is written as: bigint, a
 * decimal string; Date, an ISO string; Map, an array of entries; Set and typed arrays, arrays; undefined, `null`.
 *
 * @throws `HF_BAD_OPTIONS`
 */
export function ndjsonEgress<T>(egress: EgressDefinition<T>, options: NdjsonEgressOptions): EgressBinding {
  if (!(egress instanceof EgressDefinition)) {
    throw new HoldfastError("HF_BAD_OPTIONS", "the first argument of ndjsonEgress must be made by defineEgress");
  }
  const what = `ndjsonEgress "${egress.name}"`;
  checkOptionNames(options, ["path"], what);
  return bindNdjsonFile(egress, filePath(options.path, `path of ${what}`), { whenNeeded: false });
}

/** Ties an egress to a file. With `whenNeeded` a file that does not exist is made with the first record. */
export function bindNdjsonFile<T>(
  egress: EgressDefinition<T>,
  path: string,
  { whenNeeded }: { readonly whenNeeded: boolean },
): EgressBinding {
  return {
    egress,
    open: async (watermark) => {
      const sink = new NdjsonSink(egress.name, path, watermark);
      await sink.open(whenNeeded);
      return sink;
    },
  };
}

/** Files that a sink of this process has open, by path: two of them would write over each other. */
const openPaths = new Map<string, string>();

interface FilePosition {
  readonly length: number;
  /** The name of the file without its folder: the data may move as a whole. */
  readonly file?: string;
}

class NdjsonSink implements EgressSink {
  readonly #name: string;
  readonly #path: string;
  readonly #committed: FilePosition | undefined;
  #file: FileHandle | undefined;
  #claimed = false;
  /** Everything of epochs up to this one was given to `write`. */
  #epoch: number;
  /** Length of the file when everything given is written. */
  #length = 0;
  #written = 0;
  #parts: Buffer[] = [];
  /** The write under way; never rejects. */
  #writing: Promise<void> | undefined;
  #failure: HoldfastError | undefined;
  #failureTold = false;

  constructor(name: string, path: string, watermark: SinkWatermark | undefined) {
    this.#name = name;
    this.#path = path;
    this.#epoch = watermark?.epoch ?? 0;
    this.#committed = watermark === undefined ? undefined : this.#checkPosition(watermark.position);
  }

  /** Opens the file at the watermark, or at its end. @throws `HF_EGRESS_FAILED`, `HF_EGRESS_DAMAGED` */
  async open(whenNeeded: boolean): Promise<void> {
    const other = openPaths.get(this.#path);
    if (other !== undefined) {
      throw this.#failed(`egress ${other} of this process writes to it too: give each a file of its own`);
    }
    openPaths.set(this.#path, this.#name);
    this.#claimed = true;
    try {
      await this.#openFile(whenNeeded);
    } catch (error) {
      await this.close().catch(() => {});
      throw error instanceof HoldfastError ? error : this.#systemFailure(error);
    }
  }

  write(epoch: number, records: readonly EgressRecord[]): void | Promise<void> {
    this.#throwFailure();
    invariant(epoch >= this.#epoch, "epochs reach a sink in order");
    this.#epoch = epoch;
    let text = "";
    for (const { record } of records) {
      text += `${jsonLine(record)}\n`;
      if (text.length >= partLengthMin) {
        this.#add(text);
        text = "";
      }
    }
    if (text !== "") this.#add(text);
    if (this.#length - this.#written > pendingBytesMax) return this.#reach(this.#length - pendingBytesMax);
  }

  async sync(): Promise<SinkWatermark> {
    const watermark: SinkWatermark = {
      epoch: this.#epoch,
      position: { length: this.#length, file: basename(this.#path) } satisfies FilePosition,
    }; // S1: taken before anything is waited for
    await this.#reach(this.#length);
    try {
      await this.#file?.datasync();
    } catch (error) {
      await this.#giveUp(error);
    }
    this.#throwFailure();
    return watermark;
  }

  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#release();
    if (!this.#failureTold) this.#throwFailure();
  }

  async #openFile(whenNeeded: boolean): Promise<void> {
    const committed =
      this.#committed?.file === undefined || this.#committed.file === basename(this.#path)
        ? this.#committed
        : undefined;
    const existing = await this.#openExisting();
    if (existing === undefined) {
      if (committed !== undefined && committed.length > 0) throw this.#damaged("does not exist", committed.length);
      if (!whenNeeded) await this.#create();
      return;
    }
    this.#file = existing;
    const found = await existing.stat();
    if (!found.isFile()) throw this.#failed("it is not a regular file: choose another path");
    if (committed === undefined) await this.#startAfter(existing, found.size);
    else await this.#cutTo(existing, found.size, committed.length);
  }

  /** Starts after content that was there before. */
  async #startAfter(file: FileHandle, size: number): Promise<void> {
    if (!(await endsLine(file, size))) {
      throw this.#failed(
        "its last line has no newline, a record would be appended to it: add one, or choose another path",
      );
    }
    this.#length = size;
    this.#written = size;
  }

  /** Removes what lies above the committed length: the same records come again. */
  async #cutTo(file: FileHandle, size: number, length: number): Promise<void> {
    if (size < length) throw this.#damaged(`has ${size} bytes`, length);
    if (!(await endsLine(file, length))) throw this.#damaged("is another file: no line ends there", length);
    if (size > length) await file.truncate(length);
    this.#length = length;
    this.#written = length;
  }

  async #openExisting(): Promise<FileHandle | undefined> {
    try {
      return await open(this.#path, "r+");
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Makes the file and its folders, durably: a committed length must not outlive the file's name. */
  async #create(): Promise<FileHandle> {
    const folder = dirname(this.#path);
    const first = await mkdir(folder, { recursive: true });
    const file = await open(this.#path, "wx+");
    this.#file = file;
    const top = first === undefined ? folder : dirname(resolve(first));
    for (let at = folder; ; at = dirname(at)) {
      await syncFolder(at);
      if (at === top || at === dirname(at)) return file;
    }
  }

  #add(text: string): void {
    const part = Buffer.from(text, "utf8");
    this.#length += part.length;
    this.#parts.push(part);
    this.#writing ??= this.#writeParts();
  }

  async #writeParts(): Promise<void> {
    try {
      const file = this.#file ?? (await this.#create());
      for (let part = this.#parts.shift(); part !== undefined; part = this.#parts.shift()) {
        await this.#writePart(file, part);
      }
      invariant(this.#written === this.#length, "everything given is written"); // S2
    } catch (error) {
      await this.#giveUp(error);
    }
    this.#writing = undefined;
    this.#passed();
  }

  /** After a failure: lets the file go, whether or not somebody closes the sink. */
  async #giveUp(error: unknown): Promise<void> {
    this.#failure ??= this.#systemFailure(error); // S3
    this.#parts = [];
    await this.#release().catch(() => {});
  }

  async #release(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    if (this.#claimed) openPaths.delete(this.#path);
    this.#claimed = false;
    await file?.close();
  }

  async #writePart(file: FileHandle, part: Buffer): Promise<void> {
    for (let done = 0; done < part.length; ) {
      const { bytesWritten } = await file.write(part, done, part.length - done, this.#written);
      done += bytesWritten;
      this.#written += bytesWritten;
    }
    this.#passed();
  }

  #waiters: { readonly length: number; readonly resolve: () => void }[] = [];

  /** Lets everybody go on who waits for a length that is reached, or that never will be. */
  #passed(): void {
    if (this.#waiters.length === 0) return;
    const due = this.#waiters.filter(({ length }) => length <= this.#written || this.#failure !== undefined);
    this.#waiters = this.#waiters.filter((waiter) => !due.includes(waiter));
    for (const waiter of due) waiter.resolve();
  }

  /** Waits until the file is written up to `length`. @throws the failure */
  async #reach(length: number): Promise<void> {
    if (this.#written < length && this.#failure === undefined) {
      await new Promise<void>((done) => this.#waiters.push({ length, resolve: done }));
    }
    this.#throwFailure();
  }

  #throwFailure(): void {
    if (this.#failure === undefined) return;
    this.#failureTold = true;
    throw this.#failure;
  }

  #checkPosition(position: unknown): FilePosition {
    const { length, file } = (position ?? {}) as Partial<Record<keyof FilePosition, unknown>>;
    if (typeof length === "number" && Number.isSafeInteger(length) && length >= 0) {
      return typeof file === "string" ? { length, file } : { length };
    }
    throw this.#failed("its committed watermark is not one of an NDJSON file: give the egress another name");
  }

  #failed(why: string): HoldfastError {
    return new HoldfastError("HF_EGRESS_FAILED", `egress ${this.#name}, ${this.#path}: ${why}`);
  }

  #damaged(how: string, length: number): HoldfastError {
    return new HoldfastError(
      "HF_EGRESS_DAMAGED",
      `egress ${this.#name}: ${this.#path} ${how}, ${length} bytes of it were committed; it was cut, moved or replaced. ` +
        "Put the file back, or go on in a new one: give the egress a path with another file name",
    );
  }

  #systemFailure(error: unknown): HoldfastError {
    const code = systemCode(error);
    const where = `egress ${this.#name}, ${this.#path}`;
    if (code === "ENOSPC" || code === "EDQUOT") {
      return new HoldfastError(
        "HF_DISK_FULL",
        `${where}: no space left; make room and start again, its records wait in the log`,
        { cause: error },
      );
    }
    const said = error instanceof Error ? error.message : String(error);
    return new HoldfastError(
      "HF_EGRESS_FAILED",
      `${where}: ${said}; its records wait in the log and are written at the next start`,
      { cause: error },
    );
  }
}

/** True when a line ends at `length`, or nothing lies before it. */
async function endsLine(file: FileHandle, length: number): Promise<boolean> {
  if (length === 0) return true;
  const { bytesRead, buffer } = await file.read(Buffer.alloc(1), 0, 1, length - 1);
  return bytesRead === 1 && buffer[0] === newline;
}

async function syncFolder(path: string): Promise<void> {
  if (process.platform === "win32") return; // a folder cannot be opened there
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
