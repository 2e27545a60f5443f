/**
 * `local`: the hop workload in one shard, where no message leaves its thread, exactly once, against plain function calls
 * through a `Map` with the same messages and the same counting. Rounds of both alternate.
 */
import type { BenchOptions, BenchResult } from "../bench.js";
import { median, millions, rounded, spread } from "../statistics.js";
import { HopRun } from "../throughput/hop-run.js";
import { MapCalls } from "./map-calls.js";

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log, keys = 10_000, chains = 500 } = options;
  const rounds = options.rounds ?? (quick ? 3 : 7);
  const messages = options.messages ?? (quick ? 300_000 : 5_000_000);
  const calls = new MapCalls(keys);
  const engine = await HopRun.start({ shards: 1, keys, chains, messages, log });
  try {
    await engine.round();
    calls.round(chains, messages);
    const rates = { engine: [] as number[], baseline: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      const engineFirst = round % 2 === 0;
      if (engineFirst) rates.engine.push(await engine.round());
      rates.baseline.push(calls.round(chains, messages));
      if (!engineFirst) rates.engine.push(await engine.round());
      log(
        `round ${round + 1}: ${millions(rates.engine.at(-1) as number)}, calls ${millions(rates.baseline.at(-1) as number)}`,
      );
    }
    const value = median(rates.engine);
    const baseline = median(rates.baseline);
    calls.verify();
    return {
      name: "local",
      value: rounded(value / 1e6),
      unit: "M/s",
      baseline: rounded(baseline / 1e6),
      ratio: rounded(value / baseline),
      rounds,
      spread: rounded(spread(rates.engine), 2),
      checksum: await engine.verify(),
      keys,
      chains,
    };
  } finally {
    await engine.close();
  }
}
