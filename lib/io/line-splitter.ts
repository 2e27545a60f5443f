/**
 * Cuts a stream of byte chunks into lines, without I/O. A line that lies within a chunk is not copied; one that
 * crosses chunks is put together once; one over the limit is never held, only its beginning.
 *
 * Owner and thread: one reader.
 * L1. `after` of a line is `start` of the next, unless a chunk begins further on: positions depend on the bytes only.
 * L2. At most `lineBytesMax` bytes of an unfinished line are held, besides the chunk being read.
 * L3. A chunk is not referred to once `next` has returned false: its memory may be reused.
 */
import { invariant } from "../base/invariant.js";

const newline = 0x0a;
/** What is kept of a line over the limit. */
const headBytesMax = 1024;
const nothing = Buffer.alloc(0);

export class LineSplitter {
  /** Memory of the line that `next` found: its bytes are [lineFrom, lineTo), without the newline. Valid until the next call. */
  memory: Buffer = nothing;
  lineFrom = 0;
  lineTo = 0;
  /** Position of the first byte of the line in the stream. */
  start: number;
  /** Position after the line and its newline. */
  after: number;
  /** Set when the line was over the limit: its length, `memory` then has its beginning only. */
  cutLength: number | undefined;

  readonly #lineBytesMax: number;
  #chunk: Buffer = nothing;
  #at = 0;
  /** The unfinished line: pieces copied out of earlier chunks, or the head of a line over the limit. */
  #pieces: Buffer[] = [];
  #piecesBytes = 0;
  /** Bytes of the unfinished line seen in earlier chunks, kept or not. */
  #seen = 0;
  #ended = false;

  constructor(position: number, lineBytesMax: number) {
    this.start = position;
    this.after = position;
    this.#lineBytesMax = lineBytesMax;
  }

  /** Everything given was handed out, and no more will come. */
  get finished(): boolean {
    return this.#ended && this.#at === this.#chunk.length && this.#seen === 0;
  }

  /** Bytes of a line whose end has not come yet. */
  get unfinishedBytes(): number {
    return this.#seen + this.#chunk.length - this.#at;
  }

  /**
   * Gives the next chunk, after `next` has returned false. It begins where the one before has ended, or at a line further
   * on: `from` is its place in the stream.
   */
  push(chunk: Buffer, from: number): void {
    invariant(!this.#ended && this.#at === this.#chunk.length, "a chunk follows one that is used up"); // L3
    invariant(from >= this.after && (this.#seen === 0 || from === this.after + this.#seen), "no line has a hole");
    if (this.#seen === 0) this.after = from;
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** Says that nothing follows: the rest is a line although it has no newline. */
  end(): void {
    this.#ended = true;
  }

  /** Finds the next line. False when it needs another chunk, or the end. */
  next(): boolean {
    const found = this.#chunk.indexOf(newline, this.#at);
    if (found !== -1) {
      this.#take(found, found + 1);
      return true;
    }
    if (this.#ended && !this.finished) {
      this.#take(this.#chunk.length, this.#chunk.length);
      return true;
    }
    this.#keepRest();
    return false;
  }

  #take(to: number, resume: number): void {
    const length = this.#seen + to - this.#at;
    this.start = this.after;
    this.after += this.#seen + resume - this.#at; // L1
    this.cutLength = length > this.#lineBytesMax ? length : undefined;
    if (this.#seen === 0) {
      this.memory = this.#chunk;
      this.lineFrom = this.#at;
      this.lineTo = this.cutLength === undefined ? to : this.#at + Math.min(length, headBytesMax);
    } else {
      this.#keep(to);
      this.memory = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces, this.#piecesBytes);
      this.lineFrom = 0;
      this.lineTo = this.cutLength === undefined ? this.#piecesBytes : Math.min(this.#piecesBytes, headBytesMax);
      this.#pieces = [];
      this.#piecesBytes = 0;
      this.#seen = 0;
    }
    this.#at = resume;
  }

  #keepRest(): void {
    if (this.#at === this.#chunk.length) return;
    this.#keep(this.#chunk.length);
    this.#seen += this.#chunk.length - this.#at;
    this.#at = this.#chunk.length;
  }

  /** Copies the chunk up to `to` to the pieces, or as much of it as a line over the limit is shown with. */
  #keep(to: number): void {
    const length = to - this.#at;
    if (this.#seen + length <= this.#lineBytesMax) {
      this.#addPiece(this.#at, to);
      return;
    }
    if (this.#piecesBytes < headBytesMax) this.#addPiece(this.#at, Math.min(to, this.#at + headBytesMax));
    if (this.#pieces.length === 1 && this.#piecesBytes <= 2 * headBytesMax) return;
    const head = Buffer.concat(this.#pieces, Math.min(this.#piecesBytes, headBytesMax)); // L2
    this.#pieces = [head];
    this.#piecesBytes = head.length;
  }

  #addPiece(from: number, to: number): void {
    if (from === to) return;
    this.#pieces.push(Buffer.from(this.#chunk.subarray(from, to)));
    this.#piecesBytes += to - from;
  }
}
