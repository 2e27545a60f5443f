import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { isHoldfastError } from "../../lib/base/errors.js";
import type { CellRows } from "../../lib/snapshot/delta.js";
import { FoldedRows } from "../../lib/snapshot/folded-rows.js";
import { OrderedRows } from "../../lib/snapshot/key-order.js";
import { RowWriter } from "../../lib/store/row-writer.js";

function sorted(keys: readonly Uint8Array[]): Buffer[] {
  const writer = new RowWriter();
  for (const key of keys) writer.delete(key);
  const rows = new FoldedRows();
  rows.fold(writer.take());
  const ordered = orderedRows(rows);
  return Array.from({ length: ordered.length }, (_, row) => Buffer.from(ordered.places.key(row)));
}

/** In steps, so that some are in order while others are not. */
function orderedRows({ places, size }: FoldedRows): OrderedRows {
  const ordered = new OrderedRows(places, size);
  for (let end = 0; end <= size; end = Math.max(end + 1, Math.floor(end * 1.3))) ordered.order(end);
  ordered.order(size);
  return ordered;
}

function check(keys: readonly Uint8Array[]): void {
  const expected = [...new Set(keys.map((key) => Buffer.from(key).toString("latin1")))].sort();
  assert.deepEqual(
    sorted(keys).map((key) => key.toString("latin1")),
    expected,
  );
}

/** One cell with this key. */
function cellOf(key: string, handle: number): CellRows {
  const writer = new RowWriter();
  writer.delete(Buffer.from(key));
  return { rows: writer.take(), places: Int32Array.of(handle, 2, 0) };
}

describe("keys in order", () => {
  test("any keys, many with long beginnings in common and many that begin others", () => {
    const head = fc.constantFrom("", "\0", "\0\0\0\0\0\0", "user-", "user-1234567", "\xff".repeat(13));
    const key = fc.tuple(head, fc.uint8Array({ maxLength: 9 })).map(([text, bytes]) => {
      return Buffer.concat([Buffer.from(text, "latin1"), bytes]);
    });
    fc.assert(fc.property(fc.array(key, { maxLength: 200 }), check));
  });

  test("thousands in ascending, descending and mixed order", () => {
    const keys = Array.from({ length: 5_000 }, (_, n) => Buffer.from(`user-${n}`));
    check(keys);
    check([...keys].reverse());
    check(keys.map((_, n) => keys[(n * 2_111) % keys.length]));
  });

  test("the longest keys that differ in their last byte only", () => {
    const head = Buffer.alloc(65_534, "k");
    check(Array.from({ length: 40 }, (_, n) => Buffer.concat([head, Buffer.of(255 - n)])));
  });

  test("two that are equal are refused, however long they are and whatever is between them", () => {
    for (const text of ["", "a", "sixsix", "sevenseven", "k".repeat(600)]) {
      for (const others of [0, 1, 30]) {
        const rows = new FoldedRows();
        for (const handle of [1, 2]) rows.foldCells(cellOf(text, handle));
        for (let n = 0; n < others; n++) rows.foldCells(cellOf(`${text}${n}`, 3 + n));
        assert.throws(
          () => orderedRows(rows),
          (error) => isHoldfastError(error, "HF_INVARIANT"),
        );
      }
    }
  });
});
