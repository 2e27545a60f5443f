import assert from "node:assert/strict";
import test from "node:test";
import { run } from "../../bench/ingest/ingest.js";

test("the ingest bench runs, and the accounts hold what the file says", { timeout: 120_000 }, async () => {
  const result = await run({ quick: true, rounds: 1, keys: 100, log: () => {} });
  assert.equal(result.name, "ingest");
  assert.ok(result.checksum > 0 && result.value > 0 && (result.baseline as number) > 0);
  assert.equal(result.spread, 0, "of one round");
});
