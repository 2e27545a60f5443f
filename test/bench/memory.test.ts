import assert from "node:assert/strict";
import test from "node:test";
import { run } from "../../bench/memory/memory.js";

test("the memory bench runs, and every counter is 1", { timeout: 120_000 }, async () => {
  const result = await run({ quick: true, rounds: 1, addresses: 5_000, log: () => {} });
  assert.equal(result.checksum, 5_000);
  assert.ok(result.value > 0);
});

test("the memory bench runs with a cap on residents, and every counter is 1", { timeout: 120_000 }, async () => {
  const result = await run({ quick: true, cap: true, addresses: 5_000, log: () => {} });
  assert.deepEqual([result.checksum, result.residentMax], [5_000, 1_000]);
});
