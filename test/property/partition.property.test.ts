import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { keyGroupsMax, shardsMax } from "../../lib/base/limits.js";
import { hashId } from "../../lib/partition/hash.js";
import { keyGroupOf, keyGroupRange, shardOfKeyGroup } from "../../lib/partition/key-groups.js";

const keyGroups = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: keyGroupsMax }));
const shards = fc.integer({ min: 1, max: shardsMax });

describe("key groups", () => {
  test("every key group belongs to exactly the shard whose range holds it", () => {
    fc.assert(
      fc.property(keyGroups, shards, (groups, count) => {
        let next = 0;
        for (let shard = 0; shard < count; shard++) {
          const { first, end } = keyGroupRange(shard, groups, count);
          assert.equal(first, next);
          next = end;
          if (first < end) {
            assert.equal(shardOfKeyGroup(first, groups, count), shard);
            assert.equal(shardOfKeyGroup(end - 1, groups, count), shard);
          }
        }
        assert.equal(next, groups);
      }),
    );
  });

  test("the ranges of two shards differ in size by at most one", () => {
    fc.assert(
      fc.property(keyGroups, shards, (groups, count) => {
        const sizes = Array.from({ length: count }, (_, shard) => {
          const { first, end } = keyGroupRange(shard, groups, count);
          return end - first;
        });
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1);
      }),
    );
  });

  test("an id has a key group below their number", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), keyGroups, (id, groups) => {
        const group = keyGroupOf(id, groups);
        assert.ok(Number.isInteger(group) && group >= 0 && group < groups);
      }),
    );
  });
});

describe("hash", () => {
  test("ids that count up spread evenly over the key groups, whatever their prefix", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.constantFrom(2, 16, 100, 128, 256), (prefix, groups) => {
        const count = groups * 200;
        const counts = new Array<number>(groups).fill(0);
        for (let i = 0; i < count; i++) counts[keyGroupOf(prefix + i, groups)]!++;
        let chiSquare = 0;
        for (const seen of counts) chiSquare += (seen - 200) ** 2 / 200;
        // Mean groups - 1, deviation sqrt(2 (groups - 1)); six deviations leave room for every prefix there is.
        assert.ok(chiSquare < groups - 1 + 6 * Math.sqrt(2 * groups) + 12, `${chiSquare} for ${groups}`);
      }),
      { numRuns: 30 },
    );
  });

  test("one changed code unit changes about half of the bits", () => {
    let flipped = 0;
    const samples = 4000;
    for (let i = 0; i < samples; i++)
      flipped += bits(hashId(`user-${i}`) ^ hashId(`user-${i}x`.slice(0, -1).replace(/.$/, "y")));
    assert.ok(Math.abs(flipped / samples - 16) < 0.5, String(flipped / samples));
  });

  function bits(word: number): number {
    let count = 0;
    for (let rest = word >>> 0; rest !== 0; rest = (rest & (rest - 1)) >>> 0) count++;
    return count;
  }
});
