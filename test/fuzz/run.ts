/** Runs targets for some time each, and says what repeats a failure. */
import fc from "fast-check";
import { cliTargets } from "./cli-targets.js";
import { decoderTargets } from "./decoder-targets.js";
import type { Target } from "./fuzzer.js";
import { jsonTargets } from "./json-targets.js";
import { keyTargets } from "./key-targets.js";
import { logTargets } from "./log-targets.js";

/** Cases between two looks at the clock. */
const batch = 200;

export const targets: readonly Target[] = [
  ...decoderTargets,
  ...logTargets,
  ...keyTargets,
  ...jsonTargets,
  ...cliTargets,
];
export const areas: readonly string[] = [...new Set(targets.map(({ name }) => name.split("/")[0] as string))];

export interface FuzzOptions {
  readonly seconds: number;
  readonly seed: number;
  /** Areas, or single targets. */
  readonly only: readonly string[];
  /** Where in the seed a failure was: only that case runs. */
  readonly path?: string;
}

export interface Failure {
  readonly target: string;
  readonly seed: number;
  readonly path: string;
  readonly report: string;
}

export interface FuzzResult {
  readonly cases: Readonly<Record<string, number>>;
  readonly failures: readonly Failure[];
}

/** The targets that a list of areas and names means. */
export function chosen(only: readonly string[]): readonly Target[] {
  return targets.filter(({ name }) => only.includes(name) || only.includes(name.split("/")[0] as string));
}

/** Each target runs until its share of the time is over, or it fails; `began` is told of each batch. */
export async function fuzz(
  { seconds, seed, only, path }: FuzzOptions,
  began: (target: string, seed: number) => void,
): Promise<FuzzResult> {
  const list = chosen(only);
  const cases: Record<string, number> = {};
  const failures: Failure[] = [];
  for (const { name, property } of list) {
    cases[name] = 0;
    const end = performance.now() + (1_000 * seconds) / list.length;
    for (let each = seed; ; each++) {
      began(name, each);
      const parameters = { seed: each, numRuns: batch, ...(path === undefined ? {} : { path, endOnFailure: true }) };
      const details = await fc.check(property as fc.IAsyncProperty<unknown>, parameters);
      cases[name] += details.numRuns;
      if (details.failed) {
        const report = fc.defaultReportMessage(details) ?? "";
        failures.push({ target: name, seed: each, path: details.counterexamplePath ?? "", report });
      }
      if (details.failed || path !== undefined || performance.now() >= end) break;
    }
  }
  return { cases, failures };
}
