/**
 * The part of a file that one of several splits reads, without I/O: every `count`-th block of 1 MiB, by whole lines.
 *
 *     block    0         1         2         3         4
 *     split    1 of 2    2 of 2    1 of 2    2 of 2    …
 *
 * Which line belongs to whom depends on the bytes before its end only. So a file may grow, and the number of splits is
 * all there is to remember.
 *
 * Owner and thread: one source of one reader.
 * S1. A line belongs to the split of the block in which it begins, wherever it ends; each line to exactly one.
 * S2. A position is the place after a line. What comes next follows from it and from the byte before it.
 * S3. The bytes handed out are whole lines, in the order of the file; only the last line of the file may lack its newline.
 */
import { MiB } from "../base/limits.js";

/** Part of what a committed position means: another size needs other names of splits. */
const fileBlockBytes = MiB;
/** What is read behind a block for the end of its last line, to begin with. */
const tailBytes = 4096;
const newline = 0x0a;
const nothing = Buffer.alloc(0);

export class Stripe {
  /** Where the next read begins. */
  readFrom: number;
  /** Place in the file of the bytes that `take` has returned. */
  takenFrom = 0;
  readonly #count: number;
  readonly #blockBytes: number;
  /** The end of the block whose lines are taken. */
  #end = Number.POSITIVE_INFINITY;
  /** The block that is entered after this one. */
  #next = 0;
  /** Bytes are passed over up to the first newline: a line that began in an earlier block. */
  #searches = false;
  /** The next byte is the one before the committed position. */
  #resumes = false;

  /** Split `index` of `count`, from a committed position on, 0 when there is none. Tests have smaller blocks. */
  constructor(index: number, count: number, position: number, blockBytes = fileBlockBytes) {
    this.#count = count;
    this.#blockBytes = blockBytes;
    this.readFrom = position;
    if (count === 1) return;
    if (position === 0) {
      this.#enter(index);
      return;
    }
    const block = Math.floor(position / blockBytes);
    const ahead = (index - (block % count) + count) % count;
    this.#resumes = true;
    this.readFrom = position - 1;
    this.#end = ahead === 0 ? (block + 1) * blockBytes : position;
    this.#next = block + (ahead === 0 ? count : ahead);
  }

  /** How many bytes to read, at most `bytesMax`: chunks of a block are of about the same size. */
  wanted(bytesMax: number): number {
    const rest = this.#end + tailBytes - this.readFrom;
    if (rest <= 0 || rest === Number.POSITIVE_INFINITY) return bytesMax;
    return Math.ceil(rest / Math.ceil(rest / bytesMax));
  }

  /** Takes what was read from `readFrom` on, and returns the part of it that is this split's, often nothing. */
  take(bytes: Buffer): Buffer {
    const at = this.readFrom;
    this.readFrom += bytes.length;
    if (this.#count === 1) return this.#given(at, bytes, 0, bytes.length);
    let from = 0;
    if (this.#resumes) {
      this.#resumes = false;
      // Without a newline the file ended there, within a line: its rest is this split's as well (S2).
      if (bytes[0] === newline && at + 1 >= this.#end) return this.#enter(this.#next);
      from = 1;
    } else if (this.#searches) {
      from = bytes.indexOf(newline) + 1;
      if (from === 0 ? this.readFrom >= this.#end - 1 : at + from >= this.#end) return this.#enter(this.#next); // S1
      if (from === 0) return nothing;
      this.#searches = false;
    }
    return this.#takeFrom(at, bytes, from);
  }

  /** The part from a byte of an own line on, up to the first newline from which on lines begin in the next block. */
  #takeFrom(at: number, bytes: Buffer, from: number): Buffer {
    const last = bytes.indexOf(newline, Math.max(from, this.#end - 1 - at));
    if (last === -1) return this.#given(at, bytes, from, bytes.length);
    this.#enter(this.#next);
    return this.#given(at, bytes, from, last + 1);
  }

  #given(at: number, bytes: Buffer, from: number, to: number): Buffer {
    this.takenFrom = at + from;
    return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to);
  }

  /** Goes to the beginning of a block: to the byte before it, which says whether a line begins there. */
  #enter(block: number): Buffer {
    const start = block * this.#blockBytes;
    this.#searches = start > 0;
    this.readFrom = start > 0 ? start - 1 : 0;
    this.#end = start + this.#blockBytes;
    this.#next = block + this.#count;
    return nothing;
  }
}
