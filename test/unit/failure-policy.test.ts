import assert from "node:assert/strict";
import test, { describe } from "node:test";
import type { Random } from "../../lib/base/random.js";
import { isFinal, pauseOf, resolvePolicy } from "../../lib/shard/failure-policy.js";
import type { ShardLimits } from "../../lib/shard/ports.js";

const limits = { turnAttemptsMax: 5, turnRetryBaseMs: 7, turnTimeoutMs: 900 } as ShardLimits;

function randomly(next: number): Random {
  return { next: () => next } as Random;
}

describe("a failure policy", () => {
  test("that is not given is that of the start options", () => {
    for (const given of [undefined, {}, { retry: {} }]) {
      assert.deepEqual(resolvePolicy(given, limits), {
        maxAttempts: 5,
        backoffMs: 7,
        maxBackoffMs: 60_000,
        factor: 2,
        jitter: 0.2,
        turnTimeoutMs: 900,
        nonRetryable: undefined,
        end: "quarantine",
      });
    }
  });

  test("that is given wins, zeros too", () => {
    const retry = { maxAttempts: 1, backoffMs: 0, maxBackoffMs: 0, factor: 1, jitter: 0 };
    const nonRetryable = (): boolean => true;
    const resolved = resolvePolicy({ retry, nonRetryable, turnTimeoutMs: 1, after: "fail" }, limits);
    assert.deepEqual(resolved, { ...retry, nonRetryable, turnTimeoutMs: 1, end: "fail" });
  });

  test("pauses longer after each attempt, up to the longest pause", () => {
    const policy = resolvePolicy({ retry: { backoffMs: 10, factor: 3, maxBackoffMs: 100, jitter: 0 } }, limits);
    const pauses = [1, 2, 3, 4, 1_000].map((attempts) => pauseOf(policy, attempts, randomly(0.5)));
    assert.deepEqual(pauses, [10, 30, 90, 100, 100]); // also where the power is infinite
  });

  test("shortens a pause by its jitter at most, and lengthens none", () => {
    const policy = resolvePolicy({ retry: { backoffMs: 100, jitter: 0.25 } }, limits);
    assert.equal(pauseOf(policy, 1, randomly(0)), 100);
    assert.equal(pauseOf(policy, 1, randomly(1)), 75);
    const none = resolvePolicy({ retry: { backoffMs: 0, factor: 1_000 } }, limits);
    assert.equal(pauseOf(none, 1_000, randomly(0.5)), 0);
  });

  test("calls an error final only when the function says true", () => {
    const says = (answer: unknown) => resolvePolicy({ nonRetryable: () => answer as boolean }, limits);
    const throws = resolvePolicy(
      {
        nonRetryable: () => {
          throw new Error("the test fails itself");
        },
      },
      limits,
    );
    const error = new Error("x");
    assert.deepEqual(
      [true, false, undefined, "yes", 1].map((answer) => isFinal(says(answer), error)),
      [true, false, false, false, false],
    );
    assert.equal(isFinal(throws, error), false);
    assert.equal(isFinal(resolvePolicy(undefined, limits), error), false);
  });
});
