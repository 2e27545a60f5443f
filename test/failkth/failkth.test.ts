import assert from "node:assert/strict";
import test from "node:test";
import { failEachCall } from "./fail-kth.js";

test("storage recovers, with all rows right, whichever of its calls into disk and bases fails", () => {
  const report = failEachCall({ rounds: 1, seed: 1, stride: 11 });
  assert.deepEqual(report.violations, []);
  assert.ok(report.cases > 0);
});
