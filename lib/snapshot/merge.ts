/**
 * The lazy way of committed rows into one shard's base.
 *
 * Owner and thread: the coordinator's.
 * G1. Only committed deltas are folded: the base never passes the committed epoch.
 * G2. A merge applies its rows in key order, in slices, each its own transaction; the base's epoch row goes with the
 *     last one. Rows folded meanwhile wait for the next merge.
 * G3. Applying rows again changes nothing, so a merge cut short by a crash is simply done again.
 */
import { invariant } from "../base/invariant.js";
import { mergeSliceRowsMax } from "../base/limits.js";
import type { BaseWriter, Row } from "../store/base.js";
import { deltaBytesMax, forEachRowPlace, valueAt } from "./delta.js";

/** Folded rows: key text to the place of the value in one of the deltas, which are kept. */
class FoldedRows {
  readonly places = new Map<string, number>();
  readonly #deltas: Uint8Array[] = [];

  fold(rows: Uint8Array): void {
    const delta = this.#deltas.length;
    this.#deltas.push(rows);
    const text = Buffer.from(rows.buffer, rows.byteOffset, rows.length);
    forEachRowPlace(rows, (keyFrom, keyTo, valueLengthAt) => {
      this.places.set(text.toString("latin1", keyFrom, keyTo), delta * deltaBytesMax + valueLengthAt);
    });
  }

  /** The value at a place: a view, or null for a deleted row. */
  value(place: number): Uint8Array | null {
    return valueAt(this.#deltas[Math.floor(place / deltaBytesMax)], place % deltaBytesMax) ?? null;
  }
}

interface RunningMerge {
  readonly epoch: number;
  readonly rows: FoldedRows;
  readonly keys: readonly string[];
  next: number;
}

export class Merge {
  readonly base: BaseWriter;
  /** Bytes of deltas folded and not yet in the base. */
  bytes = 0;
  #folded = new FoldedRows();
  #foldedEpoch: number;
  #running: RunningMerge | undefined;

  constructor(base: BaseWriter) {
    this.base = base;
    this.#foldedEpoch = base.epoch;
  }

  get running(): boolean {
    return this.#running !== undefined;
  }

  /** True when committed epochs are not in the base and no merge of them runs. */
  get pending(): boolean {
    return this.#foldedEpoch > (this.#running?.epoch ?? this.base.epoch);
  }

  /** Takes in the rows of the next committed epoch. The bytes are kept, not copied. */
  fold(epoch: number, rows: Uint8Array): void {
    invariant(epoch === this.#foldedEpoch + 1, "epochs are folded one by one");
    this.#folded.fold(rows);
    this.#foldedEpoch = epoch;
    this.bytes += rows.length;
  }

  /** Rows folded and not yet in the base, by key text; for recovery, before the first merge. */
  get overlay(): ReadonlyMap<string, Uint8Array | null> {
    invariant(this.#running === undefined, "the overlay is read before merges run");
    const overlay = new Map<string, Uint8Array | null>();
    for (const [key, place] of this.#folded.places) overlay.set(key, this.#folded.value(place));
    return overlay;
  }

  /** Starts a merge of what is folded. */
  start(): void {
    invariant(!this.running, "one merge at a time");
    const rows = this.#folded;
    this.#running = { epoch: this.#foldedEpoch, rows, keys: [...rows.places.keys()].sort(), next: 0 }; // G2: latin1 text sorts as bytes
    this.#folded = new FoldedRows();
    this.bytes = 0;
  }

  /** Applies one slice of the running merge; true when it was the last. */
  slice(): boolean {
    const running = this.#running;
    invariant(running !== undefined, "a merge runs");
    const end = Math.min(running.keys.length, running.next + mergeSliceRowsMax);
    const rows: Row[] = [];
    for (let i = running.next; i < end; i++) {
      const key = running.keys[i];
      const place = running.rows.places.get(key) as number;
      rows.push({ key: Buffer.from(key, "latin1"), value: running.rows.value(place) ?? undefined });
    }
    running.next = end;
    if (end < running.keys.length) {
      this.base.apply(rows);
      return false;
    }
    this.base.apply(rows, running.epoch);
    this.#running = undefined;
    return true;
  }
}
