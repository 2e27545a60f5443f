import assert from "node:assert/strict";
import test from "node:test";
import { type CurveSeries, run } from "../../bench/curve/curve.js";

test("the scale curve is measured, point by point", { timeout: 120_000 }, async () => {
  const result = await run({ quick: true, addresses: 100, messages: 1_000, chains: 50, log: () => {} });
  const { shards, textLength, addresses } = result.series as CurveSeries;
  assert.ok(shards.length > 1 && textLength.length > 1 && addresses.length > 0);
  assert.ok([...shards, ...textLength, ...addresses].every(({ perSecond }) => perSecond > 0));
  assert.ok(result.checksum > 0);
});
