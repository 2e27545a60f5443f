/**
 * How many instances the heap of a shard's thread has room for.
 *
 * Owner and thread: the shard's, one per generation. Reading what a heap holds says little, as most of it may be garbage;
 * right after V8 has collected all of it, it says what lives. A weak reference tells that: only such a collection ends it.
 *
 * Why half of the heap at most: V8 collects when the heap has grown halfway to its limit, at the latest; what was written
 * meanwhile cannot leave memory before it is merged; and what has left is garbage until the next collection.
 */
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { resourceLimits } from "node:worker_threads";
import { MiB, residentHeapShareMax, residentInstancesMin, residentMemoryShareMax } from "../base/limits.js";

export class HeapRoom {
  /** Bytes that instances, and all else that lives in this heap, may take. */
  readonly #bytesMax: number;
  #sinceCollection = new WeakRef({});
  #room = Number.POSITIVE_INFINITY;

  constructor(shards: number) {
    const memory = Math.min(totalmem(), process.constrainedMemory() || totalmem()); // 0 where no limit is known
    const young = (resourceLimits.maxYoungGenerationSizeMb ?? 0) * MiB;
    const old = getHeapStatistics().heap_size_limit - young; // `resourceLimits` know nothing of --max-old-space-size
    this.#bytesMax = Math.min((memory * residentMemoryShareMax) / shards, old * residentHeapShareMax);
  }

  /** Instances that there is room for, when there are so many now; measured after each collection of the whole heap. */
  for(resident: number): number {
    if (this.#sinceCollection.deref() !== undefined) return this.#room;
    this.#sinceCollection = new WeakRef({});
    const { used_heap_size, external_memory } = getHeapStatistics();
    this.#room = roomIn(this.#bytesMax, used_heap_size + external_memory, resident);
    return this.#room;
  }
}

/**
 * Instances that fit, when so many bytes live beside so many instances: in proportion, and any number while less than half
 * of the room is taken, as few instances weigh next to nothing beside what every heap holds.
 */
export function roomIn(bytesMax: number, bytes: number, resident: number): number {
  if (2 * bytes < bytesMax) return Number.POSITIVE_INFINITY;
  return Math.max(residentInstancesMin, Math.floor((resident * bytesMax) / bytes));
}
