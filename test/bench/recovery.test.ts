import assert from "node:assert/strict";
import test from "node:test";
import { run } from "../../bench/recovery/recovery.js";

test("the recovery bench runs, and every page has the version it had when the process was killed", {
  timeout: 120_000,
}, async () => {
  const result = await run({ quick: true, rounds: 1, addresses: 600, log: () => {} });
  assert.ok(result.checksum > 600, "some pages were revised in the log alone");
  assert.ok(result.value > 0);
});
