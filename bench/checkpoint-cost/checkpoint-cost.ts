/**
 * `checkpoint-cost`: the hop workload with default checkpointing / the same without commits, in pairs of rounds, each
 * pair in the other order. With: from the first send to the commit after the last message. Without: to the last
 * message; what it did is committed afterwards, so that the checksum covers both.
 */
import type { BenchOptions, BenchResult } from "../bench.js";
import { median, millions, rounded, spread } from "../statistics.js";
import { type HopOptions, HopRun } from "../throughput/hop-run.js";

/** The longest interval there is: no round takes as long. */
const never = 60_000;

/** Pairs of rounds of one pair of applications: two applications of the same kind differ by some 3 % for their lives. */
const pairsTogether = 3;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log, keys = 10_000, shards = 2 } = options;
  const rounds = options.rounds ?? (quick ? 3 : 9);
  const chains = shards * (options.chains ?? 500);
  const messages = options.messages ?? (quick ? 500_000 : 5_000_000);
  const pairs: Pair[] = [];
  let checksum = 0;
  while (pairs.length < rounds) {
    const count = Math.min(pairsTogether, rounds - pairs.length);
    checksum += await runPairs({ shards, keys, chains, messages, log }, count, pairs);
  }
  const ratios = pairs.map((pair) => pair.with.rate / pair.without.rate);
  return {
    name: "checkpoint-cost",
    value: Math.round(median(pairs.map((pair) => pair.with.rate))),
    unit: "msg/s",
    baseline: Math.round(median(pairs.map((pair) => pair.without.rate))),
    ratio: rounded(median(ratios)), // of the pairs
    rounds,
    spread: rounded(spread(ratios), 2),
    checksum,
    epochsPerRound: rounded(median(pairs.map((pair) => pair.with.epochs))),
    epochsPerRoundWithout: rounded(median(pairs.map((pair) => pair.without.epochs))),
    shards,
    keys,
  };
}

/** One round, with the epochs that were committed while the clock ran. */
interface Round {
  readonly rate: number;
  readonly epochs: number;
}

interface Pair {
  readonly with: Round;
  readonly without: Round;
}

/** Runs so many pairs with a fresh pair of applications. @returns the checksum of both */
async function runPairs(workload: HopOptions, count: number, pairs: Pair[]): Promise<number> {
  const durable = await HopRun.start(workload);
  const bare = await HopRun.start({ ...workload, checkpoint: { intervalMs: never, idleIntervalMs: never } });
  const withEpochs = (): Promise<Round> => measure(durable, () => durable.round());
  const without = (): Promise<Round> => measure(bare, () => bare.roundWithoutCommit());
  try {
    await withEpochs();
    await without();
    for (let pair = 0; pair < count; pair++) {
      const first = pairs.length % 2 === 0 ? await withEpochs() : undefined;
      const bareRound = await without();
      const result = { with: first ?? (await withEpochs()), without: bareRound };
      pairs.push(result);
      log(workload, pairs.length, result);
    }
    return (await durable.verify()) + (await bare.verify());
  } finally {
    await bare.close();
    await durable.close();
  }
}

async function measure(run: HopRun, round: () => Promise<number>): Promise<Round> {
  const before = run.app.status().committed;
  const rate = await round();
  const epochs = run.app.status().committed - before;
  await run.settled();
  return { rate, epochs };
}

function log(workload: HopOptions, pair: number, { with: durable, without }: Pair): void {
  workload.log(`pair ${pair}: ${millions(durable.rate)}, without commits ${millions(without.rate)}`);
}
