/**
 * `node dist/test/model/main.js --seeds N [--seed S] [--steps M] [--mutant NAME | --mutants]`: runs the protocol model on
 * the seeds S … S + N - 1 and ends with one line of JSON. Exits with 1 when a run broke a rule.
 *
 * `--mutant NAME` plants a known bug in these runs. `--mutants` first looks whether each of them is caught; one that is
 * not is a failure as well.
 */
import { parseArgs } from "node:util";
import { catchMutant } from "./catch-mutant.js";
import { type ModelStatistics, ModelViolation, runModel } from "./epoch-model.js";
import { type Mutant, mutantNames, mutants } from "./mutants.js";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "2000" },
    seed: { type: "string", default: "1" },
    steps: { type: "string", default: "600" },
    mutant: { type: "string" },
    mutants: { type: "boolean", default: false },
  },
});
const { mutant } = values;
if (mutant !== undefined && !(mutantNames as string[]).includes(mutant)) {
  console.error(`unknown mutant ${mutant}; there are ${mutantNames.join(", ")}`);
  process.exit(2);
}

const first = Number(values.seed);
const seeds = Number(values.seeds);
const steps = Number(values.steps);
if (![first, seeds, steps].every((number) => Number.isSafeInteger(number) && number >= 0)) {
  console.error("--seeds, --seed and --steps are whole numbers");
  process.exit(2);
}

const survivors = values.mutants ? mutantNames.filter((name) => caughtAt(name) === undefined) : [];

const violations: { seed: number; message: string }[] = [];
const totals: Partial<ModelStatistics> = {};
const began = performance.now();
for (let seed = first; seed < first + seeds; seed++) {
  try {
    const statistics = runModel(seed, mutant as Mutant | undefined, steps);
    for (const [name, count] of Object.entries(statistics) as [keyof ModelStatistics, number][]) {
      totals[name] = (totals[name] ?? 0) + count;
    }
  } catch (thrown) {
    if (!(thrown instanceof ModelViolation)) throw thrown;
    violations.push({ seed, message: thrown.message });
  }
}

if (mutant !== undefined) console.log(`${mutant}: ${mutants[mutant as Mutant]}`);
console.log(`${Math.round(performance.now() - began)} ms`, totals);
const verdict = { seeds, crashes: totals.crashes ?? 0, violations: violations.length, first: violations[0] ?? null };
console.log(JSON.stringify(values.mutants ? { ...verdict, mutants: mutantNames.length, survivors } : verdict));
process.exitCode = violations.length + survivors.length === 0 ? 0 : 1;

function caughtAt(name: Mutant): number | undefined {
  const seed = catchMutant(name);
  console.log(`${name} (${mutants[name]}): ${seed === undefined ? "NOT CAUGHT" : `caught by seed ${seed}`}`);
  return seed;
}
