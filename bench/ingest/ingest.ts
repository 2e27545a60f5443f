/**
 * `ingest`: an NDJSON file, read by one split per shard (`--splits` says otherwise), routed to accounts and applied exactly
 * once, against `JSON.parse` of each of its lines alone. Rounds of both alternate, and so does which of them goes first.
 */
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Application, start } from "../../lib/index.js";
import type { BenchOptions, BenchResult } from "../bench.js";
import { decimals, median, spread } from "../statistics.js";
import { type OrdersFile, writeOrders } from "./orders.js";

const MB = 1e6;
/** Accounts asked at once at the end of a round. */
const askBatch = 1_000;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log } = options;
  const rounds = options.rounds ?? (quick ? 1 : 5);
  const shards = options.shards ?? 2;
  const splits = options.splits ?? shards;
  const accounts = options.keys ?? (quick ? 1_000 : 10_000);
  const directory = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  try {
    const path = join(directory, "orders.ndjson");
    process.env.HOLDFAST_BENCH_SPLITS = String(splits);
    process.env.HOLDFAST_BENCH_FILE = path; // read by the application, in this thread and in those that start from here on
    const file = writeOrders(path, quick ? 2 * MB : 200 * MB, accounts);
    const text = readFileSync(path, "latin1");
    const rates = { engine: [] as number[], baseline: [] as number[] };
    for (let round = -1; round < rounds; round++) {
      const engine = async (): Promise<number> => ingested(join(directory, `data-${round}`), file, accounts, shards);
      const parse = async (): Promise<number> => parsed(text, file);
      const [first, second] = round % 2 === 0 ? [engine, parse] : [parse, engine];
      const [one, two] = [await first(), await second()];
      if (round < 0) continue; // warm
      rates.engine.push(first === engine ? one : two);
      rates.baseline.push(first === engine ? two : one);
      log(
        `round ${round + 1}: ${rates.engine[round].toFixed(1)} MB/s, parsing alone ${rates.baseline[round].toFixed(1)}`,
      );
    }
    const value = median(rates.engine);
    const baseline = median(rates.baseline);
    return {
      name: "ingest",
      value: decimals(value, 1),
      unit: "MB/s",
      baseline: decimals(baseline, 1),
      ratio: decimals(value / baseline, 2),
      rounds,
      spread: decimals(spread(rates.engine), 2),
      checksum: file.cents,
      shards,
      splits,
      accounts,
      orders: file.orders,
      bytesPerOrder: Math.round(file.bytes / file.orders),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** MB/s from the word to begin to the commit after the last order; the accounts must hold every order once. */
async function ingested(dataDir: string, file: OrdersFile, accounts: number, shards: number): Promise<number> {
  const { beginChannel } = await import("./ingest.app.js"); // here, as the file's name is known now
  const app = await start(new URL("./ingest.app.js", import.meta.url), { dataDir, shards });
  const channel = new BroadcastChannel(beginChannel);
  try {
    const began = performance.now();
    channel.postMessage("begin");
    await app.drained();
    const seconds = (performance.now() - began) / 1000;
    await verify(app, file, accounts);
    return file.bytes / MB / seconds;
  } finally {
    channel.close();
    await app.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function verify(app: Application, file: OrdersFile, accounts: number): Promise<void> {
  const { account } = await import("./ingest.app.js");
  let cents = 0;
  for (let first = 0; first < accounts; first += askBatch) {
    const numbers = Array.from({ length: Math.min(askBatch, accounts - first) }, (_, n) => first + n);
    const sums = await Promise.all(numbers.map((n) => app.ask(account.at(`acct-${n}`), { kind: "report" })));
    for (const sum of sums) cents += sum;
  }
  if (cents !== file.cents) throw new Error(`not exactly once: ${file.cents} cents ordered, accounts say ${cents}`);
}

/** MB/s of the baseline: the file is in memory and decoded, its lines are cut out and parsed. */
function parsed(text: string, file: OrdersFile): number {
  const began = performance.now();
  let cents = 0;
  for (let from = 0; from < text.length; ) {
    const to = text.indexOf("\n", from);
    cents += (JSON.parse(text.slice(from, to)) as { cents: number }).cents;
    from = to + 1;
  }
  const seconds = (performance.now() - began) / 1000;
  if (cents !== file.cents) throw new Error(`the baseline read ${cents} cents of ${file.cents}`);
  return file.bytes / MB / seconds;
}
