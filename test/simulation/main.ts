/**
 * `npm run sim -- --seeds N [--seed S]`: runs the engine in the simulated worlds of the seeds S … S + N - 1 (one when
 * only S is given) and ends with one line of JSON. Exits with 1 when a rule was broken, or the canary was not caught.
 *
 * `--jobs J` threads share the seeds; by default as many as there are cores. What a seed does depends on nothing else.
 * `--mutant NAME` plants a known bug. `--features a,b`, `--without a,b`, `--steps N`, `--crashes N` and `--addresses N`
 * change the worlds. `--verify-determinism` runs every world twice, not one of a hundred. `--first-only` stops at the
 * first violation, `--verbose` prints where it was seen. Of the first seed that fails, a smaller world is looked for;
 * not with `--no-minimise`.
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { add, type Batch, type BatchReport, type Failure, runBatch } from "./batch.js";
import { canarySeeds } from "./canary.js";
import { features } from "./features.js";
import { minimise, optionsOf } from "./minimise.js";
import { type Mutant, mutantNames, plantMutant, worldsOf } from "./mutants.js";
import { dispensable, type Overrides } from "./params.js";

const batchSeeds = 20;
const reportedMax = 20;

const { values } = parseArgs({
  options: {
    seeds: { type: "string" },
    seed: { type: "string" },
    jobs: { type: "string" },
    mutant: { type: "string" },
    features: { type: "string" },
    without: { type: "string" },
    steps: { type: "string" },
    crashes: { type: "string" },
    addresses: { type: "string" },
    "first-only": { type: "boolean", default: false },
    "verify-determinism": { type: "boolean", default: false },
    "no-minimise": { type: "boolean", default: false },
    verbose: { type: "boolean", default: false },
  },
});

const first = numberOf("seed") ?? 1;
const seeds = numberOf("seeds") ?? (values.seed === undefined ? 2_000 : 1);
const mutant = oneOf(values.mutant, mutantNames, "mutant") as Mutant | undefined;
const overrides: Overrides = {
  ...(mutant === undefined ? {} : worldsOf(mutant)),
  ...listed("features", Object.keys(features)),
  ...listed("without", [...Object.keys(features), ...dispensable]),
  ...numbered("steps"),
  ...numbered("crashes"),
  ...numbered("addresses"),
};
const jobs = Math.max(1, Math.min(numberOf("jobs") ?? availableParallelism(), Math.ceil(seeds / batchSeeds)));

const began = performance.now();
const caught = (await canarySeeds(1)).length === 1;
if (mutant !== undefined) plantMutant(mutant);
const { seeds: ran, counts, failures } = await runAll();
const seconds = (performance.now() - began) / 1000;
await report(failures);
console.log(`${seconds.toFixed(1)} s, ${(ran / seconds).toFixed(0)} seeds/s`, Object.fromEntries([...counts].sort()));
if (!caught) console.log("the canary is alive: a planted bug was not found, so this run says nothing");
const [crashes, commits] = [counts.get("crashes") ?? 0, counts.get("commits") ?? 0];
console.log(JSON.stringify({ seeds: ran, crashes, commits, violations: failures.length, canary: caught }));
process.exitCode = failures.length === 0 && caught ? 0 : 1;

/** Runs all seeds in batches, on this thread or on several. */
async function runAll(): Promise<BatchReport> {
  let next = first;
  let seedsRun = 0;
  const sum = new Map<string, number>();
  const failed: Failure[] = [];
  const take = (): Batch | undefined => {
    const count = Math.min(batchSeeds, first + seeds - next);
    if (count <= 0 || (values["first-only"] && failed.length > 0)) return undefined;
    next += count;
    const [twice, firstOnly] = [values["verify-determinism"], values["first-only"]];
    return { first: next - count, count, overrides, twice, firstOnly };
  };
  const give = (part: BatchReport): void => {
    seedsRun += part.seeds;
    add(sum, part.counts);
    failed.push(...part.failures);
  };
  if (jobs === 1) for (let batch = take(); batch !== undefined; batch = take()) give(await runBatch(batch));
  else await Promise.all(Array.from({ length: jobs }, () => runOnThread(take, give)));
  return { seeds: seedsRun, counts: sum, failures: failed.sort((a, b) => a.seed - b.seed) };
}

function runOnThread(take: () => Batch | undefined, give: (part: BatchReport) => void): Promise<void> {
  const worker = new Worker(new URL("./batch-worker.js", import.meta.url), { workerData: { mutant } });
  return new Promise((resolve, reject) => {
    const goOn = (): void => {
      const batch = take();
      if (batch === undefined) void worker.terminate().then(() => resolve());
      else worker.postMessage(batch);
    };
    worker.on("error", reject);
    worker.on("message", (part: BatchReport) => {
      give(part);
      goOn();
    });
    goOn();
  });
}

/** One line for each seed that failed, which repeats it; for the first of them one with a smaller world, too. */
async function report(failed: readonly Failure[]): Promise<void> {
  const planted = mutant === undefined ? "" : ` --mutant ${mutant}`;
  const line = (seed: number, worlds: Overrides): string => `npm run sim -- ${optionsOf(seed, worlds)}${planted}`;
  for (const { seed, what, stack } of failed.slice(0, reportedMax)) {
    console.log(`${line(seed, overrides)}: ${what}`);
    if (values.verbose) console.log(stack);
  }
  if (failed.length === 0 || values["no-minimise"]) return;
  const [{ seed }] = failed;
  console.log(`the least that breaks this rule: ${line(seed, await minimise(seed, overrides))}`);
}

function numberOf(name: "seed" | "seeds" | "jobs" | "steps" | "crashes" | "addresses"): number | undefined {
  const given = values[name];
  if (given === undefined) return undefined;
  const number = Number(given);
  if (!Number.isSafeInteger(number) || number < 0) refuse(`--${name} is a whole number`);
  return number;
}

function numbered(name: "steps" | "crashes" | "addresses"): Overrides {
  const number = numberOf(name);
  return number === undefined ? {} : { [name]: number };
}

function listed(name: "features" | "without", known: readonly string[]): Overrides {
  const names = values[name]?.split(",").filter((given) => given !== "");
  if (names === undefined) return {};
  for (const given of names) oneOf(given, known, name);
  return { [name]: names };
}

function oneOf(given: string | undefined, known: readonly string[], what: string): string | undefined {
  if (given !== undefined && !known.includes(given)) refuse(`--${what}: no ${given}; there are ${known.join(", ")}`);
  return given;
}

function refuse(what: string): never {
  console.error(what);
  process.exit(2);
}
