/** The process that the `timers` bench looks at: an engine, empty at first, then with pending delayed messages. */
import { setTimeout as pause } from "node:timers/promises";
import { start } from "../../lib/index.js";
import { keyGroupOf, shardOfKeyGroup } from "../../lib/partition/key-groups.js";
import { childArgument, giveResult } from "../child-process.js";
import { atRest, type Resident } from "../resident.js";
import { clockmaker, setter, type Work, wallNow } from "./alarms.app.js";

/** What to do. */
export interface TimersTask {
  readonly dataDir: string;
  readonly shards: number;
  /** Delayed messages that stay pending. */
  readonly pending: number;
  /** Delayed messages that come due, and how many of them in a second. */
  readonly due: number;
  readonly perSecond: number;
  /** Time to set those that come due, in milliseconds. */
  readonly leadMs: number;
}

/** What was seen. */
export interface TimersReport {
  readonly empty: Resident;
  readonly full: Resident;
  /** Setting those that stay pending took so long. */
  readonly seconds: number;
  /** Milliseconds, ascending. */
  readonly lateness: readonly number[];
}

const keyGroups = 128;
const settersPerShard = 4;
/** Those that stay pending are due in an hour at the earliest. */
const farMs = 3_600_000;
/** How long to wait for the last one at most. */
const patienceMs = 60_000;

const task = childArgument<TimersTask>();
const app = await start(new URL("./alarms.app.js", import.meta.url), {
  dataDir: task.dataDir,
  shards: task.shards,
  keyGroups,
});
await set(task.shards, { firstMs: 0, everyMs: 0 }); // compiled code, and all else that is needed once
await collect(task.shards);
const empty = await atRest();
const began = performance.now();
await set(task.pending, { firstMs: farMs, everyMs: 1 });
const seconds = (performance.now() - began) / 1000;
const full = await atRest();
await set(task.due, { firstMs: task.leadMs, everyMs: 1_000 / task.perSecond });
const lateness = await collect(task.due);
giveResult({ empty, full, seconds, lateness: [...lateness.sort()] } satisfies TimersReport);
await app.stop();

/** Sets so many delayed messages, the setters in turn: with several of them all instants are dense. */
async function set(count: number, { firstMs, everyMs }: Pick<Work, "firstMs" | "everyMs">): Promise<void> {
  const setters = settersPerShard * task.shards;
  const from = wallNow();
  const sent: Promise<void>[] = [];
  for (let n = 0; n < setters; n++) {
    const share = Math.floor(((n + 1) * count) / setters) - Math.floor((n * count) / setters);
    const work: Work = { next: 0, end: share, from, firstMs: firstMs + n * everyMs, everyMs: everyMs * setters };
    sent.push(app.send(setter.at(idOfShard(`setter-${n}`, n % task.shards)), work));
  }
  await Promise.all(sent);
  await app.drained();
}

/** How late all messages were, once so many have come. */
async function collect(count: number): Promise<Float64Array> {
  const found: number[] = [];
  const until = performance.now() + patienceMs;
  while (found.length < count) {
    if (performance.now() > until) throw new Error(`not exactly once: ${found.length} of ${count} came`);
    await pause(500);
    for (let shard = 0; shard < task.shards; shard++) {
      for (const late of await app.ask(clockmaker.at(idOfShard("clockmaker", shard)), null)) found.push(late);
    }
  }
  if (found.length !== count) throw new Error(`not exactly once: ${found.length} came, ${count} were sent`);
  return Float64Array.from(found);
}

/** An id that begins so and lives in a shard. */
function idOfShard(prefix: string, shard: number): string {
  for (let n = 0; ; n++) {
    const id = `${prefix}-${n}`;
    if (shardOfKeyGroup(keyGroupOf(id, keyGroups), keyGroups, task.shards) === shard) return id;
  }
}
