/**
 * `checkpoint-cost`: the hop workload with default checkpointing / the same without commits, in pairs of rounds, each
 * pair in the other order. With: from the first send to the commit after the last message. Without: to the last
 * message; what it did is committed afterwards, so that the checksum covers both.
 */
import type { BenchOptions, BenchResult } from "../bench.js";
import { median, millions, rounded, spread } from "../statistics.js";
import { HopRun } from "../throughput/hop-run.js";

/** The longest interval there is: no round takes as long. */
const never = 60_000;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log, keys = 10_000, shards = 2 } = options;
  const rounds = options.rounds ?? (quick ? 3 : 9);
  const chains = shards * (options.chains ?? 500);
  const messages = options.messages ?? (quick ? 500_000 : 5_000_000);
  const workload = { shards, keys, chains, messages, log };
  const durable = await HopRun.start(workload);
  const bare = await HopRun.start({ ...workload, checkpoint: { intervalMs: never, idleIntervalMs: never } });
  try {
    const withEpochs = new EpochRounds(durable, () => durable.round());
    const without = new EpochRounds(bare, () => bare.roundWithoutCommit());
    await withEpochs.round();
    await without.round();
    const pairs: { with: number; without: number }[] = [];
    for (let round = 0; round < rounds; round++) {
      const pair = { with: 0, without: 0 };
      if (round % 2 === 0) pair.with = await withEpochs.round();
      pair.without = await without.round();
      if (round % 2 === 1) pair.with = await withEpochs.round();
      pairs.push(pair);
      log(`pair ${round + 1}: ${millions(pair.with)}, without commits ${millions(pair.without)}`);
    }
    const ratios = pairs.map((pair) => pair.with / pair.without);
    return {
      name: "checkpoint-cost",
      value: Math.round(median(pairs.map((pair) => pair.with))),
      unit: "msg/s",
      baseline: Math.round(median(pairs.map((pair) => pair.without))),
      ratio: rounded(median(ratios)), // of the pairs
      rounds,
      spread: rounded(spread(ratios), 2),
      checksum: (await durable.verify()) + (await bare.verify()),
      epochsPerRound: rounded(median(withEpochs.epochs)),
      epochsPerRoundWithout: rounded(median(without.epochs)),
      shards,
      keys,
    };
  } finally {
    await bare.close();
    await durable.close();
  }
}

/** Rounds, with the epochs that were committed while the clock ran. */
class EpochRounds {
  readonly epochs: number[] = [];
  readonly #run: HopRun;
  readonly #round: () => Promise<number>;

  constructor(run: HopRun, round: () => Promise<number>) {
    this.#run = run;
    this.#round = round;
  }

  async round(): Promise<number> {
    const before = this.#run.app.status().committed;
    const rate = await this.#round();
    this.epochs.push(this.#run.app.status().committed - before);
    await this.#run.settled();
    return rate;
  }
}
