/**
 * Rows that a shard has written and its base has not yet, in the order in which they were written.
 *
 * There may be a hundred thousand, and each lives for seconds. As objects they end in the old part of the heap, which
 * grows by what has died there. So their bytes lie in slabs that are used again, what is known of them lies in typed
 * arrays, and a key becomes a string only when its bucket is scanned.
 *
 *     slabs    key · value, row after row
 *     ring     by row: where its bytes are, their lengths, its epoch, the row of its bucket before it
 *     slots    a hash table: the newest row of each key
 *
 * Owner and thread: the shard.
 * N1. Rows are numbered as they are written, and dropped in that order. What is known of a row stands in the ring at its
 *     number modulo the ring's length, a power of two. A slot holds that place + 1; 0 is empty.
 * N2. A slot leads to the newest row of its key in its bucket. Nothing leads to an older one; it waits to be dropped.
 * N3. There are twice as many slots as places in the ring, so at most half of them are taken.
 * N4. A bucket is in memory as long as one of its rows is.
 */
import { hashBytes } from "../base/hash-bytes.js";
import { emptySlot, fillSlot } from "../base/hash-slots.js";
import { invariant } from "../base/invariant.js";
import { recentSlabBytes } from "../base/limits.js";

/** Free slabs that are kept for what comes: enough for the rows of a shard whose turns wait for merges. */
const spareSlabsMax = 64;
const placesAtFirst = 256;

/** Rows that are scanned together. */
export class Bucket {
  readonly name: string;
  /** Its rows in memory, those that were written again included. */
  rows = 0;
  /** Its newest row. */
  newest = -1;
  /** Keys of its rows up to `sortedUpTo`, in order, some twice, some of rows that were dropped. */
  sorted: readonly string[] = [];
  sortedUpTo = -1;

  constructor(name: string) {
    this.name = name;
  }
}

export class RecentRows {
  #first = 0;
  #end = 0;
  // The ring (N1).
  #slabs: (Slab | undefined)[] = new Array(placesAtFirst).fill(undefined);
  #buckets: (Bucket | undefined)[] = new Array(placesAtFirst).fill(undefined);
  #offsets = new Uint32Array(placesAtFirst);
  #keyLengths = new Uint16Array(placesAtFirst);
  /** Length + 1; 0 for a deletion. */
  #valueLengths = new Uint32Array(placesAtFirst);
  #hashes = new Int32Array(placesAtFirst);
  #epochs = new Float64Array(placesAtFirst);
  #before = new Float64Array(placesAtFirst);
  #slots = new Int32Array(2 * placesAtFirst);
  readonly #byName = new Map<string, Bucket>();
  readonly #memory: Slabs;

  /** `slabBytes`: how much memory is got, and used again, at once. */
  constructor(slabBytes = recentSlabBytes) {
    this.#memory = new Slabs(slabBytes);
  }

  /** How many rows are in memory. */
  get length(): number {
    return this.#end - this.#first;
  }

  /** The epoch in which the oldest row was written; undefined when there is none. */
  get oldestEpoch(): number | undefined {
    return this.#end === this.#first ? undefined : this.#epochs[this.#place(this.#first)];
  }

  /** Adds a row; `value` undefined deletes. The bytes are copied. */
  add(bucketName: string, key: Uint8Array, value: Uint8Array | undefined, epoch: number): void {
    invariant(key.length <= 0xffff, "a key is within its limit");
    if (this.length === this.#offsets.length) this.#grow();
    const bucket = this.#bucketNamed(bucketName);
    const row = this.#end++;
    const place = this.#place(row);
    const slab = this.#memory.append(key, value);
    this.#slabs[place] = slab;
    this.#offsets[place] = slab.used - key.length - (value?.length ?? 0);
    this.#keyLengths[place] = key.length;
    this.#valueLengths[place] = value === undefined ? 0 : value.length + 1;
    this.#epochs[place] = epoch;
    const hash = hashBytes(key, 0, key.length);
    this.#hashes[place] = hash;
    this.#buckets[place] = bucket;
    this.#before[place] = bucket.newest;
    bucket.newest = row;
    bucket.rows++;
    this.#slots[this.#slotOf(bucket, key, hash)] = place + 1; // N2
  }

  /** The bucket of this name, undefined when no row of it is in memory. */
  bucket(name: string): Bucket | undefined {
    return this.#byName.get(name);
  }

  /** The place of the newest row with a key, -1 when there is none. Good until the next call that changes something. */
  find(bucket: Bucket | undefined, key: Uint8Array): number {
    if (bucket === undefined) return -1;
    return this.#slots[this.#slotOf(bucket, key, hashBytes(key, 0, key.length))] - 1;
  }

  /** The value of the row at a place, undefined when it deletes. It belongs to the caller. */
  value(place: number): Uint8Array | undefined {
    const length = this.#valueLengths[place];
    if (length === 0) return undefined;
    const from = this.#offsets[place] + this.#keyLengths[place];
    return this.#slabAt(place).bytes.slice(from, from + length - 1);
  }

  /** The keys of a bucket in order; some are not in memory any more, some come twice. Cheap as long as few were added since. */
  keys(bucket: Bucket): readonly string[] {
    if (bucket.sorted.length > 2 * bucket.rows + 16) {
      bucket.sorted = bucket.sorted.filter((key) => this.find(bucket, Buffer.from(key, "latin1")) !== -1);
    }
    const added: string[] = [];
    const from = Math.max(this.#first, bucket.sortedUpTo + 1);
    for (let row = bucket.newest; row >= from; row = this.#before[this.#place(row)]) added.push(this.#keyText(row));
    if (added.length > 0) bucket.sorted = [...bucket.sorted, ...added].sort();
    bucket.sortedUpTo = bucket.newest;
    return bucket.sorted;
  }

  /** Drops the oldest row. */
  drop(): void {
    invariant(this.length > 0, "there is a row to drop");
    const place = this.#place(this.#first++);
    this.#removeSlot(place);
    this.#memory.release(this.#slabAt(place));
    const bucket = this.#buckets[place];
    this.#slabs[place] = undefined;
    this.#buckets[place] = undefined;
    if (bucket !== undefined && --bucket.rows === 0) this.#byName.delete(bucket.name); // N4
  }

  #place(row: number): number {
    return row & (this.#offsets.length - 1);
  }

  #slabAt(place: number): Slab {
    const slab = this.#slabs[place];
    invariant(slab !== undefined, "a row in memory has its bytes");
    return slab;
  }

  #bucketNamed(name: string): Bucket {
    let bucket = this.#byName.get(name);
    if (bucket === undefined) {
      bucket = new Bucket(name);
      this.#byName.set(name, bucket);
    }
    return bucket;
  }

  #keyText(row: number): string {
    const place = this.#place(row);
    const { bytes } = this.#slabAt(place);
    const from = this.#offsets[place];
    return Buffer.from(bytes.buffer, from, this.#keyLengths[place]).toString("latin1");
  }

  /** The slot that leads to the newest row of a key, or the empty one where it would be. */
  #slotOf(bucket: Bucket, key: Uint8Array, hash: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const place = this.#slots[slot] - 1;
      if (place === -1) return slot;
      if (this.#hashes[place] === hash && this.#buckets[place] === bucket && this.#hasKey(place, key)) return slot;
    }
  }

  #hasKey(place: number, key: Uint8Array): boolean {
    const { length } = key;
    if (this.#keyLengths[place] !== length) return false;
    const { bytes } = this.#slabAt(place);
    const from = this.#offsets[place];
    for (let i = 0; i < length; i++) if (bytes[from + i] !== key[i]) return false;
    return true;
  }

  /** Empties the slot that leads to a row, if one does, and closes the gap. */
  #removeSlot(place: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let gap = this.#hashes[place] & mask;
    for (; slots[gap] !== place + 1; gap = (gap + 1) & mask) if (slots[gap] === 0) return; // it was written again
    emptySlot(slots, this.#hashes, gap);
  }

  #grow(): void {
    const [first, end, length] = [this.#first, this.#end, this.#offsets.length];
    const longer = <T extends Ring>(from: T, to: T): T => {
      for (let row = first; row < end; row++) to[row & (2 * length - 1)] = from[row & (length - 1)];
      return to;
    };
    const newest = this.#slots.filter((slot) => slot !== 0);
    this.#slabs = longer<(Slab | undefined)[]>(this.#slabs, new Array(2 * length).fill(undefined));
    this.#buckets = longer<(Bucket | undefined)[]>(this.#buckets, new Array(2 * length).fill(undefined));
    this.#offsets = longer(this.#offsets, new Uint32Array(2 * length));
    this.#keyLengths = longer(this.#keyLengths, new Uint16Array(2 * length));
    this.#valueLengths = longer(this.#valueLengths, new Uint32Array(2 * length));
    this.#hashes = longer(this.#hashes, new Int32Array(2 * length));
    this.#epochs = longer(this.#epochs, new Float64Array(2 * length));
    this.#before = longer(this.#before, new Float64Array(2 * length));
    this.#slots = new Int32Array(4 * length); // N3
    for (const slot of newest) {
      const row = first + ((slot - 1 - first) & (length - 1));
      fillSlot(this.#slots, this.#hashes, this.#place(row));
    }
  }
}

/** What is known of rows, by place. */
type Ring = { [place: number]: unknown };

/** A stretch of memory for rows. */
interface Slab {
  /** No Buffer, whose slices would not be copies. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  used: number;
  /** Rows in it that are not dropped. */
  rows: number;
}

/** Memory that is filled row by row and used again when all rows of a slab are dropped. */
class Slabs {
  readonly #slabBytes: number;
  readonly #spare: Slab[] = [];
  #current: Slab;

  constructor(slabBytes: number) {
    this.#slabBytes = slabBytes;
    this.#current = newSlab(slabBytes);
  }

  /** Copies a row to the end of a slab, and returns that. */
  append(key: Uint8Array, value: Uint8Array | undefined): Slab {
    const size = key.length + (value?.length ?? 0);
    const slab = this.#withRoom(size);
    slab.bytes.set(key, slab.used);
    if (value !== undefined) slab.bytes.set(value, slab.used + key.length);
    slab.used += size;
    slab.rows++;
    return slab;
  }

  /** A row of a slab is dropped. */
  release(slab: Slab): void {
    slab.rows--;
    if (slab.rows > 0) return;
    slab.used = 0;
    if (slab === this.#current || slab.bytes.length !== this.#slabBytes || this.#spare.length === spareSlabsMax) return;
    this.#spare.push(slab);
  }

  #withRoom(size: number): Slab {
    if (this.#current.used + size <= this.#slabBytes) return this.#current;
    if (size > this.#slabBytes / 4) return newSlab(size); // of its own
    this.#current = this.#spare.pop() ?? newSlab(this.#slabBytes);
    return this.#current;
  }
}

function newSlab(size: number): Slab {
  return { bytes: new Uint8Array(size), used: 0, rows: 0 };
}
