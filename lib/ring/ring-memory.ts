/**
 * The memory of a ring: layout only, no algorithm. A single-producer single-consumer ring of variable-length records.
 *
 *     byte 0        128         256                                256 + capacity
 *     │ tail  …     │ head  …   │ data: records, back to back      │
 *
 *     record:  │ length i32 │ kind i32 │ payload, padded to 8 bytes │      starts 8-aligned
 *
 * Positions count bytes, grow for ever and wrap at 2^32; index = position & (capacity - 1). They are kept as signed
 * 32-bit integers, which never need a heap number, so only differences `(a - b) | 0` mean anything.
 *
 * Words are in the machine's byte order: a ring never leaves the process.
 */
import { invariant } from "../base/invariant.js";
import { ringFrameFraction } from "../base/limits.js";

/** What `tryClaim` returns when there is no room. */
export const FULL = -1;
/** What `poll` returns when there is nothing to read. */
export const EMPTY = -1;

/** Bytes before a record's payload. */
export const recordHeaderBytes = 8;
/** Kinds of a record; zero is none of them, so that memory never written does not pass for a record. */
export const recordData = 1;
/** A record that only fills the end of the data area. */
export const recordPadding = 2;

/** Two cache lines: adjacent-line prefetchers pull lines in pairs. */
const lineBytes = 128;
/** Index of the tail among the control words: the producer's. */
export const tailWord = 0;
/** Index of the head among the control words: the consumer's. */
export const headWord = lineBytes / Int32Array.BYTES_PER_ELEMENT;
const controlBytes = 2 * lineBytes;

const capacityMin = 64;
/** Keeps every difference of positions inside 31 bits. */
const capacityMax = 2 ** 28;
/** A record of a tiny ring: the largest that still fits beside the padding it may need, rounded down. */
const recordSpanMin = capacityMin / 2;

/** What a new ring is like. */
export interface RingOptions {
  /** Bytes of the data area: a power of two, at least 64. */
  readonly capacity: number;
  /** Shared between threads, or private to one (the simulator's). */
  readonly shared: boolean;
  /** Where both positions start: a multiple of 8; near 2^32 for tests of the wrap. */
  readonly initialPosition?: number;
}

/** The views that either end of a ring works with. */
export interface RingViews {
  readonly capacity: number;
  /** Largest payload: two such records fit at any position (in a ring below 128 bytes only one is sure to). */
  readonly recordBytesMax: number;
  readonly control: Int32Array;
  /** The data area as bytes, */
  readonly bytes: Uint8Array;
  /** for unaligned and little-endian access, */
  readonly view: DataView;
  /** and as words, for record headers. */
  readonly words: Int32Array;
}

/** Makes an empty ring. */
export function allocateRing({ capacity, shared, initialPosition = 0 }: RingOptions): ArrayBufferLike {
  assertCapacity(capacity);
  invariant(initialPosition % recordHeaderBytes === 0, "a ring's initial position is 8-aligned");
  const bytes = controlBytes + capacity;
  const memory = shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  const control = new Int32Array(memory, 0, controlBytes / Int32Array.BYTES_PER_ELEMENT);
  Atomics.store(control, tailWord, initialPosition | 0);
  Atomics.store(control, headWord, initialPosition | 0);
  return memory;
}

/** Opens views on a ring made by `allocateRing`. */
export function openRing(memory: ArrayBufferLike): RingViews {
  const capacity = memory.byteLength - controlBytes;
  assertCapacity(capacity);
  return {
    capacity,
    recordBytesMax: Math.max(capacity / ringFrameFraction, recordSpanMin) - recordHeaderBytes,
    control: new Int32Array(memory, 0, controlBytes / Int32Array.BYTES_PER_ELEMENT),
    bytes: new Uint8Array(memory, controlBytes, capacity),
    view: new DataView(memory, controlBytes, capacity),
    words: new Int32Array(memory, controlBytes, capacity / Int32Array.BYTES_PER_ELEMENT),
  };
}

/** Bytes that a record with a payload of `length` bytes takes. */
export function recordSpan(length: number): number {
  return (length + recordHeaderBytes + 7) & ~7;
}

function assertCapacity(capacity: number): void {
  const powerOfTwo = Number.isInteger(Math.log2(capacity));
  invariant(
    capacity >= capacityMin && capacity <= capacityMax && powerOfTwo,
    "a ring's capacity is a power of two in range",
  );
}
