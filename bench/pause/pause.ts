/**
 * `pause`: how long a shard runs no turn at full load: the longest gap between two turns of a shard in each stretch of
 * time that is as long as an epoch took on average. Most gaps are the fraction of a microsecond that a turn takes, so
 * percentiles of all gaps would hide what this is about; an epoch's longest gap is what its commit makes messages wait.
 *
 * Each turn of the workload reads the clock once (some 40 ns), and notes gaps of 50 µs and more. A gap is from the
 * beginning of a turn to the beginning of the next one of the shard: it holds one turn.
 */
import type { BenchOptions, BenchResult } from "../bench.js";
import { median, rounded, spread } from "../statistics.js";
import { HopRun } from "../throughput/hop-run.js";
import { TimeHistogram } from "../time-histogram.js";
import { GapNotes, gapNotedMs } from "./gap-notes.js";

/** The part of a round that is looked at: not its start nor its end, when not all chains are on their way. */
const fullLoad = { from: 0.2, to: 0.8 };
/** Rounds before the first that counts: V8 compiles for some seconds, on the cores of the shards. */
const warmRounds = { full: 4, quick: 1 };

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log, keys = 10_000, shards = 2, chains = 500 } = options;
  const rounds = options.rounds ?? (quick ? 2 : 31);
  const messages = options.messages ?? (quick ? 300_000 : 4_000_000);
  const notes = new GapNotes(shards);
  const engine = await HopRun.start({
    shards,
    keys,
    chains: chains * shards,
    messages,
    gaps: notes.buffer,
    log,
  });
  try {
    for (let round = 0; round < (quick ? warmRounds.quick : warmRounds.full); round++) await engine.round();
    const all = new TimeHistogram();
    const p99s: number[] = [];
    const rates: number[] = [];
    const epochLengths: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const { rate, epochMs, longest } = await measure(engine, notes);
      rates.push(rate);
      epochLengths.push(epochMs);
      p99s.push(longest.percentile(99));
      all.add(longest);
      log(`round ${round + 1}: ${pauses(longest)}, an epoch each ${rounded(epochMs)} ms`);
    }
    return {
      name: "pause",
      value: rounded(median(p99s)),
      unit: "ms",
      p50: rounded(all.percentile(50)),
      p99: rounded(all.percentile(99)),
      max: rounded(all.max),
      rounds,
      spread: rounded(spread(p99s), 2),
      checksum: await engine.verify(),
      epochMs: rounded(median(epochLengths)),
      messagesPerSecond: Math.round(median(rates)),
      shards,
      chains,
      keys,
    };
  } finally {
    await engine.close();
  }
}

interface Round {
  readonly rate: number;
  /** From one commit to the next, on average. */
  readonly epochMs: number;
  /** The longest gap of each stretch of every shard. */
  readonly longest: TimeHistogram;
}

async function measure(engine: HopRun, notes: GapNotes): Promise<Round> {
  const before = engine.app.status().committed;
  notes.begin();
  const rate = await engine.round();
  notes.end();
  const roundMs = (engine.messages / rate) * 1000;
  const epochMs = roundMs / Math.max(1, engine.app.status().committed - before);
  const longest = new TimeHistogram();
  for (const gaps of notes.read()) {
    const idle = gaps[0]; // what came before the round
    if (idle === undefined) throw new Error("a shard ran no turn");
    const began = idle.beganMs + idle.ms + roundMs * fullLoad.from;
    const stretches = new Array<number>(Math.max(1, Math.floor((roundMs * (fullLoad.to - fullLoad.from)) / epochMs)));
    stretches.fill(gapNotedMs);
    for (const { beganMs, ms } of gaps) {
      const stretch = Math.floor((beganMs - began) / epochMs);
      if (stretch >= 0 && stretch < stretches.length) stretches[stretch] = Math.max(stretches[stretch] as number, ms);
    }
    for (const ms of stretches) longest.record(ms);
  }
  return { rate, epochMs, longest };
}

function pauses(longest: TimeHistogram): string {
  return `p50 ${rounded(longest.percentile(50))}, p99 ${rounded(longest.percentile(99))}, max ${rounded(longest.max)} ms`;
}
