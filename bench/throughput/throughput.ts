/**
 * `throughput`: the hop workload, exactly once, on a real disk, against one-way unbatched `postMessage` in the same run.
 * Rounds of both alternate, and so does which of them goes first.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Application } from "../../lib/index.js";
import { start } from "../../lib/index.js";
import type { BenchOptions, BenchResult } from "../bench.js";
import { median, spread } from "../statistics.js";
import { counter } from "./hop.app.js";
import { PostMessagePair } from "./post-message.js";

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log } = options;
  const rounds = options.rounds ?? (quick ? 3 : 7);
  const shards = options.shards ?? 2;
  const keys = options.keys ?? 10_000;
  const chains = shards * (options.chains ?? 500);
  const baselineMessages = quick ? 200_000 : 1_000_000;
  process.env.HOLDFAST_BENCH_KEYS = String(keys); // read by the threads that start from here on
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  const pair = new PostMessagePair();
  try {
    const app = await start(new URL("./hop.app.js", import.meta.url), { dataDir, shards });
    const engine = new HopRounds(app, keys, chains, options.messages ?? (quick ? 500_000 : 5_000_000));
    await engine.round();
    await pair.round(baselineMessages);
    const rates = { engine: [] as number[], baseline: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      const engineFirst = round % 2 === 0;
      if (engineFirst) rates.engine.push(await engine.round());
      rates.baseline.push(await pair.round(baselineMessages));
      if (!engineFirst) rates.engine.push(await engine.round());
      const millions = (list: number[]): string => `${((list.at(-1) as number) / 1e6).toFixed(2)} M/s`;
      log(`round ${round + 1}: ${millions(rates.engine)}, postMessage ${millions(rates.baseline)}`);
    }
    const checksum = await engine.verify();
    await app.stop();
    const value = median(rates.engine);
    const baseline = median(rates.baseline);
    return {
      name: "throughput",
      value: Math.round(value),
      unit: "msg/s",
      baseline: Math.round(baseline),
      ratio: Number((value / baseline).toFixed(2)),
      rounds,
      spread: Number(spread(rates.engine).toFixed(2)),
      checksum,
      shards,
      keys,
    };
  } finally {
    await pair.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

/** Rounds of the hop workload on one running application. */
class HopRounds {
  readonly #app: Application;
  readonly #keys: number;
  readonly #chains: number;
  readonly #hops: number;
  #sent = 0;

  constructor(app: Application, keys: number, chains: number, messages: number) {
    this.#app = app;
    this.#keys = keys;
    this.#chains = chains;
    this.#hops = Math.max(1, Math.round(messages / chains)) - 1;
  }

  /** Messages per second, from the first send to the commit after the last message. */
  async round(): Promise<number> {
    const messages = this.#chains * (this.#hops + 1);
    this.#sent += messages;
    const began = performance.now();
    for (let chain = 0; chain < this.#chains; chain++) {
      const userId = `user-${Math.floor((chain * this.#keys) / this.#chains)}`;
      void this.#app.send(counter.at(userId), { userId, amount: 1, hops: this.#hops });
    }
    await this.#app.drained();
    return (messages / (performance.now() - began)) * 1000;
  }

  /** Reads every counter; the sum must be what was sent. */
  async verify(): Promise<number> {
    let sum = 0;
    const batch = 1_000;
    for (let first = 0; first < this.#keys; first += batch) {
      const ids = Array.from({ length: Math.min(batch, this.#keys - first) }, (_, n) => `user-${first + n}`);
      const counts = await Promise.all(
        ids.map((userId) => this.#app.ask(counter.at(userId), { userId, amount: 0, hops: 0 })),
      );
      for (const count of counts) sum += count;
    }
    if (sum !== this.#sent) throw new Error(`not exactly once: ${this.#sent} messages, counters say ${sum}`);
    return sum;
  }
}
