import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test, { describe } from "node:test";
import { median } from "../../bench/statistics.js";
import { add, runBatch } from "./batch.js";
import { canarySeeds, canaryWorlds } from "./canary.js";
import { features } from "./features.js";
import { minimise } from "./minimise.js";
import { mutantNames, plantMutant, worldsOf } from "./mutants.js";
import type { Overrides } from "./params.js";
import { describeFailure, runSeed } from "./world.js";

const seedsWithout = 150;
const seedsTwice = 20;
const seedsMax = 500;
const seedsFile = new URL("../../../test/seeds.txt", import.meta.url);

/** The failure of a seed in one line; undefined when no rule was broken. */
async function failureOf(seed: number, overrides: Overrides = {}): Promise<string | undefined> {
  try {
    await runSeed(seed, overrides);
    return undefined;
  } catch (error) {
    return `--seed ${seed}: ${describeFailure(error)}`;
  }
}

describe("the engine in simulated worlds", () => {
  test(`keeps every rule on ${seedsWithout} seeds, and meets everything the worlds are about`, async () => {
    const counts = new Map<string, number>();
    const parts = [
      { first: 1, count: seedsTwice, twice: true },
      { first: 1 + seedsTwice, count: seedsWithout - seedsTwice, twice: false },
    ];
    for (const part of parts) {
      const report = await runBatch({ ...part, overrides: {}, firstOnly: true });
      assert.deepEqual(report.failures, []);
      add(counts, report.counts);
    }
    for (const name of Object.keys(features)) assert.ok(counts.has(`worlds with ${name}`), `no world has ${name}`);
    const never = [...counts].filter(([, count]) => count === 0).map(([name]) => name);
    assert.deepEqual(never, [], "what never happened");
  });

  test("keeps every rule on the seeds that once found a bug", async () => {
    const seeds = readFileSync(seedsFile, "utf8")
      .split("\n")
      .map((line) => line.replace(/#.*/, "").trim())
      .filter((line) => line !== "");
    assert.ok(seeds.length > 0);
    for (const seed of seeds) assert.equal(await failureOf(Number(seed)), undefined);
  });

  test("finds the bug that every run of the simulator plants", async () => {
    assert.equal((await canarySeeds(1)).length, 1);
  });

  test("finds smaller worlds that break the same rule", async () => {
    const seeds = await canarySeeds(5); // of a single world nobody knows how much of it a bug needs
    const takeOut = plantMutant("norecord");
    try {
      const least: Overrides[] = [];
      for (const seed of seeds) {
        const smaller = await minimise(seed, canaryWorlds);
        assert.notEqual(await failureOf(seed, smaller), undefined);
        assert.equal(await failureOf(seed, smaller), await failureOf(seed, smaller));
        least.push(smaller);
      }
      const without = median(least.map((smaller) => smaller.without?.length ?? 0));
      assert.ok(without > 10, `most do without ${without} things`);
      const steps = median(least.map((smaller) => smaller.steps ?? Number.POSITIVE_INFINITY));
      assert.ok(steps < 200, `most take ${steps} steps`);
    } finally {
      takeOut();
    }
  });

  for (const mutant of mutantNames) {
    test(`breaks a rule within ${seedsMax} seeds with the mutant ${mutant}`, async () => {
      const takeOut = plantMutant(mutant);
      try {
        let failure: string | undefined;
        for (let seed = 1; seed <= seedsMax && failure === undefined; seed++)
          failure = await failureOf(seed, worldsOf(mutant));
        assert.ok(failure !== undefined, `${mutant} was not caught`);
        assert.doesNotMatch(failure, /TypeError|ReferenceError/, "a rule of the simulator or an invariant is broken");
      } finally {
        takeOut();
      }
    });
  }
});
