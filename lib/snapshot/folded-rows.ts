/**
 * The newest row of every key in a series of deltas. The deltas are kept; a row is known by its place in one of them.
 *
 * A hash table over the bytes of the keys: made for every row of every epoch, so it makes no string and no view
 * (measured: 150 ns a row, against 700 for a Map by key text).
 *
 * Owner and thread: the coordinator's.
 * R1. Rows are numbered from 0 in the order in which their keys came; a slot of the table holds a number + 1, 0 is empty.
 * R2. At most half of the slots are taken.
 */
import { hashBytes } from "../base/hash-bytes.js";
import { deltaBytesMax, forEachRowPlace, valueAt } from "./delta.js";
import { inKeyOrder, type KeyPlaces } from "./key-order.js";

const rowsAtFirst = 512;

export class FoldedRows implements KeyPlaces {
  /** Keys folded. */
  size = 0;
  readonly #deltas: Uint8Array[] = [];
  #slots = new Int32Array(2 * rowsAtFirst);
  // By row: the hash of its key, and where that is; the value's length stands behind it.
  #hashes = new Int32Array(rowsAtFirst);
  #keyLengths = new Uint16Array(rowsAtFirst);
  #keysAt = new Float64Array(rowsAtFirst);

  /** Takes in the rows of a newer delta. The bytes are kept, not copied. */
  fold(rows: Uint8Array): void {
    const base = this.#deltas.length * deltaBytesMax;
    this.#deltas.push(rows);
    forEachRowPlace(rows, (keyFrom, keyTo) => {
      const row = this.#rowOf(rows, keyFrom, keyTo);
      this.#keysAt[row] = base + keyFrom; // the newest delta's bytes are the ones in the caches
    });
  }

  /** A view of the key of a row. */
  key(row: number): Uint8Array {
    const at = this.#keysAt[row];
    const from = at % deltaBytesMax;
    return this.#deltas[Math.floor(at / deltaBytesMax)].subarray(from, from + this.#keyLengths[row]);
  }

  /** The same as latin1 text. */
  keyText(row: number): string {
    const key = this.key(row);
    return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
  }

  /** A view of the value of a row, undefined when the row is deleted. */
  value(row: number): Uint8Array | undefined {
    const at = this.#keysAt[row];
    return valueAt(this.#deltas[Math.floor(at / deltaBytesMax)], (at % deltaBytesMax) + this.#keyLengths[row]);
  }

  /** The numbers of all rows in the order of their keys. */
  inKeyOrder(): Uint32Array {
    return inKeyOrder(this.size, this);
  }

  /** The length of the key of a row. */
  length(row: number): number {
    return this.#keyLengths[row];
  }

  /** Six bytes of the key of a row from `depth` on, zeros behind its end, as an integer. */
  six(row: number, depth: number): number {
    const place = this.#keysAt[row];
    const delta = this.#deltas[Math.floor(place / deltaBytesMax)];
    const at = (place % deltaBytesMax) + depth;
    const left = this.#keyLengths[row] - depth;
    if (left >= 6) {
      const high = (delta[at] << 16) | (delta[at + 1] << 8) | delta[at + 2];
      return high * 2 ** 24 + ((delta[at + 3] << 16) | (delta[at + 4] << 8) | delta[at + 5]);
    }
    let six = 0;
    for (let i = 0; i < 6; i++) six = six * 256 + (i < left ? delta[at + i] : 0);
    return six;
  }

  /** The number of the row with this key, a new one if need be. */
  #rowOf(bytes: Uint8Array, from: number, to: number): number {
    const hash = hashBytes(bytes, from, to);
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot] - 1;
      if (row === -1) return this.#add(slot, hash, to - from);
      if (this.#hashes[row] === hash && this.#hasKey(row, bytes, from, to)) return row;
    }
  }

  #hasKey(row: number, bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from;
    if (this.#keyLengths[row] !== length) return false;
    const place = this.#keysAt[row];
    const delta = this.#deltas[Math.floor(place / deltaBytesMax)];
    const at = place % deltaBytesMax;
    for (let i = 0; i < length; i++) if (delta[at + i] !== bytes[from + i]) return false;
    return true;
  }

  #add(slot: number, hash: number, keyLength: number): number {
    const row = this.size++;
    if (row === this.#hashes.length) this.#growRows();
    this.#hashes[row] = hash;
    this.#keyLengths[row] = keyLength;
    this.#slots[slot] = row + 1; // R1
    if (2 * this.size > this.#slots.length) this.#growSlots();
    return row;
  }

  #growRows(): void {
    const rows = 2 * this.#hashes.length;
    this.#hashes = longer(this.#hashes, new Int32Array(rows));
    this.#keyLengths = longer(this.#keyLengths, new Uint16Array(rows));
    this.#keysAt = longer(this.#keysAt, new Float64Array(rows));
  }

  /** R2 */
  #growSlots(): void {
    const slots = new Int32Array(2 * this.#slots.length);
    const mask = slots.length - 1;
    for (let row = 0; row < this.size; row++) {
      let slot = this.#hashes[row] & mask;
      while (slots[slot] !== 0) slot = (slot + 1) & mask;
      slots[slot] = row + 1;
    }
    this.#slots = slots;
  }
}

function longer<T extends Int32Array | Uint16Array | Float64Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
