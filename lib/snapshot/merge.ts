/**
 * The lazy way of committed rows into one shard's base.
 *
 * Owner and thread: the coordinator's.
 * G1. Only committed deltas are folded: the base never passes the committed epoch.
 * G2. A merge applies its rows in key order, in slices, each its own transaction; the base's epoch row goes with the
 *     last one. Rows folded meanwhile wait for the next merge.
 * G3. Applying rows again changes nothing, so a merge cut short by a crash is simply done again.
 * G4. Rows folded by key and by handle never meet: what recovery folded knows no handles, so until its rows are in a
 *     merge the rows of cells are folded by key, too.
 * G5. A message that came and went between two merges is in neither; one that recovery folded may be in the base (G3), so
 *     until the next merge begins every deletion is kept.
 */
import { invariant } from "../base/invariant.js";
import type { BaseWriter, Row } from "../store/base.js";
import type { CellRows } from "./delta.js";
import { FoldedRows } from "./folded-rows.js";
import { OrderedRows } from "./key-order.js";

interface RunningMerge {
  readonly epoch: number;
  readonly rows: OrderedRows;
  next: number;
}

export class Merge {
  readonly base: BaseWriter;
  /** Bytes of deltas folded and not yet in the base. */
  bytes = 0;
  /** When the last merge started, by the coordinator's clock. */
  startedAt = 0;
  #folded = new FoldedRows();
  #foldedEpoch: number;
  /** What is folded came from the log in part (G4, G5). */
  #recovered = false;
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
  fold(epoch: number, rows: Uint8Array, cells: CellRows): void {
    this.#folds(epoch, rows.length + cells.rows.length);
    if (this.#recovered) {
      this.#folded.fold(rows);
      this.#folded.fold(cells.rows);
    } else {
      this.#folded.foldNewer(rows);
      this.#folded.foldCells(cells);
    }
  }

  /** The same with the rows of a log, before the first merge. */
  foldRecovered(epoch: number, rows: Uint8Array): void {
    this.#folds(epoch, rows.length);
    this.#folded.fold(rows);
    this.#recovered = true;
  }

  #folds(epoch: number, bytes: number): void {
    invariant(epoch === this.#foldedEpoch + 1, "epochs are folded one by one");
    this.#foldedEpoch = epoch;
    this.bytes += bytes;
  }

  /** Rows folded and not yet in the base, by key text; for recovery, before the first merge. */
  get overlay(): ReadonlyMap<string, Uint8Array | null> {
    invariant(this.#running === undefined, "the overlay is read before merges run");
    const overlay = new Map<string, Uint8Array | null>();
    const { places } = this.#folded;
    this.#folded.forEach((row) => {
      const { buffer, byteOffset, length } = places.key(row);
      overlay.set(Buffer.from(buffer, byteOffset, length).toString("latin1"), places.value(row) ?? null);
    });
    return overlay;
  }

  /** Starts a merge of what is folded. */
  start(now: number): void {
    invariant(!this.running, "one merge at a time");
    this.startedAt = now;
    const { size } = this.#folded;
    this.#running = { epoch: this.#foldedEpoch, rows: new OrderedRows(this.#folded.end(), size), next: 0 }; // G2
    this.#folded = new FoldedRows();
    this.#recovered = false;
    this.bytes = 0;
  }

  /** Applies one slice of the running merge, of at most so many rows; true when it was the last. */
  slice(rowsMax: number): boolean {
    const running = this.#running;
    invariant(running !== undefined, "a merge runs");
    const { places, length } = running.rows;
    const end = Math.min(length, running.next + rowsMax);
    const rows: Row[] = [];
    running.rows.order(end);
    places.touch(running.next, end);
    for (let row = running.next; row < end; row++) rows.push({ key: places.key(row), value: places.value(row) });
    running.next = end;
    if (end < length) {
      this.base.apply(rows);
      return false;
    }
    this.base.apply(rows, running.epoch);
    this.#running = undefined;
    return true;
  }
}
