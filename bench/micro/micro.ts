/**
 * `micro`: parts of the engine beside what one would use instead, each in a loop of its own under tinybench. Says what an
 * operation costs, and how many times that the best of the baselines costs.
 */
import { Bench } from "tinybench";
import type { BenchOptions, BenchResult } from "../bench.js";
import { decimals, median, spread } from "../statistics.js";
import { base } from "./base.js";
import { decoding, encoding } from "./codec.js";
import type { Comparison, Contender } from "./comparison.js";
import { delta } from "./delta.js";
import { hash } from "./hash.js";
import { ring } from "./ring.js";
import { turn } from "./turn.js";

const comparisons: readonly (() => Comparison)[] = [ring, encoding, decoding, hash, delta, base, turn];

interface Row {
  readonly name: string;
  readonly engine: string;
  /** Nanoseconds of an operation. */
  readonly ns: number;
  readonly baselines: Readonly<Record<string, number>>;
  /** Of the best baseline to the engine: above 1 the engine is faster. */
  readonly ratio: number;
}

export async function run({ quick, log }: BenchOptions): Promise<BenchResult> {
  const rows: Row[] = [];
  for (const open of comparisons) {
    const comparison = open();
    const row = await compare(comparison, quick);
    comparison.close?.();
    const others = Object.entries(row.baselines).map(([name, ns]) => `${name} ${ns} ns`);
    log(`${row.name}: ${row.engine} ${row.ns} ns, ${others.join(", ")}`);
    rows.push(row);
  }
  const ratios = rows.map(({ ratio }) => ratio);
  return {
    name: "micro",
    value: decimals(median(ratios), 2),
    unit: "times as fast as the best baseline, median of the parts",
    rounds: rows.length,
    spread: decimals(spread(ratios), 2),
    checksum: rows.length,
    parts: rows,
  };
}

async function compare(comparison: Comparison, quick: boolean): Promise<Row> {
  const { name, operations, expected, engine, baselines } = comparison;
  const contenders = [engine, ...baselines];
  for (const contender of contenders) check(contender, name, expected);
  const bench = new Bench({
    time: quick ? 10 : 500,
    warmupTime: quick ? 5 : 200,
    iterations: quick ? 2 : 16,
    throws: true,
  });
  for (const contender of contenders) bench.add(contender.name, () => void contender.run());
  await bench.run();
  const ns = contenders.map((_, index) => {
    const { result } = bench.tasks[index];
    if (result.state !== "completed") throw new Error(`${name}: ${contenders[index].name} was ${result.state}`);
    return decimals((result.latency.p50 * 1e6) / operations, 1);
  });
  const best = Math.min(...ns.slice(1));
  return {
    name,
    engine: engine.name,
    ns: ns[0],
    baselines: Object.fromEntries(baselines.map((baseline, index) => [baseline.name, ns[index + 1]])),
    ratio: decimals(best / ns[0], 2),
  };
}

/** @throws when a contender does not do the work */
function check(contender: Contender, name: string, expected: number): void {
  const found = contender.run();
  if (found !== expected) throw new Error(`${name}: ${contender.name} gives ${found}, not ${expected}`);
}
