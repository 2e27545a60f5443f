/** Some seeds, one after the other, and what they have in common: counts of what happened, and failures. */
import type { Overrides } from "./params.js";
import { describeFailure, runSeed } from "./world.js";

/** Seeds to run, from the first one on. */
export interface Batch {
  readonly first: number;
  readonly count: number;
  readonly overrides: Overrides;
  /** Every world runs twice, not only one of a hundred. */
  readonly twice: boolean;
  readonly firstOnly: boolean;
}

export interface BatchReport {
  /** Seeds that were run. */
  readonly seeds: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly failures: readonly Failure[];
}

export interface Failure {
  readonly seed: number;
  readonly what: string;
  readonly stack: string;
}

/** One seed of so many is run twice. */
const checkedEvery = 100;

export async function runBatch({ first, count, overrides, twice, firstOnly }: Batch): Promise<BatchReport> {
  const counts = new Map<string, number>();
  const failures: Failure[] = [];
  let seeds = 0;
  for (let seed = first; seed < first + count && !(firstOnly && failures.length > 0); seed++) {
    seeds++;
    try {
      const report = await runSeed(seed, overrides);
      if (twice || seed % checkedEvery === 0) {
        const { hash } = await runSeed(seed, overrides);
        if (hash !== report.hash) throw new Error("the same seed gave other events");
      }
      add(counts, report.counts);
    } catch (error) {
      failures.push({ seed, what: describeFailure(error).split("\n")[0], stack: (error as Error).stack ?? "" });
    }
  }
  return { seeds, counts, failures };
}

/** Adds counts to others. */
export function add(to: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [name, count] of counts) to.set(name, (to.get(name) ?? 0) + count);
}
