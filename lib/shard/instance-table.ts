/**
 * The instances of one function type in a shard's memory, by id: a hash table with open addressing that is given the
 * hash, as the shard needs it anyway to know the key group. Measured against a Map by id: 130 ns to 180 for 5,000
 * addresses, 640 to 1,210 for a million, where every line touched is a line missed.
 *
 * Owner and thread: the shard.
 * T1. Between the home slot of an instance, which its hash says, and its own none is empty.
 * T2. At most half of the slots are taken.
 * T3. The home slot comes from the upper bits of a product with the hash: the lower bits of the hashes of a shard are those
 *     of its key groups, so homes by these would lie in one half of the slots, or less, and the runs of taken slots be long.
 * T4. Instances lie far apart in memory, and each that is looked at is waited for. So those that will be looked at soon are
 *     touched first, in a loop that does nothing else: loads that do not depend on each other wait at the same time.
 */
import { invariant } from "../base/invariant.js";
import { touchedTogether } from "../base/limits.js";
import type { Instance } from "./instance.js";

const slotsMin = 64;
const goldenRatio = 0x9e3779b1;

export class InstanceTable {
  #slots: (Instance | undefined)[] = new Array(slotsMin).fill(undefined);
  #mask = slotsMin - 1;
  /** 32 less the bits of a slot's number. */
  #shift = 32 - Math.log2(slotsMin);
  #size = 0;
  #swept = 0;
  /** Nobody reads it; it keeps the compiler from leaving loads out (T4). */
  #touched = 0;

  get size(): number {
    return this.#size;
  }

  /**
   * One look at every slot, from where the last sweep ended. When some are added or removed in the meantime, any may be
   * missed or given twice. What is swept out leaves gaps all over the table: a sweep slot by slot, ended when there is
   * room enough and begun anew, emptied one stretch again and again while all others filled up (measured: runs of 750,000
   * taken slots in a table that was a quarter full).
   */
  *sweep(): Generator<Instance> {
    for (let left = this.#slots.length; left > 0; left--) {
      if (this.#swept % touchedTogether === 0) this.#touchAhead();
      const instance = this.#slots[this.#slotOfSweep(this.#swept++)];
      if (instance !== undefined) yield instance;
    }
  }

  /** Every slot once, as the factor is odd. */
  #slotOfSweep(step: number): number {
    return Math.imul(step, goldenRatio) & this.#mask;
  }

  /** T4 */
  #touchAhead(): void {
    for (let step = this.#swept; step < this.#swept + touchedTogether; step++) {
      const instance = this.#slots[this.#slotOfSweep(step)];
      if (instance !== undefined) this.#touched ^= instance.dirtyEpoch ^ instance.held;
    }
  }

  /** Loads what `find` will look at, and of the instance what a turn needs (T4). */
  touch(hash: number): void {
    const slots = this.#slots;
    let slot = this.#home(hash);
    let instance = slots[slot];
    while (instance !== undefined && instance.hash !== hash) {
      slot = (slot + 1) & this.#mask;
      instance = slots[slot];
    }
    if (instance !== undefined) this.#touched ^= instance.dirtyEpoch ^ instance.held ^ instance.id.length;
  }

  find(id: string, hash: number): Instance | undefined {
    const slots = this.#slots;
    for (let slot = this.#home(hash); ; slot = (slot + 1) & this.#mask) {
      const instance = slots[slot];
      if (instance === undefined) return undefined; // T1, T2
      if (instance.hash === hash && instance.id === id) return instance;
    }
  }

  /** Adds an instance that is not in the table. */
  add(instance: Instance): void {
    if (2 * ++this.#size > this.#slots.length) this.#grow();
    this.#put(instance);
  }

  /** Takes an instance out; what stood behind its slot because of it moves up (T1). */
  remove(instance: Instance): void {
    const slots = this.#slots;
    const mask = this.#mask;
    let hole = this.#home(instance.hash);
    while (slots[hole] !== instance) {
      invariant(slots[hole] !== undefined, "an instance that is removed is in its table");
      hole = (hole + 1) & mask;
    }
    for (let slot = (hole + 1) & mask; slots[slot] !== undefined; slot = (slot + 1) & mask) {
      const fromHome = (slot - this.#home((slots[slot] as Instance).hash)) & mask;
      if (fromHome < ((slot - hole) & mask)) continue; // its home lies behind the hole
      slots[hole] = slots[slot];
      hole = slot;
    }
    slots[hole] = undefined;
    this.#size--;
  }

  /** T3 */
  #home(hash: number): number {
    return Math.imul(hash, goldenRatio) >>> this.#shift;
  }

  #put(instance: Instance): void {
    let slot = this.#home(instance.hash);
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & this.#mask;
    this.#slots[slot] = instance;
  }

  #grow(): void {
    const slots = this.#slots;
    const capacity = 2 * slots.length;
    this.#slots = new Array(capacity).fill(undefined);
    this.#mask = capacity - 1;
    this.#shift--;
    for (const instance of slots) if (instance !== undefined) this.#put(instance);
  }
}
