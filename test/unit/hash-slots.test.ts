import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { emptySlot, fillSlot } from "../../lib/base/hash-slots.js";

describe("hash slots", () => {
  test("whatever comes and goes, every entry is found from its home on, and none that went", () => {
    const slotCount = 16;
    const hashOf = fc.array(fc.integer(), { minLength: slotCount / 2, maxLength: slotCount / 2 });
    fc.assert(
      fc.property(hashOf, fc.array(fc.nat(slotCount / 2 - 1), { maxLength: 60 }), (hashed, toggled) => {
        const hashes = Int32Array.from(hashed, (hash) => hash % 4); // many with one home
        const slots = new Int32Array(slotCount);
        const there = new Set<number>();
        const find = (number: number): number => {
          let slot = hashes[number] & (slotCount - 1);
          while (slots[slot] !== 0 && slots[slot] !== number + 1) slot = (slot + 1) & (slotCount - 1);
          return slots[slot] === 0 ? -1 : slot;
        };
        for (const number of toggled) {
          if (there.delete(number)) emptySlot(slots, hashes, find(number));
          else {
            fillSlot(slots, hashes, number);
            there.add(number);
          }
          for (let other = 0; other < hashes.length; other++) assert.equal(find(other) !== -1, there.has(other));
          assert.equal(slots.filter((slot) => slot !== 0).length, there.size);
        }
      }),
      { numRuns: 300 },
    );
  });
});
