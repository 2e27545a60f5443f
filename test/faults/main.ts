/**
 * `node dist/test/faults/main.js [--rounds N] [--seed S] [--only NAME,…]`: everything that can happen to threads, processes
 * and their surroundings, one after the other in a new order each round, while letters are passed on. After each fault every
 * letter must have been counted and have arrived once, and the application must have gone on, or have stopped with a typed
 * error and have started again.
 *
 * Progress goes to stderr; the last line of stdout is JSON. Exits with 1 when something is wrong, and leaves the folder of
 * the round then.
 */
import { parseArgs } from "node:util";
import { type Random, seededRandom } from "../../lib/base/random.js";
import { accidents } from "./accidents.js";
import type { Fault } from "./fault.js";
import { FaultFindings, FaultLab } from "./fault-lab.js";
import { fullDisk } from "./full-disk.js";
import { processFaults } from "./process-faults.js";

const all: readonly Fault[] = [...accidents, ...processFaults, fullDisk];

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "1" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
  },
});
const [rounds, seed] = [values.rounds, values.seed].map(Number);
if (![rounds, seed].every((number) => Number.isSafeInteger(number) && number >= 0)) usage("they are whole numbers");
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1)); // takes the child along

const random = seededRandom(seed);
const findings = new FaultFindings();
const counts: Record<string, number> = {};
const skipped: Record<string, string> = {};
const began = performance.now();

await main();

async function main(): Promise<void> {
  const faults = chosen().filter(isPossible);
  let round = 0;
  while (round < rounds && !findings.any) {
    round++;
    const lab = new FaultLab(random, findings);
    for (const fault of shuffled(faults, random)) {
      await suffer(fault, lab, round);
      if (findings.any) break;
    }
    if (findings.any) console.error(`seed ${seed}, round ${round}: the folder is ${lab.folder}`);
    else lab.remove();
  }
  const { lost, duplicated, wrong, examples } = findings;
  for (const example of examples) console.error(example);
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  console.log(JSON.stringify({ rounds: round, faults: counts, skipped, lost, duplicated, wrong, seconds, seed }));
  process.exit(findings.any ? 1 : 0); // takes along what a failed fault has left running
}

async function suffer(fault: Fault, lab: FaultLab, round: number): Promise<void> {
  const start = performance.now();
  try {
    await fault.happen(lab);
  } catch (error) {
    findings.add("wrong", `${error instanceof Error ? error.stack : error}`);
  }
  counts[fault.name] = (counts[fault.name] ?? 0) + 1;
  const ms = Math.round(performance.now() - start);
  console.error(`round ${round}: ${fault.name}, ${ms} ms${findings.any ? ", FAILED" : ""}`);
}

function chosen(): readonly Fault[] {
  const names = values.only?.split(",");
  if (names === undefined) return all;
  return names.map(
    (name) =>
      all.find((fault) => fault.name === name) ?? usage(`faults are ${all.map((fault) => fault.name).join(", ")}`),
  );
}

function isPossible(fault: Fault): boolean {
  const why = fault.impossible?.();
  if (why === undefined) return true;
  skipped[fault.name] = why;
  console.error(`${fault.name} is skipped: ${why}`);
  return false;
}

function shuffled<T>(list: readonly T[], from: Random): T[] {
  const rest = [...list];
  return list.map(() => rest.splice(from.below(rest.length), 1)[0]);
}

function usage(why: string): never {
  console.error(`--rounds N --seed S --only name,name: ${why}`);
  process.exit(2);
}
