import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test, { describe } from "node:test";
import { mutantNames, plantMutant } from "./mutants.js";
import { describeFailure, runSeed } from "./world.js";

const seedsWithout = 150;
const seedsMax = 500;
const seedsFile = new URL("../../../test/seeds.txt", import.meta.url);

/** The failure of a seed in one line; undefined when no rule was broken. */
async function failureOf(seed: number, totals?: Map<string, number>): Promise<string | undefined> {
  try {
    const statistics = await runSeed(seed);
    for (const [name, count] of Object.entries(statistics)) totals?.set(name, (totals.get(name) ?? 0) + count);
    return undefined;
  } catch (error) {
    return `--seed ${seed}: ${describeFailure(error)}`;
  }
}

describe("the engine in simulated worlds", () => {
  test(`keeps every rule on ${seedsWithout} seeds, and meets everything the worlds are about`, async () => {
    const totals = new Map<string, number>();
    for (let seed = 1; seed <= seedsWithout; seed++) {
      assert.equal(await failureOf(seed, totals), undefined);
      if (seed > 20) continue;
      const [once, again] = [await runSeed(seed), await runSeed(seed)];
      assert.deepEqual(once, again, "the same seed gives the same events");
    }
    totals.delete("hash");
    totals.delete("stopped"); // a policy that ends the application meets its failure too rarely to count on it here
    for (const [name, count] of totals) assert.ok(count > 0, `${name} never happened`);
  });

  test("keeps every rule on the seeds that once found a bug", async () => {
    const seeds = readFileSync(seedsFile, "utf8")
      .split("\n")
      .map((line) => line.replace(/#.*/, "").trim())
      .filter((line) => line !== "");
    assert.ok(seeds.length > 0);
    for (const seed of seeds) assert.equal(await failureOf(Number(seed)), undefined);
  });

  for (const mutant of mutantNames) {
    test(`breaks a rule within ${seedsMax} seeds with the mutant ${mutant}`, async () => {
      const takeOut = plantMutant(mutant);
      try {
        for (let seed = 1; seed <= seedsMax; seed++) if ((await failureOf(seed)) !== undefined) return;
      } finally {
        takeOut();
      }
      assert.fail(`${mutant} was not caught`);
    });
  }
});
