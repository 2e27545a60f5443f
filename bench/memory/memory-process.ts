/** The process that the `memory` bench looks at: an engine, empty at first, then full of addresses. */
import { start } from "../../lib/index.js";
import { keyGroupOf, shardOfKeyGroup } from "../../lib/partition/key-groups.js";
import { childArgument, giveResult } from "../child-process.js";
import { atRest, type Resident } from "../resident.js";
import { filler, fillerTurns, heap, member, total, type Work } from "./crowd.app.js";
import { Watch } from "./watch.js";

/** What to do. */
export interface MemoryTask {
  readonly dataDir: string;
  readonly shards: number;
  readonly addresses: number;
  /** Addresses a shard keeps in memory; undefined for all. */
  readonly residentMax: number | undefined;
}

/** What was seen; bytes. */
export interface MemoryReport {
  readonly empty: Resident;
  /** At the end, when everything is merged, collected and idle. */
  readonly full: Resident;
  /** Of the second half of the filling: the median, and the most. */
  readonly plateau: Resident;
  readonly plateauMax: Resident;
  /** Heaps of the shard threads after a collection, all together. */
  readonly emptyHeap: number;
  readonly fullHeap: number;
  readonly seconds: number;
  readonly sum: number;
}

const keyGroups = 128;
const fillersPerShard = 4;
/** More counts than this are not summed, but counted by turns and looked at in samples. */
const summedMax = 2_000_000;
const samples = 10_000;

const task = childArgument<MemoryTask>();
const app = await start(new URL("./crowd.app.js", import.meta.url), {
  dataDir: task.dataDir,
  shards: task.shards,
  keyGroups,
  ...(task.residentMax === undefined ? {} : { residentMax: task.residentMax }),
});
await touchEverything();
const emptyHeap = await heaps();
const empty = await atRest();
const watch = new Watch();
const began = performance.now();
const turnsBefore = app.status().turns;
const works = await fill("");
const seconds = (performance.now() - began) / 1000;
const { plateau, plateauMax } = watch.end();
const turns = app.status().turns - turnsBefore - works.reduce((sum, work) => sum + fillerTurns(work), 0);
await atRest();
const fullHeap = await heaps();
const full = await atRest(); // after the collection
const sum = await counted(turns);
giveResult({ empty, full, plateau, plateauMax, emptyHeap, fullHeap, seconds, sum } satisfies MemoryReport);
await app.stop();

/** What every start needs once, compiled code above all, belongs to the empty engine. */
async function touchEverything(): Promise<void> {
  await app.ask(member.at("somebody"), { report: "" });
  await app.drained();
}

/** Has every member counted up, or reported; resolves when all of it is committed. */
async function fill(sumAt: string): Promise<readonly Work[]> {
  const fillers = fillersPerShard * task.shards;
  const place = (n: number): number => Math.floor((n * task.addresses) / fillers);
  const works = Array.from({ length: fillers }, (_, n) => ({ next: place(n), end: place(n + 1), sumAt }));
  await Promise.all(works.map((work, n) => app.send(filler.at(idOfShard(`filler-${n}`, n % task.shards)), work)));
  await app.drained();
  return works.filter(({ next, end }) => next < end);
}

/** An id that begins so and lives in a shard. */
function idOfShard(prefix: string, shard: number): string {
  for (let n = 0; ; n++) {
    const id = `${prefix}-${n}`;
    if (shardOfKeyGroup(keyGroupOf(id, keyGroups), keyGroups, task.shards) === shard) return id;
  }
}

/** Bytes that the heaps of all shard threads hold. */
async function heaps(): Promise<number> {
  let bytes = 0;
  for (let shard = 0; shard < task.shards; shard++) bytes += await app.ask(heap.at(idOfShard("heap", shard)), null);
  return bytes;
}

/** The sum of all counts. @throws when something counted twice or not at all */
async function counted(turns: number): Promise<number> {
  const { addresses } = task;
  if (turns !== addresses) throw new Error(`not exactly once: ${addresses} messages, ${turns} turns`);
  if (addresses <= summedMax) {
    await fill("sum");
    return app.ask(total.at("sum"), "sum");
  }
  const ids = Array.from({ length: samples }, (_, n) => `user-${Math.floor((n * addresses) / samples)}`);
  const counts = await Promise.all(ids.map((id) => app.ask(member.at(id), { report: "" })));
  if (counts.some((count) => count !== 1)) throw new Error("not exactly once: a counter is not 1");
  return turns;
}
