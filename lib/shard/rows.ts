/**
 * Rows of a shard that are not cells: timers, operations, quarantined messages, table entries, … Read and written by
 * key, at any time; what is written here goes into the delta of the epoch.
 *
 *     read = recent writes, over the overlay of recovery, over the base
 *
 * Recent writes are grouped in buckets, so that a scan looks at those of one timer table or one address only. A range
 * that is scanned lies in one bucket.
 *
 * Owner and thread: the shard.
 * W1. A write of epoch e is in the delta of e + 1. It is forgotten here when the base's own epoch row, read in the view
 *     that later reads will use or an older one, is at least e + 1.
 * W2. Views only move forward, so a read after a write was forgotten sees it in the base.
 * W3. The overlay (committed rows newer than the base at recovery) is consulted before the base, until the base has
 *     reached the epoch recovered.
 * W4. Rows are written when a turn is applied or between turns, never while one runs.
 */
import { Queue } from "../base/queue.js";
import type { BaseReader } from "../store/base.js";
import { RowWriter } from "../store/row-writer.js";

/** A row as it is read. The bytes belong to the caller. */
export interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

interface Write {
  readonly bucket: string;
  readonly key: string;
  readonly epoch: number;
  readonly value: Uint8Array | undefined;
}

/** A key as a string, for maps. Sorts as the bytes do. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

export function keyBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** Recent writes that are scanned together. */
class Bucket {
  readonly writes = new Map<string, Write>();
  /** Keys of `writes` in order, and of some that are forgotten. */
  #sorted: string[] = [];
  /** Keys that are not in `#sorted` yet. */
  #added: string[] = [];

  set(write: Write): void {
    if (!this.writes.has(write.key)) this.#added.push(write.key);
    this.writes.set(write.key, write);
  }

  /** The keys in order; some have no write any more, some come twice. Cheap as long as few were added since. */
  get keys(): readonly string[] {
    if (this.#sorted.length > 2 * this.writes.size + 16)
      this.#sorted = this.#sorted.filter((key) => this.writes.has(key));
    if (this.#added.length > 0) {
      this.#sorted = [...this.#sorted, ...this.#added].sort();
      this.#added = [];
    }
    return this.#sorted;
  }
}

/** What recent writes and, below them, the overlay say about a range, from its beginning to its end. */
class NewerRows {
  readonly #bucket: Bucket | undefined;
  readonly #overlay: ReadonlyMap<string, Uint8Array | null> | undefined;
  readonly #recentKeys: readonly string[];
  readonly #overlayKeys: readonly string[];
  readonly #end: string;
  #recentAt: number;
  #overlayAt: number;

  constructor(
    bucket: Bucket | undefined,
    overlayKeys: readonly string[],
    overlay: ReadonlyMap<string, Uint8Array | null> | undefined,
    first: string,
    end: string,
  ) {
    this.#bucket = bucket;
    this.#overlay = overlay;
    this.#recentKeys = bucket?.keys ?? [];
    this.#overlayKeys = overlayKeys;
    this.#end = end;
    this.#recentAt = lowerBound(this.#recentKeys, first);
    this.#overlayAt = lowerBound(overlayKeys, first);
  }

  /** Nothing of the range is newer than the base. */
  get done(): boolean {
    return this.#nextKey() === undefined;
  }

  /** Appends what comes before a key, up to a limit. */
  before(bound: string, found: StoredRow[], limit: number): void {
    for (let key = this.#nextKey(); key !== undefined && key < bound && found.length < limit; key = this.#nextKey()) {
      const value = this.#take(key);
      if (value !== undefined) found.push({ key: keyBytes(key), value });
    }
  }

  /** The base's row of this key, which is not before the next one here, is hidden by one here: the caller skips it. */
  hides(key: string): boolean {
    if (this.#nextKey() !== key) return false;
    return this.#bucket?.writes.has(key) === true || this.#overlay?.has(key) === true; // not a write that was forgotten
  }

  #nextKey(): string | undefined {
    const [recent, overlay] = [this.#recentKeys[this.#recentAt], this.#overlayKeys[this.#overlayAt]];
    const next = recent === undefined || overlay < recent ? overlay : recent;
    return next !== undefined && next < this.#end ? next : undefined;
  }

  /** Steps over a key; its value, undefined when it is deleted or, a forgotten write, only the base has it. */
  #take(key: string): Uint8Array | undefined {
    while (this.#recentKeys[this.#recentAt] === key) this.#recentAt++;
    if (this.#overlayKeys[this.#overlayAt] === key) this.#overlayAt++;
    const write = this.#bucket?.writes.get(key);
    return write === undefined ? (this.#overlay?.get(key) ?? undefined) : write.value;
  }
}

export class Rows {
  readonly #base: BaseReader;
  #overlay: ReadonlyMap<string, Uint8Array | null> | undefined;
  #overlayKeys: readonly string[] | undefined;
  readonly #overlayEpoch: number;
  readonly #buckets = new Map<string, Bucket>();
  /** Writes in the order they were made (W1). */
  readonly #recent = new Queue<Write>();
  #journal = new RowWriter();
  #viewIsFresh = false;

  /** `epoch` is the one that was recovered. */
  constructor(base: BaseReader, overlay: ReadonlyMap<string, Uint8Array | null>, epoch: number) {
    this.#base = base;
    this.#overlay = overlay.size === 0 ? undefined : overlay;
    this.#overlayEpoch = epoch;
  }

  /** A new step begins: the next read moves to the newest view (W2). */
  beginStep(): void {
    this.#viewIsFresh = false;
  }

  /** Lets go of the current view, so that a sleeping shard keeps no old pages alive. */
  releaseView(): void {
    this.#base.refresh();
  }

  /** The epoch of the base, in the view that reads use. */
  baseEpoch(): number {
    this.#freshen();
    return this.#base.epoch();
  }

  /** The value of a row as it was committed, whatever was written since. */
  committed(key: Uint8Array): Uint8Array | undefined {
    this.#freshen();
    if (this.#overlayHolds()) {
      const row = this.#overlay?.get(keyText(key));
      if (row !== undefined) return row ?? undefined;
    }
    return this.#base.get(key);
  }

  get(bucket: string, key: Uint8Array): Uint8Array | undefined {
    const write = this.#buckets.get(bucket)?.writes.get(keyText(key));
    return write === undefined ? this.committed(key) : write.value;
  }

  /** The value is kept, not copied. */
  put(bucket: string, key: Uint8Array, value: Uint8Array, epoch: number): void {
    this.#journal.put(key, value);
    this.#remember({ bucket, key: keyText(key), epoch, value });
  }

  delete(bucket: string, key: Uint8Array, epoch: number): void {
    this.#journal.delete(key);
    this.#remember({ bucket, key: keyText(key), epoch, value: undefined });
  }

  /** A deletion that nobody will read, such as that of an in-flight row. */
  forget(key: Uint8Array, offset = 0, length = key.length): void {
    this.#journal.delete(key, offset, length);
  }

  /** Rows with `from <= key < to` in key order, at most `limit`. */
  scan(bucket: string, from: Uint8Array, to: Uint8Array, limit = Number.POSITIVE_INFINITY): StoredRow[] {
    this.#freshen();
    const [first, end] = [keyText(from), keyText(to)];
    const newer = this.#newer(bucket, first, end);
    if (newer.done) return this.#base.scan(from, to, limit);
    const found: StoredRow[] = [];
    for (let start = from; found.length < limit; ) {
      const stored = this.#base.scan(start, to, limit);
      for (const row of stored) {
        newer.before(keyText(row.key), found, limit);
        if (found.length >= limit) return found;
        if (!newer.hides(keyText(row.key))) found.push(row);
      }
      const last = stored.at(-1);
      if (last === undefined || stored.length < limit) break;
      start = keyBytes(`${keyText(last.key)}\0`);
    }
    newer.before(end, found, limit);
    return found;
  }

  /** The rows written since the last capture; the journal is then empty. */
  takeJournal(): Uint8Array {
    return this.#journal.take();
  }

  /** Writes that are in memory because the base has them not yet. */
  get recent(): number {
    return this.#recent.length;
  }

  /** True when the base has a write that is still remembered. */
  get settles(): boolean {
    const write = this.#recent.peek();
    return write !== undefined && write.epoch + 1 <= this.baseEpoch();
  }

  /** Forgets writes that the base has (W1), some per call; how many. */
  settle(): number {
    if (this.#recent.length === 0) return 0;
    const epoch = this.baseEpoch();
    for (let settled = 0; settled < settlePerStepMax; settled++) {
      const write = this.#recent.peek();
      if (write === undefined || write.epoch + 1 > epoch) return settled;
      this.#recent.shift();
      const bucket = this.#buckets.get(write.bucket);
      if (bucket?.writes.get(write.key) !== write) continue; // written again since
      bucket.writes.delete(write.key);
      if (bucket.writes.size === 0) this.#buckets.delete(write.bucket);
    }
    return settlePerStepMax;
  }

  #remember(write: Write): void {
    let bucket = this.#buckets.get(write.bucket);
    if (bucket === undefined) {
      bucket = new Bucket();
      this.#buckets.set(write.bucket, bucket);
    }
    bucket.set(write);
    this.#recent.push(write);
  }

  /** What recent writes and the overlay say about a range. */
  #newer(bucket: string, first: string, end: string): NewerRows {
    let overlay: readonly string[] = [];
    if (this.#overlayHolds()) {
      this.#overlayKeys ??= [...(this.#overlay?.keys() ?? [])].sort();
      overlay = this.#overlayKeys;
    }
    return new NewerRows(this.#buckets.get(bucket), overlay, this.#overlay, first, end);
  }

  /** W3 */
  #overlayHolds(): boolean {
    if (this.#overlay === undefined) return false;
    if (this.#base.epoch() < this.#overlayEpoch) return true;
    this.#overlay = undefined;
    this.#overlayKeys = undefined;
    return false;
  }

  #freshen(): void {
    if (this.#viewIsFresh) return;
    this.#base.refresh();
    this.#viewIsFresh = true;
  }
}

/** Writes forgotten by one step. */
const settlePerStepMax = 1_000;

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (keys[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
