import assert from "node:assert/strict";
import test from "node:test";
import { run } from "../../bench/timers/timers.js";

test("the timers bench runs, and every message that was due came once", { timeout: 120_000 }, async () => {
  const result = await run({ quick: true, messages: 2_000, log: () => {} });
  assert.equal(result.checksum, 10_000);
  assert.equal(result.pending, 2_000);
});
