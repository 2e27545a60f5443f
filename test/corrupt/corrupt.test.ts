import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { examineAll, type Outcome } from "./examiner-pool.js";
import { makeSpecimens } from "./specimen.js";

test("damage to a file of a data directory is ignored rightly or refused, never silent", async () => {
  const root = mkdtempSync(join(tmpdir(), "holdfast-corrupt-"));
  try {
    const outcomes: Outcome[] = [];
    await examineAll(makeSpecimens(root, 12, 1), 1, 60, 1, root, (outcome) => outcomes.push(outcome));
    assert.deepEqual(
      outcomes.filter(({ verdict }) => verdict === "silent"),
      [],
    );
    for (const verdict of ["ignored", "refused"])
      assert.ok(
        outcomes.some((outcome) => outcome.verdict === verdict),
        verdict,
      );
    assert.ok(
      outcomes.some(({ recovered }) => recovered),
      "some loss was accepted",
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
