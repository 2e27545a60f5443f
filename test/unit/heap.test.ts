import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { Heap } from "../../lib/base/heap.js";

describe("a heap", () => {
  test("without elements has nothing and is due never", () => {
    const heap = new Heap<string>();
    assert.deepEqual([heap.length, heap.nextKey, heap.pop()], [0, Number.POSITIVE_INFINITY, undefined]);
  });

  test("gives equal keys in the order they came", () => {
    const heap = new Heap<string>();
    for (const [key, element] of [
      [2, "b"],
      [1, "a"],
      [2, "c"],
      [1, "z"],
      [2, "d"],
    ] as const)
      heap.push(key, element);
    assert.deepEqual([1, 2, 3, 4, 5].map(() => heap.pop()).join(""), "azbcd");
  });

  test("does as a sorted list does, whatever is pushed and popped", () => {
    const step = fc.option(fc.integer({ min: 0, max: 9 }), { nil: "pop" as const });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const heap = new Heap<number>();
        const list: { readonly key: number; readonly element: number }[] = [];
        for (const [element, key] of steps.entries()) {
          if (key === "pop") {
            assert.equal(heap.pop(), list.shift()?.element);
          } else {
            heap.push(key, element);
            list.push({ key, element });
            list.sort((a, b) => a.key - b.key); // stable
          }
          assert.equal(heap.length, list.length);
          assert.equal(heap.nextKey, list[0]?.key ?? Number.POSITIVE_INFINITY);
        }
      }),
    );
  });
});
