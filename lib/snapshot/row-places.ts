/**
 * Rows by the place of their bytes: a delta, and where in it the key is. The length of the key stands before it, that of the
 * value behind it. The deltas are kept, not copied.
 *
 * Owner and thread: the coordinator's.
 */
import { deletesAt, valueAt } from "./delta.js";

export class RowPlaces {
  readonly deltas: readonly Uint8Array[];
  /** By row: the number of its delta, and the place of its key. */
  readonly numbers: Int32Array;
  readonly keysAt: Uint32Array;
  /** Nobody reads it; it keeps the compiler from leaving loads out. */
  #touched = 0;

  constructor(deltas: readonly Uint8Array[], numbers: Int32Array, keysAt: Uint32Array) {
    this.deltas = deltas;
    this.numbers = numbers;
    this.keysAt = keysAt;
  }

  get length(): number {
    return this.keysAt.length;
  }

  /** The same rows and room for others. */
  longer(length: number): RowPlaces {
    const longer = new RowPlaces(this.deltas, new Int32Array(length), new Uint32Array(length));
    longer.numbers.set(this.numbers);
    longer.keysAt.set(this.keysAt);
    return longer;
  }

  /** A copy of some rows. */
  slice(from: number, to: number): RowPlaces {
    return new RowPlaces(this.deltas, this.numbers.slice(from, to), this.keysAt.slice(from, to));
  }

  /** Takes one row from another place, and from another list perhaps. */
  take(place: number, from: RowPlaces, at: number): void {
    this.numbers[place] = from.numbers[at];
    this.keysAt[place] = from.keysAt[at];
  }

  takeAll(from: RowPlaces, start: number, end: number): void {
    this.numbers.set(from.numbers.subarray(start, end), start);
    this.keysAt.set(from.keysAt.subarray(start, end), start);
  }

  /** A view of a key. */
  key(row: number): Uint8Array {
    const delta = this.deltas[this.numbers[row]];
    const at = this.keysAt[row];
    return delta.subarray(at, at + lengthBefore(delta, at));
  }

  /** A view of a value, undefined for a deletion. */
  value(row: number): Uint8Array | undefined {
    const delta = this.deltas[this.numbers[row]];
    const at = this.keysAt[row];
    return valueAt(delta, at + lengthBefore(delta, at));
  }

  deletes(row: number): boolean {
    const delta = this.deltas[this.numbers[row]];
    const at = this.keysAt[row];
    return deletesAt(delta, at + lengthBefore(delta, at));
  }

  keyLength(row: number): number {
    return lengthBefore(this.deltas[this.numbers[row]], this.keysAt[row]);
  }

  /** Four bytes of a key from `depth` on, the first the highest, zeros behind its end. */
  four(row: number, depth: number): number {
    const delta = this.deltas[this.numbers[row]];
    const keyAt = this.keysAt[row];
    const at = keyAt + depth;
    const left = lengthBefore(delta, keyAt) - depth;
    if (left >= 4) return (delta[at] << 24) | (delta[at + 1] << 16) | (delta[at + 2] << 8) | delta[at + 3];
    let four = 0;
    for (let i = 0; i < left; i++) four |= delta[at + i] << (24 - 8 * i);
    return four;
  }

  hasKey(row: number, bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from;
    const delta = this.deltas[this.numbers[row]];
    const at = this.keysAt[row];
    if (lengthBefore(delta, at) !== length) return false;
    for (let i = 0; i < length; i++) if (delta[at + i] !== bytes[from + i]) return false;
    return true;
  }

  /** Loads the keys of some rows: those far apart are waited for together. */
  touch(from: number, to: number): void {
    let touched = 0;
    for (let row = from; row < to; row++) touched ^= this.deltas[this.numbers[row]][this.keysAt[row]];
    this.#touched ^= touched;
  }
}

function lengthBefore(delta: Uint8Array, at: number): number {
  return delta[at - 2] | (delta[at - 1] << 8);
}
