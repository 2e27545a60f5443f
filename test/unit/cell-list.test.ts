import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isHoldfastError } from "../../lib/base/errors.js";
import { CellList } from "../../lib/shard/cell-list.js";
import type { StateCell } from "../../lib/shard/instance.js";

function cell(handle: number): StateCell {
  return { handle } as StateCell;
}

function filled(list: CellList, count: number): StateCell[] {
  const cells = Array.from({ length: count }, (_, n) => cell(n + 1));
  for (const each of cells) list.add(each);
  return cells;
}

describe("a list of an epoch's cells", () => {
  test("gives them in the order in which they were added, for epochs of any size", () => {
    const list = new CellList();
    for (const count of [3, 0, 1_000, 10, 1_001]) {
      list.begin();
      const cells = filled(list, count);
      assert.equal(list.length, count);
      assert.deepEqual(
        cells.map((_, index) => list.take(index)),
        cells,
      );
    }
  });

  test("lets go of a cell when it is taken", () => {
    const list = new CellList();
    filled(list, 5);
    list.take(0);
    list.at(4);
    for (const look of [() => list.at(0), () => list.take(0), () => list.at(5)]) {
      assert.throws(look, (error) => isHoldfastError(error, "HF_INVARIANT"));
    }
  });

  test("is not begun anew before all of it was taken", () => {
    const list = new CellList();
    filled(list, 2);
    list.take(0);
    assert.throws(
      () => list.begin(),
      (error) => isHoldfastError(error, "HF_INVARIANT"),
    );
    list.take(1);
    list.begin();
    assert.equal(list.length, 0);
  });
});
