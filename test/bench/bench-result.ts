/** What every bench owes: a result line with these keys. */
import assert from "node:assert/strict";
import type { Bench, BenchOptions, BenchResult } from "../../bench/bench.js";

const always = ["name", "value", "unit", "rounds", "spread", "checksum"];

/** Runs a bench small and checks its result as it would be printed. Speed is of no interest here. */
export async function smallRun(
  bench: Bench,
  options: Partial<BenchOptions>,
  keys: readonly string[],
): Promise<BenchResult> {
  const printed = JSON.stringify(await bench.run({ quick: true, log: () => {}, ...options }));
  const result = JSON.parse(printed) as BenchResult;
  for (const key of [...always, ...keys]) assert.ok(key in result, `${printed} has no ${key}`);
  for (const key of ["value", "baseline", "ratio", "p50", "p99", "max"]) {
    const number = result[key];
    assert.ok(number === undefined || (Number.isFinite(number) && (number as number) > 0), `${key} of ${printed}`);
  }
  assert.equal(result.rounds, options.rounds);
  return result;
}
