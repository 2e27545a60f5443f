import assert from "node:assert/strict";
import test from "node:test";
import { run } from "../../bench/micro/micro.js";

test("every micro bench runs, and all its contenders do the same work", { timeout: 120_000 }, async () => {
  const result = await run({ quick: true, log: () => {} });
  const parts = result.parts as { readonly ns: number; readonly baselines: Record<string, number> }[];
  assert.equal(result.checksum, parts.length);
  for (const { ns, baselines } of parts) assert.ok(ns > 0 && Object.values(baselines).every((other) => other > 0));
});
