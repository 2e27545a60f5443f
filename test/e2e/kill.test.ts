/** kill -9 and other ends, in small; `npm run chaos`, `npm run smoke` and `npm run faults` are the same in large. */
import assert from "node:assert/strict";
import test from "node:test";
import { verdictOf } from "../driven/verdict.js";

interface ChaosVerdict {
  readonly kills: number;
  readonly records: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
  readonly rejected: number;
  readonly workerExits: number;
}

interface SmokeVerdict {
  readonly invocations: number;
  readonly kills: number;
  readonly mismatches: number;
}

interface FaultsVerdict {
  readonly faults: Readonly<Record<string, number>>;
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
}

test("no transfer is lost or doubled when the process is killed four times and its workers die", {
  timeout: 120_000,
}, async ({ signal }) => {
  const args = ["--kills", "4", "--seed", "3", "--batch", "3000"];
  const { code, verdict, said } = await verdictOf<ChaosVerdict>("chaos/main.js", args, signal);
  assert.equal(code, 0, said);
  const { kills, lost, duplicated, wrong } = verdict;
  assert.deepEqual({ kills, lost, duplicated, wrong }, { kills: 4, lost: 0, duplicated: 0, wrong: 0 }, said);
  assert.ok(verdict.records >= 3_000 && verdict.rejected > 0 && verdict.workerExits > 0, said);
});

test("every counter of random programs is exact when the process is killed four times and threads end", {
  timeout: 120_000,
}, async ({ signal }) => {
  const args = ["--messages", "4000", "--instances", "24", "--kills", "4", "--seed", "3"];
  const { code, verdict, said } = await verdictOf<SmokeVerdict>("smoke/main.js", args, signal);
  assert.equal(code, 0, said);
  assert.deepEqual([verdict.kills, verdict.mismatches], [4, 0], said);
  assert.ok(verdict.invocations > 4_000, said);
});

test("no letter is lost or doubled by an abort, a stop, a jump of the clock or a second process", {
  timeout: 120_000,
}, async ({ signal }) => {
  const faults = ["process.abort", "SIGSTOP and SIGCONT", "clock jumps", "two processes on one directory"];
  const { code, verdict, said } = await verdictOf<FaultsVerdict>("faults/main.js", ["--only", faults.join()], signal);
  assert.equal(code, 0, said);
  const { lost, duplicated, wrong } = verdict;
  assert.deepEqual({ lost, duplicated, wrong }, { lost: 0, duplicated: 0, wrong: 0 }, said);
  assert.deepEqual(Object.keys(verdict.faults).sort(), [...faults].sort());
});
