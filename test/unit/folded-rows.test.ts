import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { isHoldfastError } from "../../lib/base/errors.js";
import { type CellRows, placeWidth } from "../../lib/snapshot/delta.js";
import { FoldedRows } from "../../lib/snapshot/folded-rows.js";
import { OrderedRows } from "../../lib/snapshot/key-order.js";
import { RowWriter } from "../../lib/store/row-writer.js";

/** A row as latin1 texts, so that both sides of a comparison are easy to read; undefined deletes. */
type TextRow = readonly [key: string, value: string | undefined];

function bytesOf(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

function textOf(bytes: Uint8Array | undefined): string | undefined {
  return bytes === undefined ? undefined : Buffer.from(bytes).toString("latin1");
}

function deltaOf(rows: readonly TextRow[]): Uint8Array {
  const writer = new RowWriter();
  for (const [key, value] of rows) {
    if (value === undefined) writer.delete(bytesOf(key));
    else writer.put(bytesOf(key), bytesOf(value));
  }
  return writer.take();
}

/** The rows of cells, whose keys are numbered in `handles`. */
function cellsOf(rows: readonly TextRow[], handles: Map<string, number>): CellRows {
  const bytes = deltaOf(rows);
  const places: number[] = [];
  let at = 0;
  for (const [key, value] of rows) {
    if (!handles.has(key)) handles.set(key, handles.size + 1);
    places.push(handles.get(key) as number, at + 2, key.length);
    at += 2 + key.length + 4 + (value?.length ?? 0);
  }
  assert.equal(places.length, placeWidth * rows.length);
  return { rows: bytes, places: Int32Array.from(places) };
}

/** Rows beside the map they must be equal to: a map keeps a key where it came first, as rows do until messages leave. */
class Checked {
  readonly rows = new FoldedRows();
  readonly oracle = new Map<string, string | undefined>();
  /** Rows have left: the numbers of the others may have another order than the map. */
  closedUp = false;

  fold(rows: readonly TextRow[]): void {
    this.rows.fold(deltaOf(rows));
    for (const [key, value] of rows) this.oracle.set(key, value);
  }

  /** Messages that were seen to come and go leave nothing; rows of others are as with `fold`. */
  foldNewer(rows: readonly TextRow[]): void {
    this.rows.foldNewer(deltaOf(rows));
    for (const [key, value] of rows) {
      if (value === undefined && key.startsWith(messagePrefix) && this.oracle.delete(key)) this.closedUp = true;
      else this.oracle.set(key, value);
    }
  }

  foldCells(rows: readonly TextRow[], handles: Map<string, number>): void {
    this.rows.foldCells(cellsOf(rows, handles));
    for (const [key, value] of rows) this.oracle.set(key, value);
  }

  check(): void {
    const { rows, oracle } = this;
    assert.equal(rows.size, oracle.size);
    const { size } = rows;
    const places = this.closedUp ? rows.end() : rows.places;
    const folded = Array.from({ length: size }, (_, row): TextRow => {
      return [textOf(places.key(row)) as string, textOf(places.value(row))];
    });
    if (this.closedUp) assert.deepEqual(new Map(folded), oracle);
    else assert.deepEqual(folded, [...oracle]);
    const ordered = new OrderedRows(places, size);
    ordered.order(size);
    const inOrder = Array.from({ length: size }, (_, row) => ordered.places.key(row));
    const sorted = [...oracle.keys()].map(bytesOf).sort(Buffer.compare);
    assert.deepEqual(inOrder.map(textOf), sorted.map(textOf));
  }
}

/** A key group and the table of messages in flight. */
const messagePrefix = "\0\x07\x02";

const anyByteText = fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
/** Keys of one hash: one is the beginning of another, one is as long. */
const colliding = ["key0", "key0\x48\x62\xe2\x40", "key1\x48\x3c\xe3\xef", "key0tail", "key1\x74\x3f\x68\xc3"];
/** Keys that meet often, keys that are prefixes of others, and any. */
const anyKey = fc.oneof(
  { weight: 3, arbitrary: fc.nat(40).map((n) => `key ${n}`) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom("\0", "a", "\xff"), fc.nat(9)).map(([c, n]) => c.repeat(n)) },
  { weight: 1, arbitrary: anyByteText },
  { weight: 1, arbitrary: fc.constantFrom(...colliding) },
);
const anyValue = fc.option(anyByteText, { nil: undefined, freq: 4 });

describe("folded rows", () => {
  test("they are the newest row of every key, numbered as keys came and listed as keys sort", () => {
    const delta = fc.array(fc.tuple(anyKey, anyValue), { maxLength: 30 });
    fc.assert(
      fc.property(fc.array(delta, { maxLength: 10 }), (deltas) => {
        const checked = new Checked();
        for (const rows of deltas) checked.fold(rows);
        checked.check();
      }),
      { numRuns: 300 },
    );
  });

  test("tables that grow several times keep every row, whichever delta it came with", () => {
    const span = fc.tuple(fc.nat(3_000), fc.nat(900), fc.integer({ min: 1, max: 7 }));
    fc.assert(
      fc.property(fc.array(span, { minLength: 2, maxLength: 6 }), (spans) => {
        const checked = new Checked();
        for (const [i, [from, count, stride]] of spans.entries()) {
          const numbers = Array.from({ length: count }, (_, n) => from + n * stride);
          checked.fold(numbers.map((n): TextRow => [`row-${n}`, n % 5 === i ? undefined : `${n} of ${i}`]));
        }
        checked.check();
      }),
      { numRuns: 25 },
    );
  });

  test("rows of cells, found by handle, mix with others, found by key", () => {
    const delta = fc.record({
      rows: fc.array(fc.tuple(anyKey, anyValue)),
      cells: fc.array(fc.tuple(anyKey, anyValue)),
    });
    fc.assert(
      fc.property(fc.array(delta, { maxLength: 10 }), fc.nat(3_000), (deltas, former) => {
        const checked = new Checked();
        const handles = new Map<string, number>();
        for (let n = 0; n < former; n++) handles.set(`of another window ${n}`, handles.size + 1);
        for (const { rows, cells } of deltas) {
          checked.fold(rows.map(([key, value]) => [`row ${key}`, value]));
          checked.foldCells([...new Map(cells)], handles);
        }
        checked.check();
      }),
      { numRuns: 300 },
    );
  });

  test("a message that comes and goes leaves no row, and whatever else is folded with it stays", () => {
    // What happens in an epoch: messages come, some of those that are there go, or some that came before all this.
    const epoch = fc.record({
      coming: fc.nat(40),
      going: fc.array(fc.nat(1_000), { maxLength: 60 }),
      fromBefore: fc.nat(3),
      others: fc.array(fc.tuple(anyKey, anyValue), { maxLength: 20 }),
      cells: fc.array(fc.tuple(anyKey, anyValue), { maxLength: 20 }),
    });
    fc.assert(
      fc.property(fc.array(epoch, { maxLength: 12 }), fc.boolean(), (epochs, shortKeys) => {
        const checked = new Checked();
        const handles = new Map<string, number>();
        const there: string[] = [];
        let named = 0;
        const name = (): string => `${messagePrefix}${shortKeys ? "" : "of this generation "}${named++}`;
        for (const { coming, going, fromBefore, others, cells } of epochs) {
          const rows: TextRow[] = others.map(([key, value]) => [`row ${key}`, value]);
          for (const n of going) {
            if (there.length > 0) rows.push([there.splice(n % there.length, 1)[0] as string, undefined]);
          }
          for (let n = 0; n < fromBefore; n++) rows.push([name(), undefined]);
          for (let n = 0; n < coming; n++) {
            const key = name();
            there.push(key);
            rows.push([key, `message ${key}`]);
          }
          checked.foldNewer(rows);
          checked.foldCells([...new Map(cells)], handles);
        }
        checked.check();
      }),
      { numRuns: 300 },
    );
  });

  test("thousands of messages that come and go need no more room than those that are there at once", () => {
    const checked = new Checked();
    const key = (n: number): string => `${messagePrefix}${n}`;
    for (let n = 0; n < 20_000; n += 100) {
      const rows: TextRow[] = [];
      for (let i = n; i < n + 100; i++) rows.push([key(i), `${i}`], [key(i - 300), undefined]);
      checked.foldNewer(rows);
    }
    assert.ok(checked.rows.size <= 300 + 300, `${checked.rows.size} rows`); // 300 were deleted that had not been seen
    checked.check();
  });

  test("a message that recovery has folded stays deleted: a merge before the crash may have brought it to the base", () => {
    const checked = new Checked();
    checked.fold([[`${messagePrefix}1`, "message"]]);
    checked.fold([[`${messagePrefix}1`, undefined]]);
    assert.equal(checked.rows.size, 1);
    checked.check();
  });

  test("a message that comes twice, goes twice, or comes after it went breaks an invariant", () => {
    for (const [first, second] of [
      ["message", "message"],
      [undefined, undefined],
      [undefined, "message"],
    ]) {
      const rows = new FoldedRows();
      rows.foldNewer(deltaOf([[`${messagePrefix}1`, first]]));
      assert.throws(
        () => rows.foldNewer(deltaOf([[`${messagePrefix}1`, second]])),
        (error) => isHoldfastError(error, "HF_INVARIANT"),
      );
    }
  });

  test("a handle that comes with another key is refused", () => {
    const rows = new FoldedRows();
    rows.foldCells(cellsOf([["a", "1"]], new Map()));
    assert.throws(
      () => rows.foldCells(cellsOf([["another", "2"]], new Map())),
      (error) => isHoldfastError(error, "HF_INVARIANT"),
    );
  });

  for (const count of [511, 512, 513, 1_024, 1_025]) {
    test(`${count} rows, each written twice, are ${count} rows`, () => {
      const checked = new Checked();
      const keys = Array.from({ length: count }, (_, n) => `${n}`);
      checked.fold(keys.map((key) => [key, "old"]));
      checked.fold(keys.map((key) => [key, `new ${key}`]));
      checked.check();
    });
  }

  test("hundreds of deltas, empty ones among them, fold into the rows of the newest", () => {
    const checked = new Checked();
    for (let i = 0; i < 600; i++) {
      if (i % 3 === 0) checked.fold([]);
      checked.fold([
        ["always", `${i}`],
        [`${i % 50}`, i % 2 === 0 ? `${i}` : undefined],
        [`once ${i}`, ""],
      ]);
    }
    checked.check();
  });

  test("a delta that writes a key several times leaves its last row", () => {
    const checked = new Checked();
    checked.fold([
      ["a", "1"],
      ["b", "1"],
      ["a", undefined],
      ["b", undefined],
      ["a", "2"],
    ]);
    assert.equal(textOf(checked.rows.places.value(0)), "2");
    assert.equal(checked.rows.places.value(1), undefined);
    checked.check();
  });

  test("keys with the same hash are told apart, whichever came first", () => {
    for (const first of colliding) {
      const checked = new Checked();
      for (const key of [first, ...colliding]) checked.fold([[key, `value of ${key}`]]);
      checked.check();
    }
  });

  test("an empty value is a value, and an empty key is a key", () => {
    const checked = new Checked();
    checked.fold([
      ["", ""],
      ["x", undefined],
    ]);
    assert.equal(checked.rows.places.value(0)?.length, 0);
    assert.equal(checked.rows.places.value(1), undefined);
    checked.check();
  });

  test("keys of every length up to the longest, and large values, are told apart by their last byte", () => {
    const checked = new Checked();
    for (const length of [1, 2, 3, 4, 5, 7, 8, 9, 1_977, 1_978, 65_535]) {
      const head = "k".repeat(length - 1);
      checked.fold([
        [`${head}\xff`, "x".repeat(70_000)],
        [`${head}\0`, undefined],
        [`${head}\x7f`, "y"],
      ]);
    }
    checked.check();
  });

  test("nothing is copied: keys and values are views on the newest delta that wrote them", () => {
    const rows = new FoldedRows();
    const [older, newer] = [deltaOf([["a", "1"]]), deltaOf([["a", "2"]])];
    rows.fold(older);
    rows.fold(newer);
    assert.equal(rows.places.key(0).buffer, newer.buffer);
    assert.equal(rows.places.value(0)?.buffer, newer.buffer);
  });

  test("no rows are no rows", () => {
    const checked = new Checked();
    checked.check();
    checked.fold([]);
    checked.check();
  });

  test("a delta that ends inside a row breaks an invariant", () => {
    const delta = deltaOf([["key", "value"]]);
    for (let length = 1; length < delta.length; length++) {
      assert.throws(
        () => new FoldedRows().fold(delta.subarray(0, length)),
        (error) => isHoldfastError(error, "HF_INVARIANT"),
      );
    }
  });
});
