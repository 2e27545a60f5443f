import assert from "node:assert/strict";
import test from "node:test";
import { run } from "../../bench/peers/peers.js";

test("every peer that is installed does the same work, and the others are named as skipped", {
  timeout: 120_000,
}, async () => {
  const result = await run({ quick: true, rounds: 1, messages: 1_000, log: () => {} });
  const peers = result.peers as { readonly name: string; readonly messages: number }[];
  const skipped = result.skipped as { readonly name: string; readonly reason: string }[];
  assert.equal(
    result.checksum,
    peers.reduce((sum, { messages }) => sum + messages, 0),
  );
  const names = [...peers, ...skipped].map(({ name }) => name);
  assert.deepEqual(names.sort(), ["BullMQ", "Restate", "holdfast", "nact", "piscina", "postMessage"]);
});
