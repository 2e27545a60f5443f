import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { residentInstancesMin } from "../../lib/base/limits.js";
import { roomIn } from "../../lib/supervisor/heap-room.js";

const GiB = 2 ** 30;

describe("the room for instances in a heap", () => {
  test("is any number while less than half of it is taken", () => {
    assert.equal(roomIn(GiB, GiB / 2 - 1, 5), Number.POSITIVE_INFINITY);
    assert.equal(roomIn(GiB, 0, 0), Number.POSITIVE_INFINITY);
  });

  test("is in proportion to what the instances that are there weigh", () => {
    assert.equal(roomIn(GiB, GiB / 2, 100_000), 200_000);
    assert.equal(roomIn(GiB, GiB, 100_000), 100_000);
    assert.equal(roomIn(GiB, 4 * GiB, 100_000), 25_000);
  });

  test("is never less than a few, whatever else fills the heap", () => {
    assert.equal(roomIn(GiB, 4 * GiB, 100), residentInstancesMin);
    assert.equal(roomIn(GiB, 4 * GiB, 0), residentInstancesMin);
  });

  test("brings what lives to what may live, when all weigh the same", () => {
    const resident = fc.integer({ min: residentInstancesMin, max: 10_000_000 });
    fc.assert(
      fc.property(
        resident,
        fc.integer({ min: 100, max: 10_000 }),
        fc.integer({ min: 1, max: 64 }),
        (count, weight, gib) => {
          const room = roomIn(gib * GiB, count * weight, count);
          const isFree = 2 * count * weight < gib * GiB;
          assert.equal(room === Number.POSITIVE_INFINITY, isFree);
          if (!isFree && room > residentInstancesMin) assert.ok(Math.abs(room * weight - gib * GiB) <= weight);
        },
      ),
    );
  });
});
