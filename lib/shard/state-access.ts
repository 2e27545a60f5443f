/**
 * A shard's instances and their cells: resolved on demand, read from the base, written copy-on-write for captures,
 * evicted when idle, clean and merged.
 *
 * Owner and thread: the shard.
 * S1. One instance object per address while anything refers to it: only an instance with `held === 0` is evicted.
 * S2. A cell written in epoch e is in the delta of e + 1. It may be dropped only when the base's own epoch row, read in
 *     the view that later reads will use or an older one, is at least e + 1.
 * S3. Views only move forward, so a read after an eviction sees at least what the eviction saw.
 * S4. A handle names one cell from its first write until it is dropped. By S2 nothing of it waits for a merge then, so
 *     the next cell may have it.
 * S5. Turns wait for merges of what was written, never for instances that merges cannot free: those would wait for ever.
 * S6. What is above the limit and was not written lately is swept out faster than turns add to it: a step of a sweep in a
 *     sparse table frees fewer instances than a step of turns makes.
 */
import { invariant } from "../base/invariant.js";
import { Queue } from "../base/queue.js";
import type { PayloadCodec } from "../codec/payload-codec.js";
import { freezePlain } from "../codec/plain-data.js";
import { keyGroupOfHash } from "../partition/key-groups.js";
import { stateKey } from "../store/row-key.js";
import { CellList } from "./cell-list.js";
import { ABSENT, FurtherCell, Instance, type Message, type StateCell, UNREAD } from "./instance.js";
import type { ShardConfig, ShardLimits } from "./ports.js";
import type { Column, FunctionEntry, Registry } from "./registry.js";
import type { Rows } from "./rows.js";
import { decodeStateValue, expiryOf, NEVER } from "./state-value.js";

/** Places looked at by one step of an eviction sweep, and when sweeps are behind. */
const sweepPerStepMax = 512;
const sweepBehindPerStepMax = 4_096;

export class StateAccess {
  /** Instances in memory. */
  resident = 0;
  /** Cells written since the last capture, and the list of the epoch before. */
  #dirty = new CellList();
  #spare = new CellList();
  /** Captured epochs that the base may not have, and how many cells each has; the oldest first. */
  readonly #unmerged = new Queue<{ readonly epoch: number; readonly cells: number }>();
  #unmergedCells = 0;
  /** The largest handle that was ever given out, and those that no cell has any more (S4). */
  #handles = 0;
  readonly #freeHandles: number[] = [];
  readonly #registry: Registry;
  readonly #rows: Rows;
  readonly #codec: PayloadCodec;
  readonly #limits: ShardLimits;
  /** What was configured, or less where memory has less room. */
  #residentMax = Number.POSITIVE_INFINITY;
  #unmergedMax = Number.POSITIVE_INFINITY;
  readonly #keyGroups: number;
  readonly #wall: () => number;
  #sweep: Iterator<Instance> | undefined;
  #sweepEpoch = -1;

  constructor(
    registry: Registry,
    rows: Rows,
    codec: PayloadCodec,
    { keyGroups, limits }: ShardConfig,
    wall: () => number,
  ) {
    this.#wall = wall;
    this.#registry = registry;
    this.#rows = rows;
    this.#codec = codec;
    this.#limits = limits;
    this.fitInto(Number.POSITIVE_INFINITY);
    this.#keyGroups = keyGroups;
  }

  /** Memory has room for so many instances. Where that is the limit, what merges have to wait for is in the room, too. */
  fitInto(room: number): void {
    const { residentInstancesMax, unmergedCellsMin } = this.#limits;
    const fits = residentInstancesMax <= room;
    this.#residentMax = fits ? residentInstancesMax : room;
    this.#unmergedMax = fits ? Math.max(unmergedCellsMin, residentInstancesMax) : Math.floor(room / 2);
  }

  /** More instances are in memory than should be. */
  get crowded(): boolean {
    return this.resident > this.#residentMax;
  }

  /**
   * So many cells were written to instances above the limit that only merges make room for more: turns wait (S5). Asked
   * again before the shard falls asleep, as its last step may have made the room.
   */
  get outpaced(): boolean {
    return this.crowded && this.#unmergedCells + this.#dirty.length > this.#unmergedMax;
  }

  touch({ entry, hash }: Message): void {
    entry.instances.touch(hash);
  }

  /** The instance of a message's address. */
  resolve({ entry, id, hash }: Message): Instance {
    return entry.instances.find(id, hash) ?? this.#add(new Instance(entry, id, hash));
  }

  /** The instance of an address. */
  instance(entry: FunctionEntry, id: string, hash: number): Instance {
    return entry.instances.find(id, hash) ?? this.#add(new Instance(entry, id, hash));
  }

  #add(instance: Instance): Instance {
    instance.entry.instances.add(instance);
    this.resident++;
    return instance;
  }

  cell(instance: Instance, column: Column): StateCell {
    if (column.index === 0) {
      if (instance.value === UNREAD) this.#load(instance);
      return instance;
    }
    instance.others ??= new Array(instance.entry.columns.length - 1).fill(undefined);
    let cell = instance.others[column.index - 1];
    if (cell === undefined) {
      cell = new FurtherCell(instance, column);
      this.#load(cell);
      instance.others[column.index - 1] = cell;
    }
    return cell;
  }

  /** Writes a value in an epoch. The value before this epoch's first write stays visible to an open capture. */
  write(cell: StateCell, value: unknown, mutable: boolean, epoch: number): void {
    if (cell.dirtyEpoch !== epoch) {
      invariant(cell.dirtyEpoch < epoch, "cells are written in ascending epochs");
      cell.captured = cell.value;
      cell.dirtyEpoch = epoch;
      if (cell.handle === 0) cell.handle = this.#freeHandles.pop() ?? ++this.#handles;
      this.#dirty.add(cell);
    }
    cell.value = value;
    cell.mutable = mutable;
  }

  /** The cells written since the last capture, for the delta of an epoch. The list is the capture's until the next call. */
  takeDirty(epoch: number): CellList {
    const dirty = this.#dirty;
    this.#dirty = this.#spare;
    this.#dirty.begin();
    this.#spare = dirty;
    this.#forgetMerged();
    if (dirty.length > 0) {
      this.#unmerged.push({ epoch, cells: dirty.length });
      this.#unmergedCells += dirty.length;
    }
    return dirty;
  }

  /** A merge has ended after which instances may be dropped. */
  mayEvict(): boolean {
    return this.crowded && this.#sweep === undefined && this.#rows.baseEpoch() !== this.#sweepEpoch;
  }

  #forgetMerged(): void {
    if (this.#unmerged.length === 0) return;
    const baseEpoch = this.#rows.baseEpoch();
    for (let oldest = this.#unmerged.peek(); oldest !== undefined; oldest = this.#unmerged.peek()) {
      if (oldest.epoch > baseEpoch) return;
      this.#unmerged.shift();
      this.#unmergedCells -= oldest.cells;
    }
  }

  /** One slice of eviction when there are too many residents. Returns the amount of work. */
  evict(): number {
    if (!this.crowded) return 0;
    this.#forgetMerged();
    if (this.#sweep === undefined) {
      const epoch = this.#rows.baseEpoch(); // S2
      if (epoch === this.#sweepEpoch) return 0; // nothing was merged since the last sweep
      this.#sweepEpoch = epoch;
      this.#sweep = this.#everyInstance();
    }
    const isBehind = this.resident > this.#residentMax + this.#unmergedMax; // S6
    const looks = isBehind ? sweepBehindPerStepMax : sweepPerStepMax;
    for (let looked = 0; looked < looks; looked++) {
      const { value: instance, done } = this.#sweep.next();
      if (done || !this.crowded) {
        this.#sweep = undefined;
        return 0; // a sweep that frees nothing must not keep the shard awake
      }
      if (this.mayDrop(instance, this.#sweepEpoch)) this.#drop(instance);
    }
    return 1;
  }

  /** S1 and S2. */
  mayDrop(instance: Instance, baseEpoch: number): boolean {
    if (instance.held !== 0 || instance.state !== "ready") return false;
    if (!isMerged(instance, baseEpoch)) return false;
    for (const cell of instance.others ?? []) if (cell !== undefined && !isMerged(cell, baseEpoch)) return false;
    return true;
  }

  #drop(instance: Instance): void {
    this.#giveBack(instance.handle);
    for (const cell of instance.others ?? []) if (cell !== undefined) this.#giveBack(cell.handle);
    instance.entry.instances.remove(instance);
    this.resident--;
  }

  /** S4 */
  #giveBack(handle: number): void {
    if (handle !== 0) this.#freeHandles.push(handle);
  }

  *#everyInstance(): Generator<Instance> {
    for (const entry of this.#registry.byName.values()) yield* entry.instances.sweep();
  }

  #load(cell: StateCell): void {
    const { instance, column } = cell;
    const keyGroup = keyGroupOfHash(instance.hash, this.#keyGroups);
    const bytes = this.#rows.committed(stateKey(keyGroup, column.code, instance.storedId));
    const expiry = bytes === undefined ? NEVER : expiryOf(bytes);
    // What expired: its declaration had a time to live when it was written.
    if (bytes === undefined || (expiry !== NEVER && expiry <= this.#wall())) {
      cell.value = ABSENT;
      return;
    }
    const { value, mutable } = freezePlain(decodeStateValue(this.#codec, bytes), `state ${column.name}`);
    cell.value = value;
    cell.mutable = mutable;
  }
}

/** S2: the base has what was written to the cell. */
function isMerged(cell: StateCell, baseEpoch: number): boolean {
  return cell.dirtyEpoch === -1 || cell.dirtyEpoch + 1 <= baseEpoch;
}
