/**
 * `scaling`: the hop workload with 3 µs of work per message on two shards / on one, in pairs of rounds, each pair in the
 * other order; 0 and 1 µs are printed beside it. `--shards N` compares N with one.
 */
import type { BenchOptions, BenchResult } from "../bench.js";
import { median, millions, rounded, spread } from "../statistics.js";
import { busyTurnsPerMicrosecond } from "../throughput/busy-loop.js";
import { HopRun } from "../throughput/hop-run.js";

interface Scaled {
  readonly many: number;
  readonly one: number;
  /** Median of the pairs. */
  readonly ratio: number;
  readonly spread: number;
  readonly checksum: number;
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log, shards = 2 } = options;
  const rounds = options.rounds ?? (quick ? 3 : 7);
  const turns = busyTurnsPerMicrosecond();
  const measure = async (micros: number, millionMessages: number): Promise<Scaled> => {
    const scaled = await compare({ ...options, rounds, shards }, Math.round(micros * turns), millionMessages * 1e6);
    log(
      `${micros} µs of work: ${millions(scaled.many)} on ${shards} shards, ${millions(scaled.one)} on one: ${rounded(scaled.ratio)}`,
    );
    return scaled;
  };
  // Chains of two shards end one after the other, those of one together: rounds are long, so that this counts for little.
  const none = await measure(0, quick ? 0.2 : 4);
  const one = await measure(1, quick ? 0.1 : 2);
  const three = await measure(3, quick ? 0.1 : 1.5);
  return {
    name: "scaling",
    value: Math.round(three.many),
    unit: "msg/s",
    baseline: Math.round(three.one),
    ratio: rounded(three.ratio),
    rounds,
    spread: rounded(three.spread, 2),
    checksum: none.checksum + one.checksum + three.checksum,
    ratioWithoutWork: rounded(none.ratio),
    ratioWithOneMicrosecond: rounded(one.ratio),
    workMicros: rounded(1e6 / three.one - 1e6 / none.one), // what the 3 µs were, in turns of one shard
    shards,
  };
}

async function compare(
  options: BenchOptions & { rounds: number; shards: number },
  work: number,
  usual: number,
): Promise<Scaled> {
  const { log, rounds, shards, keys = 10_000, messages = usual } = options;
  const workload = { keys, messages, work, log };
  const many = await HopRun.start({ ...workload, shards, chains: 500 * shards });
  const one = await HopRun.start({ ...workload, shards: 1, chains: 500 });
  try {
    await many.round();
    await one.round();
    const rates = { many: [] as number[], one: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      const manyFirst = round % 2 === 0;
      if (manyFirst) rates.many.push(await many.round());
      rates.one.push(await one.round());
      if (!manyFirst) rates.many.push(await many.round());
    }
    const ratios = rates.many.map((rate, n) => rate / (rates.one[n] as number));
    const checksum = (await many.verify()) + (await one.verify());
    return {
      many: median(rates.many),
      one: median(rates.one),
      ratio: median(ratios),
      spread: spread(ratios),
      checksum,
    };
  } finally {
    await one.close();
    await many.close();
  }
}
