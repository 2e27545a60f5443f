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
import type { BaseReader } from "../store/base.js";
import { RowWriter } from "../store/row-writer.js";
import { type Bucket, RecentRows } from "./recent-rows.js";

/** A row as it is read. The bytes belong to the caller. */
export interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A key as a string, for maps. Sorts as the bytes do. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

export function keyBytes(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

/** What recent writes and, below them, the overlay say about a range, from its beginning to its end. */
class NewerRows {
  readonly #recent: RecentRows;
  readonly #bucket: Bucket | undefined;
  readonly #overlay: ReadonlyMap<string, Uint8Array | null> | undefined;
  readonly #recentKeys: readonly string[];
  readonly #overlayKeys: readonly string[];
  readonly #end: string;
  #recentAt: number;
  #overlayAt: number;

  constructor(
    recent: RecentRows,
    bucket: Bucket | undefined,
    overlayKeys: readonly string[],
    overlay: ReadonlyMap<string, Uint8Array | null> | undefined,
    first: string,
    end: string,
  ) {
    this.#recent = recent;
    this.#bucket = bucket;
    this.#overlay = overlay;
    this.#recentKeys = bucket === undefined ? [] : recent.keys(bucket);
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
      const bytes = keyBytes(key);
      const value = this.#take(key, bytes);
      if (value !== undefined) found.push({ key: bytes, value });
    }
  }

  /** The base's row of this key, which is not before the next one here, is hidden by one here: the caller skips it. */
  hides(key: string): boolean {
    if (this.#nextKey() !== key) return false;
    if (this.#overlay?.has(key) === true) return true;
    return this.#recent.find(this.#bucket, keyBytes(key)) !== -1; // not a write that was forgotten
  }

  #nextKey(): string | undefined {
    const [recent, overlay] = [this.#recentKeys[this.#recentAt], this.#overlayKeys[this.#overlayAt]];
    const next = recent === undefined || overlay < recent ? overlay : recent;
    return next !== undefined && next < this.#end ? next : undefined;
  }

  /** Steps over a key; its value, undefined when it is deleted or, a forgotten write, only the base has it. */
  #take(key: string, bytes: Uint8Array): Uint8Array | undefined {
    while (this.#recentKeys[this.#recentAt] === key) this.#recentAt++;
    if (this.#overlayKeys[this.#overlayAt] === key) this.#overlayAt++;
    const place = this.#recent.find(this.#bucket, bytes);
    return place === -1 ? (this.#overlay?.get(key) ?? undefined) : this.#recent.value(place);
  }
}

export class Rows {
  readonly #base: BaseReader;
  #overlay: ReadonlyMap<string, Uint8Array | null> | undefined;
  #overlayKeys: readonly string[] | undefined;
  readonly #overlayEpoch: number;
  /** Writes that the base may not have (W1). */
  readonly #recent: RecentRows;
  #journal = new RowWriter();
  #viewIsFresh = false;

  /** `epoch` is the one that was recovered. */
  constructor(base: BaseReader, overlay: ReadonlyMap<string, Uint8Array | null>, epoch: number, slabBytes?: number) {
    this.#recent = new RecentRows(slabBytes);
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
    const recent = this.#recent;
    const place = recent.find(recent.bucket(bucket), key);
    return place === -1 ? this.committed(key) : recent.value(place);
  }

  /** The value is copied. */
  put(bucket: string, key: Uint8Array, value: Uint8Array, epoch: number): void {
    this.#journal.put(key, value);
    this.#recent.add(bucket, key, value, epoch);
  }

  delete(bucket: string, key: Uint8Array, epoch: number): void {
    this.#journal.delete(key);
    this.#recent.add(bucket, key, undefined, epoch);
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
    const epoch = this.#recent.oldestEpoch;
    return epoch !== undefined && epoch + 1 <= this.baseEpoch();
  }

  /** Forgets writes that the base has (W1), some per call; how many. */
  settle(): number {
    if (this.#recent.length === 0) return 0;
    const baseEpoch = this.baseEpoch();
    for (let settled = 0; settled < settlePerStepMax; settled++) {
      const epoch = this.#recent.oldestEpoch;
      if (epoch === undefined || epoch + 1 > baseEpoch) return settled;
      this.#recent.drop();
    }
    return settlePerStepMax;
  }

  /** What recent writes and the overlay say about a range. */
  #newer(bucket: string, first: string, end: string): NewerRows {
    let overlay: readonly string[] = [];
    if (this.#overlayHolds()) {
      this.#overlayKeys ??= [...(this.#overlay?.keys() ?? [])].sort();
      overlay = this.#overlayKeys;
    }
    return new NewerRows(this.#recent, this.#recent.bucket(bucket), overlay, this.#overlay, first, end);
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
