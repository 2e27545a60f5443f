import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { noCells } from "../../lib/snapshot/delta.js";
import { Merge } from "../../lib/snapshot/merge.js";
import type { BaseWriter, Row } from "../../lib/store/base.js";
import { inflightKey } from "../../lib/store/row-key.js";
import { RowWriter } from "../../lib/store/row-writer.js";

/** A base that remembers what its merges applied. */
class Base implements BaseWriter {
  epoch = 0;
  applied: Row[] = [];

  apply(rows: readonly Row[], epoch?: number): void {
    this.applied.push(...rows);
    if (epoch !== undefined) this.epoch = epoch;
  }

  sync(): void {}
  *scan(): Generator<never> {}
  close(): void {}
}

const key = inflightKey(7, 1, 0, 1);
const coming = rowsOf((writer) => writer.put(key, new Uint8Array([1])));
const going = rowsOf((writer) => writer.delete(key));

function rowsOf(write: (writer: RowWriter) => void): Uint8Array {
  const writer = new RowWriter();
  write(writer);
  return writer.take();
}

/** What one merge of all that is folded applies: true for a put, false for a deletion. */
function mergeOf(merge: Merge, base: Base): boolean[] {
  base.applied = [];
  merge.start(0);
  while (!merge.slice(1));
  return base.applied.map(({ value }) => value !== undefined);
}

describe("a merge", () => {
  test("has neither row of a message that came and went since the one before", () => {
    const base = new Base();
    const merge = new Merge(base);
    merge.fold(1, coming, noCells);
    merge.fold(2, going, noCells);
    assert.deepEqual(mergeOf(merge, base), []);
    assert.equal(base.epoch, 2);
    assert.equal(merge.pending, false);
  });

  test("has the deletion of a message that an earlier merge has, also of one that still runs", () => {
    const base = new Base();
    const merge = new Merge(base);
    merge.fold(1, coming, noCells);
    merge.start(0);
    merge.fold(2, going, noCells);
    assert.equal(merge.slice(1), true);
    assert.deepEqual(mergeOf(merge, base), [false]);
  });

  test("keeps deletions on top of what recovery has folded, and only those", () => {
    const base = new Base();
    const merge = new Merge(base);
    merge.foldRecovered(1, coming);
    merge.fold(2, going, noCells);
    assert.deepEqual(mergeOf(merge, base), [false]);
    merge.fold(3, coming, noCells);
    merge.fold(4, going, noCells);
    assert.deepEqual(mergeOf(merge, base), []);
  });
});
