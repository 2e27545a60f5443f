/**
 * Where the bytes of a file come from, chunk by chunk, in the background: a plain file, one that grows, or a gzip file.
 *
 * Owner and thread: one reader on a shard's thread; everything arrives through callbacks on that thread.
 * B1. One chunk is asked for at a time; a source reads nothing that was not asked for.
 * B2. The memory of a chunk is reused for the next but one: whoever asks for a chunk is done with all but the last.
 * B3. After `close` nothing is called any more, and the descriptor is closed when no read is under way.
 */
import { close, createReadStream, fstat, open, read, type Stats, stat } from "node:fs";
import { createGunzip, type Gunzip } from "node:zlib";
import { HoldfastError } from "../base/errors.js";
import { KiB } from "../base/limits.js";
import { systemCode } from "./file-path.js";
import type { Stripe } from "./stripe.js";

const chunkBytes = 256 * KiB;
/** How often the end of a growing file is looked at. */
const followPollMs = 50;

/** What a source tells its reader. */
export interface ByteSink {
  /** Bytes that begin at `from`; what lies between them and those before is not for this reader. */
  chunk(bytes: Buffer, from: number): void;
  end(): void;
  fail(error: HoldfastError): void;
}

/** Chunks of one file, from a position on. */
export interface ByteSource {
  /** Asks for one chunk: exactly one call of the sink follows, unless the file grows no more or `close` was called. */
  ask(): void;
  close(): void;
}

/** Reads a stripe of a plain file from `position` on. With `follow` there is no end, and the file need not exist yet. */
export class FileSource implements ByteSource {
  readonly #path: string;
  readonly #follow: boolean;
  readonly #sink: ByteSink;
  readonly #memory = [Buffer.allocUnsafeSlow(chunkBytes), Buffer.allocUnsafeSlow(chunkBytes)];
  readonly #stripe: Stripe;
  #turn = 0;
  /** The file has had this many bytes. */
  #known: number;
  #fd: number | undefined;
  #inode = 0;
  #busy = false;
  #closed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(path: string, position: number, stripe: Stripe, follow: boolean, sink: ByteSink) {
    this.#path = path;
    this.#known = position;
    this.#stripe = stripe;
    this.#follow = follow;
    this.#sink = sink;
  }

  ask(): void {
    if (this.#closed) return;
    if (this.#fd === undefined) this.#open();
    else this.#read(this.#fd);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    if (!this.#busy) this.#closeFile();
  }

  #open(): void {
    this.#busy = true;
    stat(this.#path, (error, found) => {
      if (this.#over()) return;
      if (error !== null && this.#follow && this.#known === 0 && systemCode(error) === "ENOENT") return this.#later();
      const refusal = error === null ? this.#refusal(found) : unreadable(this.#path, error);
      if (refusal !== undefined) return this.#sink.fail(refusal);
      this.#busy = true;
      open(this.#path, "r", (openError, fd) => {
        if (openError === null) this.#fd = fd;
        if (this.#over()) return;
        if (openError !== null) return this.#sink.fail(unreadable(this.#path, openError));
        this.#remember(fd);
      });
    });
  }

  #remember(fd: number): void {
    this.#busy = true;
    fstat(fd, (error, found) => {
      if (this.#over()) return;
      const refusal = error === null ? this.#refusal(found) : unreadable(this.#path, error);
      if (refusal !== undefined) return this.#sink.fail(refusal);
      this.#inode = found.ino;
      this.ask();
    });
  }

  #read(fd: number): void {
    const memory = this.#memory[this.#turn]!;
    this.#busy = true;
    read(fd, memory, 0, this.#stripe.wanted(memory.length), this.#stripe.readFrom, (error, count) => {
      if (this.#over()) return;
      if (error !== null) return this.#sink.fail(unreadable(this.#path, error));
      if (count > 0) this.#take(fd, memory.subarray(0, count));
      else if (this.#follow) this.#waitForMore();
      else this.#sink.end();
    });
  }

  #take(fd: number, bytes: Buffer): void {
    const stripe = this.#stripe;
    this.#known = Math.max(this.#known, stripe.readFrom + bytes.length);
    const taken = stripe.take(bytes);
    if (taken.length === 0) {
      this.#read(fd); // into the same memory
      return;
    }
    this.#turn = 1 - this.#turn; // B2
    this.#sink.chunk(taken, stripe.takenFrom);
  }

  /** At the end of a growing file: looks whether it still is the same file, then again later. */
  #waitForMore(): void {
    this.#busy = true;
    stat(this.#path, (error, found) => {
      if (this.#over()) return;
      if (error !== null) return this.#sink.fail(unreadable(this.#path, error));
      if (found.ino !== this.#inode) return this.#sink.fail(replaced(this.#path, "is another file than before"));
      const refusal = this.#refusal(found);
      if (refusal !== undefined) return this.#sink.fail(refusal);
      if (found.size > this.#stripe.readFrom) this.ask();
      else this.#later();
    });
  }

  #later(): void {
    this.#timer = setTimeout(() => this.ask(), followPollMs);
  }

  #refusal(found: Stats): HoldfastError | undefined {
    if (!found.isFile()) return notAFile(this.#path);
    if (found.size >= this.#known) return undefined;
    return replaced(this.#path, `has ${found.size} bytes, ${this.#known} were already read`);
  }

  /** Ends an operation. True when the source was closed meanwhile. */
  #over(): boolean {
    this.#busy = false;
    if (this.#closed) this.#closeFile(); // B3
    return this.#closed;
  }

  #closeFile(): void {
    if (this.#fd !== undefined) close(this.#fd, () => {});
    this.#fd = undefined;
  }
}

/** Reads the unpacked bytes of a gzip file from `position`; what lies before is unpacked and passed over. */
export class GzipSource implements ByteSource {
  readonly #path: string;
  readonly #sink: ByteSink;
  readonly #position: number;
  #skip: number;
  /** Unpacked bytes so far. */
  #passed = 0;
  #unpacked: Gunzip | undefined;
  #closeFile: (() => void) | undefined;
  #asked = false;
  #ended = false;
  #closed = false;

  constructor(path: string, position: number, sink: ByteSink) {
    this.#path = path;
    this.#sink = sink;
    this.#position = position;
    this.#skip = position;
  }

  ask(): void {
    if (this.#closed) return;
    this.#asked = true;
    if (this.#ended) this.#end();
    else if (this.#unpacked === undefined) this.#open();
    else this.#unpacked.resume();
  }

  close(): void {
    this.#closed = true;
    this.#closeFile?.();
    this.#unpacked?.destroy();
  }

  #open(): void {
    stat(this.#path, (error, found) => {
      if (this.#closed) return;
      if (error !== null) return this.#fail(unreadable(this.#path, error));
      if (!found.isFile()) return this.#fail(notAFile(this.#path));
      this.#unpack();
    });
  }

  #unpack(): void {
    const packed = createReadStream(this.#path, { highWaterMark: chunkBytes / 4 });
    const unpacked = createGunzip({ chunkSize: chunkBytes });
    this.#unpacked = unpacked;
    this.#closeFile = () => packed.destroy();
    packed.on("error", (error) => this.#fail(unreadable(this.#path, error)));
    unpacked.on("error", (error) => this.#fail(unreadable(this.#path, error)));
    unpacked.on("data", (bytes: Buffer) => this.#take(bytes));
    unpacked.on("end", () => {
      this.#ended = true;
      if (this.#asked) this.#end();
    });
    packed.pipe(unpacked);
  }

  #take(bytes: Buffer): void {
    if (this.#closed) return;
    const skipped = Math.min(this.#skip, bytes.length);
    const from = this.#passed + skipped;
    this.#skip -= skipped;
    this.#passed += bytes.length;
    if (skipped === bytes.length) return;
    this.#unpacked?.pause(); // B1
    this.#asked = false;
    this.#sink.chunk(skipped === 0 ? bytes : bytes.subarray(skipped), from);
  }

  #end(): void {
    if (this.#closed) return;
    if (this.#skip === 0) this.#sink.end();
    else this.#fail(replaced(this.#path, `unpacks to fewer bytes than the ${this.#position} that were already read`));
  }

  #fail(error: HoldfastError): void {
    if (!this.#closed) this.#sink.fail(error);
  }
}

function unreadable(path: string, error: unknown): HoldfastError {
  const why = systemCode(error) === "ENOENT" ? "does not exist" : `cannot be read: ${(error as Error).message}`;
  return new HoldfastError("HF_INGRESS_FAILED", `${path} ${why}; put the file there, or correct the path`, {
    cause: error,
  });
}

function notAFile(path: string): HoldfastError {
  return new HoldfastError(
    "HF_INGRESS_FAILED",
    `${path} is not a regular file; an NDJSON ingress needs one, to go back to a position`,
  );
}

function replaced(path: string, how: string): HoldfastError {
  return new HoldfastError(
    "HF_INGRESS_FAILED",
    `${path} ${how}: it was truncated or replaced. Put the file back, or read the new one as an ingress of another name`,
  );
}
