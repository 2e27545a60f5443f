/**
 * `pause`: how long a shard runs no turn at full load: the longest gap between two turns of a shard in each stretch of
 * time that is as long as an epoch took on average. Most gaps are the fraction of a microsecond that a turn takes, so
 * percentiles of all gaps would hide what this is about; an epoch's longest gap is what its commit makes messages wait.
 *
 * Each turn of the workload reads the clock once (some 40 ns), and notes gaps of 50 µs and more. A gap is from the
 * beginning of a turn to the beginning of the next one of the shard: it holds one turn.
 *
 * Afterwards, in the same run, the same is measured of threads that only read the clock, as the baseline.
 */
import type { BenchOptions, BenchResult } from "../bench.js";
import { median, rounded, spread } from "../statistics.js";
import { HopRun } from "../throughput/hop-run.js";
import { TimeHistogram } from "../time-histogram.js";
import { BareLoops } from "./bare-loops.js";
import { type Gap, GapNotes, gapNotedMs } from "./gap-notes.js";

/** The part of a round that is looked at: not its start nor its end, when not all chains are on their way. */
const fullLoad = { from: 0.2, part: 0.6 };
/** Rounds before the first that counts: V8 compiles for some seconds, on the cores of the shards. */
const warmRounds = { full: 4, quick: 1 };

/** What is run. */
type Workload = Required<Pick<BenchOptions, "quick" | "rounds" | "messages" | "keys" | "shards" | "chains" | "log">>;

interface Round {
  readonly rate: number;
  readonly roundMs: number;
  /** From one commit to the next, on average. */
  readonly epochMs: number;
  /** The longest gap of each stretch of every shard. */
  readonly longest: TimeHistogram;
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log, keys = 10_000, shards = 2, chains = 500 } = options;
  const { rounds = quick ? 2 : 31, messages = quick ? 300_000 : 4_000_000 } = options;
  const { measured, checksum } = await measureShards({ quick, rounds, messages, keys, shards, chains, log });
  const roundMs = median(measured.map((round) => round.roundMs));
  const epochMs = median(measured.map((round) => round.epochMs));
  const bare = await measureBare(shards, rounds, roundMs, epochMs);
  log(`threads that only read the clock: ${rounded(bare)} ms`);
  const p99s = measured.map(({ longest }) => longest.percentile(99));
  const value = median(p99s);
  const all = new TimeHistogram();
  for (const { longest } of measured) all.add(longest);
  return {
    name: "pause",
    value: rounded(value),
    unit: "ms",
    baseline: rounded(bare),
    ratio: rounded(value / bare),
    ...all.figures,
    rounds,
    spread: rounded(spread(p99s), 2),
    checksum,
    epochMs: rounded(epochMs),
    messagesPerSecond: Math.round(median(measured.map(({ rate }) => rate))),
    shards,
    chains,
    keys,
  };
}

async function measureShards(workload: Workload): Promise<{ measured: readonly Round[]; checksum: number }> {
  const { quick, rounds, shards, chains, log } = workload;
  const notes = new GapNotes(shards);
  const engine = await HopRun.start({ ...workload, chains: chains * shards, gaps: notes.buffer });
  try {
    for (let round = 0; round < (quick ? warmRounds.quick : warmRounds.full); round++) await engine.round();
    const measured: Round[] = [];
    for (let round = 1; round <= rounds; round++) {
      const last = await measure(engine, notes);
      measured.push(last);
      log(`round ${round}: ${last.longest}, an epoch each ${rounded(last.epochMs)} ms`);
    }
    return { measured, checksum: await engine.verify() };
  } finally {
    await engine.close();
  }
}

async function measure(engine: HopRun, notes: GapNotes): Promise<Round> {
  const before = engine.app.status().committed;
  notes.begin();
  const rate = await engine.round();
  notes.end();
  const roundMs = (engine.messages / rate) * 1000;
  const epochMs = roundMs / Math.max(1, engine.app.status().committed - before);
  const longest = longestGaps(notes.read(), roundMs * fullLoad.from, roundMs * fullLoad.part, epochMs);
  return { rate, roundMs, epochMs, longest };
}

/** The same of threads that do nothing, in as many rounds of the part of a round that is looked at. */
async function measureBare(threads: number, rounds: number, roundMs: number, epochMs: number): Promise<number> {
  const loops = await BareLoops.start(threads);
  const ms = roundMs * fullLoad.part;
  const p99s: number[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      p99s.push(longestGaps(await loops.run(ms), 0, ms, epochMs).percentile(99));
    }
  } finally {
    await loops.close();
  }
  return median(p99s);
}

/** The longest gap of every thread in each stretch of `stretchMs`, in `ms` from `fromMs` after the thread's beginning. */
function longestGaps(
  threads: readonly (readonly Gap[])[],
  fromMs: number,
  ms: number,
  stretchMs: number,
): TimeHistogram {
  const longest = new TimeHistogram();
  for (const gaps of threads) {
    const idle = gaps[0]; // what came before the beginning
    if (idle === undefined) throw new Error("a thread ran no turn");
    const from = idle.beganMs + idle.ms + fromMs;
    const stretches = new Array<number>(Math.max(1, Math.floor(ms / stretchMs))).fill(gapNotedMs);
    for (const gap of gaps) {
      const stretch = Math.floor((gap.beganMs - from) / stretchMs);
      if (stretch >= 0 && stretch < stretches.length) {
        stretches[stretch] = Math.max(stretches[stretch] as number, gap.ms);
      }
    }
    for (const gapMs of stretches) longest.record(gapMs);
  }
  return longest;
}
