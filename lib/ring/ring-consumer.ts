/**
 * The consuming half of a ring.
 * Owns: the head. Reads the tail, never writes it. Thread: the receiver's.
 *
 * C1. Only records below a tail read from shared memory are read.
 * C2. The shared tail is read only when everything below the cached one is consumed.
 * C3. Payloads stay as they are until `release`: the producer writes nothing above the published head.
 * C4. Padding is never handed out.
 */
import { invariant } from "../base/invariant.js";
import {
  EMPTY,
  headWord,
  openRing,
  recordData,
  recordHeaderBytes,
  recordPadding,
  recordSpan,
  tailWord,
} from "./ring-memory.js";

/** Reads records. One per ring. */
export class RingConsumer {
  /** The data area; a payload is `length` bytes at the offset that `poll` returned. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes of the payload that `poll` found. */
  length = 0;

  readonly #control: Int32Array;
  readonly #words: Int32Array;
  readonly #mask: number;
  readonly #recordBytesMax: number;
  /** Start of the first record not consumed. */
  #position: number;
  /** End of the record that `poll` found; equal to the position when it found none. */
  #end: number;
  /** The head as the producer sees it. */
  #released: number;
  /** The tail as last read. */
  #tail: number;

  constructor(memory: ArrayBufferLike) {
    const { bytes, view, words, control, capacity, recordBytesMax } = openRing(memory);
    this.bytes = bytes;
    this.view = view;
    this.#control = control;
    this.#words = words;
    this.#mask = capacity - 1;
    this.#recordBytesMax = recordBytesMax;
    this.#position = Atomics.load(control, headWord);
    this.#end = this.#position;
    this.#released = this.#position;
    this.#tail = this.#position;
  }

  /** Finds the next record and returns the offset of its payload, or `EMPTY`. Until `advance` it finds the same. */
  poll(): number {
    const words = this.#words;
    let position = this.#position;
    for (;;) {
      if (position === this.#tail) {
        this.#tail = Atomics.load(this.#control, tailWord); // C2
        if (position === this.#tail) return EMPTY;
      }
      const index = position & this.#mask;
      const length = words[index >> 2]!;
      const kind = words[(index >> 2) + 1]!;
      const end = this.endOf(position, length, kind, this.#tail);
      if (kind === recordData) {
        this.length = length;
        this.#end = end;
        return index + recordHeaderBytes;
      }
      position = end; // C4
      this.#position = position;
      this.#end = position;
    }
  }

  /** Consumes the record that `poll` found. Its payload stays readable until `release`. */
  advance(): void {
    invariant(this.#end !== this.#position, "a record was polled");
    this.#position = this.#end;
  }

  /** Gives the space of consumed records back; once per batch. True when there was some. */
  release(): boolean {
    const position = this.#position;
    if (position === this.#released) return false;
    this.#released = position;
    Atomics.store(this.#control, headWord, position); // C3: orders the plain reads of the payloads before it
    return true;
  }

  /** True when no published record waits. Asks the shared tail, so it may serve as the re-check of a parking thread. */
  empty(): boolean {
    return this.#position === Atomics.load(this.#control, tailWord);
  }

  /**
   * Visits, without consuming anything, the records from the first one not consumed up to the published tail (asked
   * now), until `visit` returns false.
   */
  walk(visit: (offset: number, length: number) => boolean): void {
    const words = this.#words;
    const tail = Atomics.load(this.#control, tailWord); // C1
    let position = this.#position;
    while (position !== tail) {
      const index = position & this.#mask;
      const length = words[index >> 2]!;
      const kind = words[(index >> 2) + 1]!;
      position = this.endOf(position, length, kind, tail);
      if (kind === recordData && !visit(index + recordHeaderBytes, length)) return;
    }
  }

  /** End of the record at a position, its header checked: a wrong one would lead reading astray from here on. */
  endOf(position: number, length: number, kind: number, tail: number): number {
    invariant(kind === recordData || kind === recordPadding, "a record has a known kind");
    invariant(length >>> 0 <= this.#recordBytesMax, "a record's length is in range");
    const end = (position + recordSpan(length)) | 0;
    invariant(((tail - end) | 0) >= 0, "a record ends below the tail"); // C1
    return end;
  }
}
