/**
 * `throughput`: the hop workload, exactly once, on a real disk, against one-way unbatched `postMessage` in the same run.
 * Rounds of both alternate, and so does which of them goes first.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Application } from "../../lib/index.js";
import { start } from "../../lib/index.js";
import { median, spread } from "../statistics.js";
import { counter, keys } from "./hop.app.js";
import { PostMessagePair } from "./post-message.js";

export interface ThroughputOptions {
  readonly shards: number;
  readonly rounds: number;
  readonly chainsPerShard: number;
  /** Messages of one engine round. */
  readonly messages: number;
  /** Messages of one baseline round. */
  readonly baselineMessages: number;
  readonly log: (line: string) => void;
}

export interface ThroughputResult {
  readonly name: "throughput";
  readonly value: number;
  readonly unit: "msg/s";
  readonly baseline: number;
  readonly ratio: number;
  readonly rounds: number;
  readonly spread: number;
  /** Sum of all counters at the end: equal to the messages sent, or the run fails. */
  readonly checksum: number;
  readonly shards: number;
  readonly keys: number;
}

export async function throughput(options: ThroughputOptions): Promise<ThroughputResult> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  const pair = new PostMessagePair();
  try {
    const app = await start(new URL("./hop.app.js", import.meta.url), { dataDir, shards: options.shards });
    const engine = new HopRounds(app, options.chainsPerShard * options.shards, options.messages);
    await engine.round();
    await pair.round(options.baselineMessages);
    const rates = { engine: [] as number[], baseline: [] as number[] };
    for (let round = 0; round < options.rounds; round++) {
      const engineFirst = round % 2 === 0;
      if (engineFirst) rates.engine.push(await engine.round());
      rates.baseline.push(await pair.round(options.baselineMessages));
      if (!engineFirst) rates.engine.push(await engine.round());
      const millions = (list: number[]): string => `${((list.at(-1) as number) / 1e6).toFixed(2)} M/s`;
      options.log(`round ${round + 1}: ${millions(rates.engine)}, postMessage ${millions(rates.baseline)}`);
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
      rounds: options.rounds,
      spread: Number(spread(rates.engine).toFixed(2)),
      checksum,
      shards: options.shards,
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
  readonly #chains: number;
  readonly #hops: number;
  #sent = 0;

  constructor(app: Application, chains: number, messages: number) {
    this.#app = app;
    this.#chains = chains;
    this.#hops = Math.max(1, Math.round(messages / chains)) - 1;
  }

  /** Messages per second, from the first send to the commit after the last message. */
  async round(): Promise<number> {
    const messages = this.#chains * (this.#hops + 1);
    this.#sent += messages;
    const began = performance.now();
    for (let chain = 0; chain < this.#chains; chain++) {
      const userId = `user-${Math.floor((chain * keys) / this.#chains)}`;
      void this.#app.send(counter.at(userId), { userId, amount: 1, hops: this.#hops });
    }
    await this.#app.drained();
    return (messages / (performance.now() - began)) * 1000;
  }

  /** Reads every counter; the sum must be what was sent. */
  async verify(): Promise<number> {
    let sum = 0;
    const batch = 1_000;
    for (let first = 0; first < keys; first += batch) {
      const ids = Array.from({ length: Math.min(batch, keys - first) }, (_, n) => `user-${first + n}`);
      const counts = await Promise.all(
        ids.map((userId) => this.#app.ask(counter.at(userId), { userId, amount: 0, hops: 0 })),
      );
      for (const count of counts) sum += count;
    }
    if (sum !== this.#sent) throw new Error(`not exactly once: ${this.#sent} messages, counters say ${sum}`);
    return sum;
  }
}
