/** The process that measures one point of the scale curve. */
import { start } from "../../lib/index.js";
import { childArgument, giveResult } from "../child-process.js";
import { filler, fillerTurns, walker } from "./walk.app.js";

/** What to measure. */
export interface WalkTask {
  readonly dataDir: string;
  readonly shards: number;
  readonly keys: number;
  readonly chains: number;
  /** Characters of text in each message. */
  readonly textLength: number;
  readonly rounds: number;
  /** Messages of one round, about. */
  readonly messages: number;
}

/** What was measured. */
export interface WalkReport {
  /** Messages per second, of each round. */
  readonly rates: readonly number[];
  readonly messages: number;
}

const fillers = 8;

const task = childArgument<WalkTask>();
const app = await start(new URL("./walk.app.js", import.meta.url), { dataDir: task.dataDir, shards: task.shards });
const hops = Math.max(1, Math.round(task.messages / task.chains));
const text = "x".repeat(task.textLength);
let turns = await fill();
await round(); // warm
const rates: number[] = [];
for (let n = 0; n < task.rounds; n++) rates.push(await round());
turns += (task.rounds + 1) * task.chains * hops;
const found = app.status().turns;
if (found !== turns) throw new Error(`not exactly once: ${turns} messages, ${found} turns`);
giveResult({ rates, messages: turns } satisfies WalkReport);
await app.stop();

/** Writes every key; returns the turns that took. */
async function fill(): Promise<number> {
  const place = (n: number): number => Math.floor((n * task.keys) / fillers);
  const works = Array.from({ length: fillers }, (_, n) => ({ next: place(n), end: place(n + 1) }));
  await Promise.all(works.map((work, n) => app.send(filler.at(`filler-${n}`), work)));
  await app.drained();
  return works.reduce((sum, work) => sum + Math.max(1, fillerTurns(work)), task.keys);
}

async function round(): Promise<number> {
  const began = performance.now();
  for (let chain = 0; chain < task.chains; chain++) {
    const key = Math.floor((chain * task.keys) / task.chains);
    void app.send(walker.at(`user-${key}`), { key, hops: hops - 1, text });
  }
  await app.drained();
  return (task.chains * hops * 1000) / (performance.now() - began);
}
