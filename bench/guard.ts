/**
 * `npm run bench-guard`: some benches, small, as ratios of one run. Ends with 1 when one is beyond a bound that a noisy
 * machine keeps and a regression that matters does not.
 */
import type { BenchResult } from "./bench.js";
import { benches } from "./benches.js";

interface Guarded {
  readonly name: string;
  readonly least?: number;
  readonly most?: number;
}

const guarded: readonly Guarded[] = [
  { name: "throughput", least: 1 },
  { name: "checkpoint-cost", least: 0.5 },
  { name: "latency", most: 20 },
];

for (const { name, least = 0, most = Number.POSITIVE_INFINITY } of guarded) {
  const { ratio = Number.NaN } = await run(name);
  const holds = ratio >= least && ratio <= most;
  if (!holds) process.exitCode = 1;
  console.log(
    `${name}: ratio ${ratio}, ${most === Number.POSITIVE_INFINITY ? `at least ${least}` : `at most ${most}`}${holds ? "" : ": FAILED"}`,
  );
}

async function run(name: string): Promise<BenchResult> {
  const load = benches.get(name);
  if (load === undefined) throw new Error(`there is no bench ${name}`);
  const bench = await load();
  return bench.run({ quick: true, log: () => {} });
}
