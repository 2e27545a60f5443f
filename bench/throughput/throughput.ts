/**
 * `throughput`: the hop workload, exactly once, on a real disk, against one-way unbatched `postMessage` in the same run.
 * Rounds of both alternate, and so does which of them goes first.
 */
import type { BenchOptions, BenchResult } from "../bench.js";
import { median, millions, rounded, spread } from "../statistics.js";
import { HopRun } from "./hop-run.js";
import { PostMessagePair } from "./post-message.js";

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log, keys = 10_000, shards = 2 } = options;
  const rounds = options.rounds ?? (quick ? 3 : 7);
  const chains = shards * (options.chains ?? 500);
  const messages = options.messages ?? (quick ? 500_000 : 5_000_000);
  const baselineMessages = quick ? 200_000 : 1_000_000;
  const pair = new PostMessagePair();
  const engine = await HopRun.start({ shards, keys, chains, messages, log });
  try {
    await engine.round();
    await pair.round(baselineMessages);
    const rates = { engine: [] as number[], baseline: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      const engineFirst = round % 2 === 0;
      if (engineFirst) rates.engine.push(await engine.round());
      rates.baseline.push(await pair.round(baselineMessages));
      if (!engineFirst) rates.engine.push(await engine.round());
      log(
        `round ${round + 1}: ${millions(rates.engine.at(-1) as number)}, postMessage ${millions(rates.baseline.at(-1) as number)}`,
      );
    }
    const checksum = await engine.verify();
    const value = median(rates.engine);
    const baseline = median(rates.baseline);
    return {
      name: "throughput",
      value: Math.round(value),
      unit: "msg/s",
      baseline: Math.round(baseline),
      ratio: rounded(value / baseline),
      rounds,
      spread: rounded(spread(rates.engine), 2),
      checksum,
      shards,
      keys,
    };
  } finally {
    await pair.close();
    await engine.close();
  }
}
