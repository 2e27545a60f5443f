/**
 * `node dist/test/simulation/main.js --seeds N [--seed S] [--mutant NAME] [--verify-determinism]`: runs the engine in the
 * simulated worlds of the seeds S … S + N - 1 (one when only S is given) and ends with one line of JSON. Exits with 1
 * when a rule was broken. One world of a hundred, or every one with `--verify-determinism`, runs twice and must give
 * the same events. `--first-only` stops at the first violation, `--verbose` prints where it was seen.
 */
import { parseArgs } from "node:util";
import { type Mutant, mutantNames, plantMutant } from "./mutants.js";
import { describeFailure, runSeed, type WorldStatistics } from "./world.js";

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    mutant: { type: "string" },
    "first-only": { type: "boolean", default: false },
    "verify-determinism": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

const first = Number(values.seed ?? "1");
const seeds = Number(values.seeds ?? (values.seed === undefined ? "2000" : "1"));
if (![first, seeds].every((number) => Number.isSafeInteger(number) && number >= 0)) {
  console.error("--seeds and --seed are whole numbers");
  process.exit(2);
}
const { mutant } = values;
if (mutant !== undefined) {
  if (!(mutantNames as string[]).includes(mutant)) {
    console.error(`unknown mutant ${mutant}; there are ${mutantNames.join(", ")}`);
    process.exit(2);
  }
  plantMutant(mutant as Mutant);
}

const reportedMax = 20;
const totals: Partial<WorldStatistics> = {};
let violations = 0;
const began = performance.now();
for (let seed = first; seed < first + seeds; seed++) {
  try {
    const statistics = await runSeed(seed);
    if (values["verify-determinism"] || seed % 100 === 0) {
      const again = await runSeed(seed);
      if (again.hash !== statistics.hash) throw new Error("the same seed gave other events");
    }
    for (const [name, count] of Object.entries(statistics) as [keyof WorldStatistics, number][]) {
      if (name !== "hash") totals[name] = (totals[name] ?? 0) + count;
    }
  } catch (error) {
    violations++;
    if (violations > reportedMax) continue;
    const planted = mutant === undefined ? "" : ` --mutant ${mutant}`;
    const [message, ...stack] = describeFailure(error).split("\n");
    console.log(`npm run sim -- --seed ${seed}${planted}: ${message}`);
    if (values.verbose) console.log((error as Error).stack ?? stack.join("\n"));
    if (values["first-only"]) break;
  }
}
const seconds = (performance.now() - began) / 1000;
console.log(`${seconds.toFixed(1)} s, ${(seeds / seconds).toFixed(0)} seeds/s`, totals);
console.log(JSON.stringify({ seeds, crashes: totals.crashes ?? 0, commits: totals.commits ?? 0, violations }));
process.exitCode = violations === 0 ? 0 : 1;
