/**
 * The producing half of a ring.
 * Owns: the tail. Reads the head, never writes it. Thread: the sender's.
 *
 * P1. A record is visible to the consumer only after `commit` and then `publish`.
 * P2. A record never wraps; a gap at the end of the data area is one padding record, committed with the record behind it.
 * P3. The shared head is read only when the cached head says "full"; it lies in [cached head, published tail].
 * P4. Nothing in [head, published tail) is written: the consumer may be reading it.
 * P5. At most one claim is open.
 */
import { invariant } from "../base/invariant.js";
import {
  FULL,
  headWord,
  openRing,
  recordData,
  recordHeaderBytes,
  recordPadding,
  recordSpan,
  tailWord,
} from "./ring-memory.js";

/** Writes records. One per ring. */
export class RingProducer {
  /** The data area; payloads are written here at the offset that `tryClaim` returned. */
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** The data area as words: payloads are 8-aligned. */
  readonly words: Int32Array;
  /** Largest payload that the ring takes. */
  readonly recordBytesMax: number;

  readonly #control: Int32Array;
  readonly #capacity: number;
  /** End of what is committed. */
  #tail: number;
  /** The tail as the consumer sees it. */
  #published: number;
  /** End of the open claim; equal to the tail when none is open (a record is never empty). */
  #claimed: number;
  /** The head as last read. */
  #head: number;

  constructor(memory: ArrayBufferLike) {
    const { bytes, view, words, control, capacity, recordBytesMax } = openRing(memory);
    this.bytes = bytes;
    this.view = view;
    this.recordBytesMax = recordBytesMax;
    this.#control = control;
    this.words = words;
    this.#capacity = capacity;
    this.#tail = Atomics.load(control, tailWord);
    this.#published = this.#tail;
    this.#claimed = this.#tail;
    this.#head = Atomics.load(control, headWord);
  }

  /** Reserves a record; returns the offset of its payload in `bytes`, or `FULL`. End it by `commit` or `abort`. */
  tryClaim(length: number): number {
    const tail = this.#tail;
    invariant(this.#claimed === tail, "no claim is open"); // P5
    invariant(length >>> 0 <= this.recordBytesMax, "a record fits its ring");
    const span = recordSpan(length);
    const index = tail & (this.#capacity - 1);
    const gap = this.#capacity - index;
    const padding = span > gap ? gap : 0;
    const end = (tail + padding + span) | 0;
    if (((end - this.#head) | 0) > this.#capacity && !this.hasRoom(end)) return FULL;

    const { words } = this;
    let word = index >> 2;
    if (padding !== 0) {
      words[word] = padding - recordHeaderBytes; // P2
      words[word + 1] = recordPadding;
      word = 0;
    }
    words[word] = length;
    words[word + 1] = recordData;
    this.#claimed = end;
    return (word << 2) + recordHeaderBytes;
  }

  /** Makes the open claim part of what the next `publish` shows. */
  commit(): void {
    invariant(this.#claimed !== this.#tail, "a claim is open");
    this.#tail = this.#claimed;
  }

  /** Undoes the open claim, padding and all: nobody has seen it (P1). */
  abort(): void {
    invariant(this.#claimed !== this.#tail, "a claim is open");
    this.#claimed = this.#tail;
  }

  /** Shows everything committed to the consumer; once per batch. True when there was something new. */
  publish(): boolean {
    const tail = this.#tail;
    if (tail === this.#published) return false;
    this.#published = tail;
    Atomics.store(this.#control, tailWord, tail); // P1: orders the plain writes of the records before it
    return true;
  }

  /** The slow path of a claim: asks the consumer's own head (P3). */
  hasRoom(end: number): boolean {
    const head = Atomics.load(this.#control, headWord);
    const published = this.#published;
    invariant((published - head) >>> 0 <= (published - this.#head) >>> 0, "the head moves towards the tail"); // P3
    this.#head = head;
    return ((end - head) | 0) <= this.#capacity; // P4
  }
}
