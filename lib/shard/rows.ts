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

export class Rows {
  readonly #base: BaseReader;
  #overlay: ReadonlyMap<string, Uint8Array | null> | undefined;
  #overlayKeys: readonly string[] | undefined;
  readonly #overlayEpoch: number;
  readonly #buckets = new Map<string, Map<string, Write>>();
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
    const write = this.#buckets.get(bucket)?.get(keyText(key));
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
    if (newer.length === 0) return this.#base.scan(from, to, limit);
    const hidden = new Set(newer.map(([key]) => key));
    const stored = this.#base.scan(from, to, limit + newer.length);
    const rows: [string, Uint8Array | undefined][] = newer;
    for (const { key, value } of stored) {
      const text = keyText(key);
      if (!hidden.has(text)) rows.push([text, value]);
    }
    rows.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
    const found: StoredRow[] = [];
    for (const [text, value] of rows) {
      if (value === undefined) continue;
      if (found.length >= limit) break;
      found.push({ key: keyBytes(text), value });
    }
    return found;
  }

  /** The rows written since the last capture; the journal is then empty. */
  takeJournal(): Uint8Array {
    const rows = this.#journal.take();
    return rows;
  }

  /** Forgets writes that the base has (W1), some per call. */
  settle(): void {
    if (this.#recent.length === 0) return;
    const epoch = this.baseEpoch();
    for (let budget = settlePerStepMax; budget > 0; budget--) {
      const write = this.#recent.peek();
      if (write === undefined || write.epoch + 1 > epoch) return;
      this.#recent.shift();
      const bucket = this.#buckets.get(write.bucket);
      if (bucket?.get(write.key) !== write) continue; // written again since
      bucket.delete(write.key);
      if (bucket.size === 0) this.#buckets.delete(write.bucket);
    }
  }

  #remember(write: Write): void {
    let bucket = this.#buckets.get(write.bucket);
    if (bucket === undefined) {
      bucket = new Map();
      this.#buckets.set(write.bucket, bucket);
    }
    bucket.set(write.key, write);
    this.#recent.push(write);
  }

  /** What recent writes and the overlay say about a range, undefined for deleted rows. */
  #newer(bucket: string, first: string, end: string): [string, Uint8Array | undefined][] {
    const newer = new Map<string, Uint8Array | undefined>();
    if (this.#overlayHolds()) {
      this.#overlayKeys ??= [...(this.#overlay?.keys() ?? [])].sort();
      const keys = this.#overlayKeys;
      for (let i = lowerBound(keys, first); i < keys.length && keys[i] < end; i++) {
        newer.set(keys[i], this.#overlay?.get(keys[i]) ?? undefined);
      }
    }
    for (const [key, { value }] of this.#buckets.get(bucket) ?? []) {
      if (key >= first && key < end) newer.set(key, value);
    }
    return [...newer];
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
