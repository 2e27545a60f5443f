import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { FoldedRows } from "../../lib/snapshot/folded-rows.js";
import { RowWriter } from "../../lib/store/row-writer.js";

function sorted(keys: readonly Uint8Array[]): Buffer[] {
  const writer = new RowWriter();
  for (const key of keys) writer.delete(key);
  const rows = new FoldedRows();
  rows.fold(writer.take());
  return Array.from(rows.inKeyOrder(), (row) => Buffer.from(rows.key(row)));
}

function check(keys: readonly Uint8Array[]): void {
  const expected = [...new Set(keys.map((key) => Buffer.from(key).toString("latin1")))].sort();
  assert.deepEqual(
    sorted(keys).map((key) => key.toString("latin1")),
    expected,
  );
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
});
