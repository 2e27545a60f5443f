import assert from "node:assert/strict";
import test from "node:test";
import { run } from "../../bench/throughput/throughput.js";

test("the throughput bench runs, and its checksum is what was sent", { timeout: 120_000 }, async () => {
  const result = await run({ quick: true, rounds: 1, chains: 50, messages: 20_000, log: () => {} });
  assert.equal(result.checksum, 2 * 20_000, "a warm-up round and one that counts");
  assert.ok(result.value > 0 && (result.baseline as number) > 0);
});
