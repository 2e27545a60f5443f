/** A small run of every fuzzer: `npm run fuzz` has longer ones. */
import assert from "node:assert/strict";
import test from "node:test";
import { fuzzApart } from "./fuzz.js";
import { areas, targets } from "./run.js";

const seconds = 4;

test("whatever comes from outside gives a right value or a typed error", { timeout: 120_000 }, async () => {
  const { cases, failures } = await fuzzApart({ seconds, seed: 1, only: areas });
  assert.deepEqual(failures.map(({ report }) => report).join("\n"), "");
  for (const { name } of targets) assert.ok((cases[name] ?? 0) > 0, `${name} never ran`);
});
