import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  epochAwaitedShareMax,
  epochEndLookMs,
  epochIdleIntervalMs,
  epochIntervalMinMs,
  epochWorkShareMax,
} from "../../lib/base/limits.js";
import { type Demand, defaultPace, Pace } from "../../lib/snapshot/pace.js";

const busy: Demand = { dirty: true, waiting: false, allIdle: false, endAwaited: false, requested: false };
const workMs = 3;

/** A pace whose last epoch began at 0. */
function paced(options = defaultPace): Pace {
  const pace = new Pace(options, 0);
  pace.spent(workMs);
  return pace;
}

describe("the next epoch is due", () => {
  test("never while nothing is new, and at once when somebody asks for it", () => {
    assert.equal(
      paced().dueIn(1, { ...busy, dirty: false, waiting: true, endAwaited: true }),
      Number.POSITIVE_INFINITY,
    );
    assert.equal(paced().dueIn(1, { ...busy, requested: true }), 0);
  });

  test("when its work is the share of a core that busy shards may pay, more when somebody waits", () => {
    assert.equal(paced().dueIn(1, busy), workMs / epochWorkShareMax - 1);
    assert.equal(paced().dueIn(1, { ...busy, waiting: true }), workMs / epochAwaitedShareMax - 1);
  });

  test("when idle shards have rested for a while, at once when somebody waits", () => {
    assert.equal(paced().dueIn(1, { ...busy, allIdle: true }), epochIdleIntervalMs - 1);
    assert.equal(paced().dueIn(1, { ...busy, allIdle: true, waiting: true }), 0);
  });

  test("soon after all shards are idle when somebody waits for the end, and no sooner while they are busy", () => {
    for (const options of [defaultPace, { intervalMs: 60_000, idleIntervalMs: 60_000 }]) {
      const pace = paced(options);
      const end = { ...busy, endAwaited: true };
      assert.equal(pace.dueIn(epochIntervalMinMs, end), epochEndLookMs, "it is to be looked again");
      assert.equal(pace.dueIn(pace.busyIntervalMs(false), end), 0);
      assert.ok(pace.dueIn(1, { ...end, allIdle: true }) > 0);
      assert.equal(pace.dueIn(workMs / epochAwaitedShareMax, { ...end, allIdle: true }), 0);
    }
    const eager = paced({ intervalMs: undefined, idleIntervalMs: 1 });
    assert.equal(eager.dueIn(1, { ...busy, allIdle: true, endAwaited: true }), 0, "and no later than otherwise");
  });
});
