/** The model of the smoke workload, and that its audit finds what is wrong. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { seededRandom } from "../../lib/base/random.js";
import { CommandGenerator, defaultParameters } from "../smoke/command-generator.js";
import type { Commands, Discarded, VerificationResult } from "../smoke/commands.js";
import { Findings } from "../smoke/findings.js";
import { FunctionStateTracker } from "../smoke/function-state-tracker.js";
import { compareDiscarded, compareVerified, decideRaces } from "../smoke/smoke-audit.js";

const increment: Commands = [{ kind: "increment" }];

describe("the model of the smoke workload", () => {
  test("counts increments where they are run, through sends, delays and operations", () => {
    const tracker = new FunctionStateTracker(3);
    tracker.apply({
      target: 0,
      commands: [
        { kind: "increment" },
        { kind: "send", target: 1, commands: [...increment, { kind: "sendEgress", number: 7 }] },
        { kind: "sendAfter", target: 2, delayMs: 1, commands: increment },
        { kind: "asyncOperation", failure: true, resolvedCommands: increment },
      ],
    });
    assert.deepEqual(tracker.counts, [2, 1, 1]);
    assert.deepEqual(tracker.invocations, [2, 1, 1]);
    assert.deepEqual([...tracker.discarded], [[7, 1]]);
  });

  test("counts nothing of a message that is cancelled in the list that sends it", () => {
    const tracker = new FunctionStateTracker(2);
    tracker.apply({
      target: 0,
      commands: [
        { kind: "sendAfter", target: 1, delayMs: 1_000, token: "t", commands: increment },
        { kind: "cancelSendAfter", token: "t" },
      ],
    });
    assert.deepEqual(tracker.counts, [0, 0]);
    assert.equal(tracker.races.size, 0);
  });

  for (const cancelled of [true, false]) {
    test(`${cancelled ? "does not count" : "counts"} a message whose cancelling ${cancelled ? "came in time" : "was late"}`, () => {
      const tracker = raced();
      assert.equal(tracker.decide(5, cancelled), true);
      assert.deepEqual(tracker.counts, [0, cancelled ? 0 : 1]);
      assert.equal(tracker.decide(5, cancelled), false);
    });
  }

  test("has the mean numbers per source command that follow from StateFun's weights", () => {
    const sources = 20_000;
    const tracker = new FunctionStateTracker(128);
    const generator = new CommandGenerator({ ...defaultParameters, instances: 128 }, seededRandom(1));
    for (let n = 0; n < sources; n++) tracker.apply(generator.get());
    const perSource = tracker.invocationsTotal / sources;
    assert.ok(perSource > 2 && perSource < 2.4, `${perSource} messages per source command`); // 2.13, and races
  });
});

describe("the audit of the smoke workload", () => {
  test("finds nothing when everything is as it must be", () => {
    assert.deepEqual(audited(settled(), [{ number: 1, at: 0 }], [result(0, 1), result(1, 1)]), []);
  });

  test("finds a lost, a doubled and a foreign record", () => {
    const results = [result(0, 1), result(1, 1)];
    assert.match(audited(settled(), [], results).join(), /record 1 is missing/);
    const twice = [
      { number: 1, at: 0 },
      { number: 1, at: 0 },
    ];
    assert.match(audited(settled(), twice, results).join(), /record 1 is there twice/);
    assert.match(
      audited(settled(), [{ number: 1, at: 1 }], results).join(),
      /record 1 of instance 1 must not be there/,
    );
  });

  test("finds a counter that is wrong, silent or told twice, a message too many and one out of order", () => {
    const records = [{ number: 1, at: 0 }];
    assert.match(
      audited(settled(), records, [result(0, 2), result(1, 1)]).join(),
      /instance 0 has counted 2, must be 1/,
    );
    assert.match(audited(settled(), records, [result(0, 1)]).join(), /instance 1 did not tell/);
    assert.match(
      audited(settled(), records, [result(0, 1), result(0, 1), result(1, 1)]).join(),
      /0 told its counter twice/,
    );
    assert.match(
      audited(settled(), records, [{ ...result(0, 1), invocations: 2 }, result(1, 1)]).join(),
      /taken 2 messages/,
    );
    assert.match(audited(settled(), records, [{ ...result(0, 1), surprises: 1 }, result(1, 1)]).join(), /out of order/);
  });

  test("finds a race that was never told, and one that was told twice", () => {
    const findings = new Findings();
    decideRaces([], raced(), findings);
    const told = { race: 5, cancelled: false };
    decideRaces([told, told], raced(), findings);
    assert.deepEqual(findings.examples, ["race 5 was never told", "race 5 was told twice, or is none"]);
  });
});

/** A message of instance 0 to instance 1, and a later message that cancels it. */
function raced(): FunctionStateTracker {
  const tracker = new FunctionStateTracker(2);
  tracker.apply({
    target: 0,
    commands: [
      { kind: "sendAfter", target: 1, delayMs: 2, token: "t", commands: increment },
      { kind: "sendAfter", target: 0, delayMs: 2, commands: [{ kind: "cancelSendAfter", token: "t", race: 5 }] },
    ],
  });
  return tracker;
}

/** Both instances have counted one, instance 0 has written record 1. */
function settled(): FunctionStateTracker {
  const tracker = new FunctionStateTracker(2);
  tracker.apply({ target: 0, commands: [...increment, { kind: "sendEgress", number: 1 }] });
  tracker.apply({ target: 1, commands: increment });
  return tracker;
}

function result(id: number, actual: number): VerificationResult {
  return { id, actual, expected: 1, invocations: 1, surprises: 0 };
}

function audited(
  tracker: FunctionStateTracker,
  records: readonly Discarded[],
  results: readonly VerificationResult[],
): readonly string[] {
  const findings = new Findings();
  compareDiscarded(records, tracker, findings);
  compareVerified(results, tracker, findings);
  return findings.examples;
}
