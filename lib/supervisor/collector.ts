/**
 * The garbage collector of this process, where every core has a shard. Thread: main.
 *
 * V8 splits a collection of new objects among helper threads, and the thread that collects waits for all of them. With a
 * shard on every core a helper has no core of its own: it waits for one behind the shards, and its shard waits for it. So
 * the helpers are left out: collections of young objects only, of every thread in the process.
 */
import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";

/** V8 looks at this flag at the beginning of each such collection. */
export function collectWithoutHelpers(shards: number): void {
  if (shards >= availableParallelism()) setFlagsFromString("--no-parallel-scavenge");
}
