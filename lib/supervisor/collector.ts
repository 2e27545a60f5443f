/**
 * How V8 collects garbage in this process. Thread: main. Both flags hold for the whole process, and V8 reads them at each
 * collection, so that they may be set while threads run.
 *
 * Helpers: V8 splits a collection of new objects among helper threads, and the thread that collects waits for all of them.
 * With a shard on every core a helper has no core of its own: it waits for one behind the shards, and its shard waits for it.
 *
 * Growth: V8 lets a heap grow to four times of what the last collection left. Addresses that leave memory are old by then,
 * so the heap of a shard that keeps few of many addresses is mostly garbage: that is what `residentMax` is to prevent. What
 * dies while V8 marks outlives that collection, and a large heap is long in marking: growth by a fifth only keeps it small.
 */
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { residentFewMax } from "../base/limits.js";

/** Sets both as the number of shards, and of addresses that each keeps in memory, suggest. */
export function tuneCollector(shards: number, residentMax: number): void {
  if (shards >= availableParallelism()) setFlagsFromString("--no-parallel-scavenge");
  if (residentMax < residentFewMax) setFlagsFromString("--heap-growing-percent=20");
}
