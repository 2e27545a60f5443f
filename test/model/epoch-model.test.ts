import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { catchMutant, mutantSeedsMax } from "./catch-mutant.js";
import { type ModelStatistics, runModel } from "./epoch-model.js";
import { mutantNames, mutants } from "./mutants.js";

const seedsWithout = 400;

describe("the protocol model", () => {
  test(`keeps every rule on ${seedsWithout} seeds, and meets everything it is about`, () => {
    const totals = new Map<string, number>();
    for (let seed = 1; seed <= seedsWithout; seed++) {
      const statistics: ModelStatistics = runModel(seed);
      for (const [name, count] of Object.entries(statistics)) totals.set(name, (totals.get(name) ?? 0) + count);
    }
    for (const [name, count] of totals) assert.ok(count > seedsWithout / 10, `${name} happened ${count} times only`);
  });

  test("gives the same run for the same seed", () => {
    assert.deepEqual(runModel(7), runModel(7));
  });

  for (const mutant of mutantNames) {
    test(`breaks when ${mutants[mutant]} (${mutant})`, () => {
      assert.ok(catchMutant(mutant) !== undefined, `not caught within ${mutantSeedsMax} seeds`);
    });
  }
});
