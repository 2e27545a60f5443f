/** The page of the evidence says what the runs said, and no more. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { type CommandOutcome, judge } from "../evidence/command-run.js";
import { type EvidenceCommand, evidenceCommands, type Verdict } from "../evidence/commands.js";
import { bugsIn, type Evidence, evidencePage } from "../evidence/evidence-page.js";

const machine = { processor: "abacus", cores: 3, memoryGiB: 7.5, kernel: "Beads 1", node: "v20.19.0", load: 0.25 };

function commandOf(name: string): EvidenceCommand {
  return evidenceCommands.find((command) => command.name === name)!;
}

function passed(verdict: Verdict): CommandOutcome {
  return { kind: "passed", why: undefined, verdict, seconds: 12.3 };
}

function pageOf(outcomes: Readonly<Record<string, CommandOutcome | undefined>>): string {
  const runs = Object.entries(outcomes).map(([name, outcome]) => ({ command: commandOf(name), outcome }));
  const evidence: Evidence = { date: "2031-05-04", commit: "abc1234", extent: "quick", machine, runs, bugs: [] };
  return evidencePage(evidence);
}

describe("the page of the evidence", () => {
  test("says what was run, on what, and what each command said", () => {
    const page = pageOf({ chaos: passed({ kills: 4, records: 1_500, workerExits: 2 }) });
    for (const expected of ["2031-05-04", "abc1234", "3 cores (abacus), 7.5 GiB", "Beads 1", "v20.19.0", "0.3"])
      assert.ok(page.includes(expected), expected);
    assert.match(page, /1 of 1 commands passed\./);
    assert.match(page, /\| `npm run chaos -- --kills \d+` \| passed \| 12 \|/);
    assert.ok(page.includes('chaos: {"kills":4,"records":1500,"workerExits":2}'));
  });

  test("adds up what several commands went through", () => {
    const page = pageOf({
      smoke: passed({ invocations: 700, kills: 3, threadEnds: 1 }),
      chaos: passed({ kills: 4, records: 1_500, workerExits: 2 }),
      faults: passed({ faults: { abort: 2, loop: 3 } }),
    });
    assert.match(page, /\| kills with SIGKILL \| 7 \|/);
    assert.match(page, /\| ends of threads \| 3 \|/);
    assert.match(page, /\| messages and records \| 2,200 \|/);
    assert.match(page, /\| faults \| 5 \|/);
  });

  test("says of a command that it failed, was skipped or was not run, and counts nothing of it", () => {
    const page = pageOf({
      smoke: { kind: "failed", why: "exit 1", verdict: { kills: 9, mismatches: 1 }, seconds: 1 },
      mutants: { kind: "skipped", why: "not part of a quick run", verdict: undefined, seconds: 0 },
      chaos: undefined,
    });
    assert.match(page, /0 of 3 commands passed, \*\*1 failed\*\*, 1 skipped, 1 not run\./);
    assert.match(page, /\*\*failed\*\*: exit 1/);
    assert.match(page, /skipped: not part of a quick run/);
    assert.match(page, /\| not run \|/);
    assert.doesNotMatch(page, /kills with SIGKILL/);
    assert.ok(page.includes('smoke: {"kills":9,"mismatches":1}'), "what a failed command said is shown");
  });

  test("says what a command that passed did not look at", () => {
    const page = pageOf({
      soak: passed({ kills: 2, rssMiBAtEndOfLives: [200, 201] }),
      faults: passed({ faults: { abort: 1 }, skipped: { "full disk": "no right to mount" } }),
    });
    assert.match(page, /passed; memory was not judged, which takes \d+ whole lives of a process; there were 2 \|/);
    assert.match(page, /passed; without full disk \(no right to mount\) \|/);
  });

  test("takes the bugs out of the file of seeds", () => {
    const found = bugsIn("# a comment\n2    # (1) a shard slept\n960  # a commit was lost\n");
    assert.deepEqual(found, [
      { seed: 2, what: "a shard slept" },
      { seed: 960, what: "a commit was lost" },
    ]);
  });
});

describe("a command has passed", () => {
  test("when it exited with 0 and its last line is a verdict", () => {
    assert.deepEqual(judge('progress\n{"seeds":3}\n', true, ""), passedWith({ seeds: 3 }));
    assert.deepEqual(judge("# pass 5\n# fail 0\n", true, ""), passedWith({ pass: 5, fail: 0 }));
  });

  test("and has failed in every other case", () => {
    assert.deepEqual(judge('{"seeds":3}\n', false, "exit 1"), { kind: "failed", why: "exit 1", verdict: { seeds: 3 } });
    assert.equal(judge("", true, "").kind, "failed");
    assert.equal(judge("{cut o", true, "").kind, "failed");
  });

  function passedWith(verdict: Verdict) {
    return { kind: "passed", why: undefined, verdict };
  }
});
