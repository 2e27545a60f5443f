import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { Heap } from "../../lib/base/heap.js";

interface Entry {
  readonly key: number;
  readonly name: number;
  place: number;
}

const inOrder = (a: Entry, b: Entry): number => a.key - b.key || a.name - b.name;
const heapOf = (): Heap<Entry> =>
  new Heap<Entry>(
    (a, b) => inOrder(a, b) < 0,
    (entry, place) => {
      entry.place = place;
    },
  );

describe("a heap", () => {
  test("without elements has none to give", () => {
    const heap = heapOf();
    assert.deepEqual([heap.length, heap.peek(), heap.pop()], [0, undefined, undefined]);
  });

  test("does as a sorted list does, whatever is pushed, popped, removed and left out", () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.record({ push: fc.integer({ min: 0, max: 9 }) }) },
      { weight: 3, arbitrary: fc.constant("pop" as const) },
      { weight: 2, arbitrary: fc.record({ remove: fc.nat(50) }) },
      { weight: 1, arbitrary: fc.constant("shrink" as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = heapOf();
        let list: Entry[] = [];
        const gone: Entry[] = [];
        for (const [name, what] of steps.entries()) {
          if (what === "pop") {
            assert.equal(heap.pop(), list[0]);
            gone.push(...list.splice(0, 1));
          } else if (what === "shrink") {
            if (list.length < 2) continue;
            const kept = list.length >> 1;
            assert.equal(heap.shrink(kept), list[kept]);
            gone.push(...list.splice(kept));
          } else if ("push" in what) {
            const entry = { key: what.push, name, place: -1 };
            heap.push(entry);
            list = [...list, entry].sort(inOrder);
          } else if (list.length > 0) {
            const [entry] = list.splice(what.remove % list.length, 1);
            assert.equal(heap.removeAt(entry.place), entry);
            gone.push(entry);
          }
          assert.equal(heap.length, list.length);
          assert.equal(heap.peek(), list[0]);
        }
        assert.deepEqual(
          list.map(({ place }) => place).sort((a, b) => a - b),
          list.map((_, index) => index),
        );
        for (const entry of gone) assert.equal(entry.place, -1);
      }),
    );
  });
});
