/**
 * `curve`: the hop workload over shards, over the size of messages, and over the number of addresses that have state. Each
 * point is measured in a process of its own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions, BenchResult } from "../bench.js";
import { childResult } from "../child-process.js";
import { decimals, median, spread } from "../statistics.js";
import type { WalkReport, WalkTask } from "./walk-process.js";

/** One point. */
export interface CurvePoint {
  readonly x: number;
  /** Messages per second: the median, and (largest - smallest) / median of the rounds. */
  readonly perSecond: number;
  readonly spread: number;
}

/** The series of a result of `curve`. */
export interface CurveSeries {
  readonly shards: readonly CurvePoint[];
  readonly textLength: readonly CurvePoint[];
  /** Addresses with state. */
  readonly addresses: readonly CurvePoint[];
}

const usualKeys = 10_000;
const textLengths = [0, 100, 1_000, 10_000];
const addressCounts = [100, 1_000, 10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 20_000_000];
/** Bytes of text that a round sends at most. */
const textPerRound = 500_000_000;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log } = options;
  const addressesMax = options.addresses ?? (quick ? 1_000 : 1_000_000);
  const shards = options.shards ?? 2;
  const usual = {
    shards,
    keys: Math.min(usualKeys, addressesMax),
    chains: options.chains ?? (quick ? 100 : 1_000),
    textLength: 0,
    rounds: options.rounds ?? (quick ? 1 : 5),
    messages: options.messages ?? (quick ? 5_000 : 2_000_000),
  };
  let messages = 0;
  const measure = async (x: number, task: Omit<WalkTask, "dataDir">): Promise<CurvePoint> => {
    const report = await point(task);
    messages += report.messages;
    const found = { x, perSecond: Math.round(median(report.rates)), spread: decimals(spread(report.rates), 2) };
    log(`${task.shards} shards, ${task.keys} addresses, ${task.textLength} characters: ${found.perSecond} msg/s`);
    return found;
  };
  const series = { shards: [] as CurvePoint[], textLength: [] as CurvePoint[], addresses: [] as CurvePoint[] };
  for (const x of shardCounts(shards)) series.shards.push(await measure(x, { ...usual, shards: x }));
  for (const x of quick ? textLengths.slice(0, 2) : textLengths) {
    const fitting = Math.min(usual.messages, textPerRound / Math.max(1, x));
    series.textLength.push(await measure(x, { ...usual, textLength: x, messages: fitting }));
  }
  for (const x of addressCounts.filter((count) => count <= addressesMax)) {
    const perRound = Math.max(usual.messages, x / 2); // each has its part of the merges, which take millions of rows
    series.addresses.push(await measure(x, { ...usual, keys: x, messages: perRound }));
  }
  const base = series.addresses.find(({ x }) => x === usual.keys) ?? series.addresses[0];
  const last = series.addresses[series.addresses.length - 1];
  return {
    name: "curve",
    value: decimals(base.perSecond / last.perSecond, 2),
    unit: `times the cost of a message with ${base.x} addresses, with ${last.x}`,
    rounds: usual.rounds,
    spread: Math.max(...series.addresses.map((found) => found.spread)),
    checksum: messages,
    shards,
    chains: usual.chains,
    series: series satisfies CurveSeries,
  };
}

/** One, two, … as many as there are cores, and what was asked for. */
function shardCounts(asked: number): number[] {
  const counts = new Set([1, asked]);
  for (let shards = 2; shards <= availableParallelism(); shards *= 2) counts.add(shards);
  return [...counts].sort((a, b) => a - b);
}

async function point(task: Omit<WalkTask, "dataDir">): Promise<WalkReport> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  try {
    return await childResult<WalkReport>(
      new URL("./walk-process.js", import.meta.url),
      { ...task, dataDir } satisfies WalkTask,
      { env: { HOLDFAST_BENCH_KEYS: String(task.keys) } },
    );
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}
