import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { RecentRows } from "../../lib/shard/recent-rows.js";

const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "latin1"));

interface Written {
  readonly bucket: string;
  readonly key: string;
  readonly value: string | undefined;
  readonly epoch: number;
}

/** Recent rows beside a plain list of what was written. */
class Checked {
  readonly rows = new RecentRows();
  written: Written[] = [];
  #epoch = 1;

  add(bucket: string, key: string, value: string | undefined): void {
    this.rows.add(bucket, bytesOf(key), value === undefined ? undefined : bytesOf(value), this.#epoch);
    this.written.push({ bucket, key, value, epoch: this.#epoch });
  }

  nextEpoch(): void {
    this.#epoch++;
  }

  drop(count: number): void {
    for (let n = 0; n < count && this.written.length > 0; n++) {
      this.rows.drop();
      this.written.shift();
    }
  }

  check(): void {
    const { rows, written } = this;
    assert.equal(rows.length, written.length);
    assert.equal(rows.oldestEpoch, written[0]?.epoch);
    for (const { bucket, key } of written) {
      const place = rows.find(rows.bucket(bucket), bytesOf(key));
      assert.notEqual(place, -1);
      const value = rows.value(place);
      const newest = written.findLast((other) => other.bucket === bucket && other.key === key);
      assert.equal(value === undefined ? undefined : Buffer.from(value).toString("latin1"), newest?.value);
    }
  }

  checkKeys(name: string): void {
    const bucket = this.rows.bucket(name);
    const should = new Set(this.written.filter((row) => row.bucket === name).map(({ key }) => key));
    assert.equal(bucket === undefined, should.size === 0);
    if (bucket === undefined) return;
    const keys = this.rows.keys(bucket);
    assert.deepEqual([...keys].sort(), keys);
    const found = new Set(keys.filter((key) => this.rows.find(bucket, bytesOf(key)) !== -1));
    assert.deepEqual([...found], [...should].sort());
  }
}

const anyBucket = fc.constantFrom("a", "b", "c");
const anyKey = fc.oneof(
  fc.nat(30).map((n) => `key ${n}`),
  fc.string({ unit: "binary-ascii", maxLength: 9 }),
);
const anyValue = fc.option(fc.string({ unit: "binary-ascii", maxLength: 20 }), { nil: undefined });
const anyStep = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("add" as const), bucket: anyBucket, key: anyKey, value: anyValue }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("drop" as const), count: fc.nat(12) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("scan" as const), bucket: anyBucket }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("epoch" as const) }) },
);

describe("recent rows", () => {
  test("give the newest value of each key in its bucket until it is dropped, however they are written and dropped", () => {
    fc.assert(
      fc.property(fc.array(anyStep, { maxLength: 120 }), (steps) => {
        const checked = new Checked();
        for (const step of steps) {
          if (step.do === "add") checked.add(step.bucket, step.key, step.value);
          else if (step.do === "drop") checked.drop(step.count);
          else if (step.do === "epoch") checked.nextEpoch();
          else checked.checkKeys(step.bucket);
        }
        checked.check();
        for (const bucket of ["a", "b", "c"]) checked.checkKeys(bucket);
      }),
    );
  });

  test("stay right while the ring and the table grow and go round", () => {
    const checked = new Checked();
    for (let n = 0; n < 3_000; n++) {
      checked.add(`bucket ${n % 3}`, `key ${n % 700}`, `value ${n}`);
      if (n % 5 > 1) checked.drop(1);
      if (n % 500 === 0) checked.check();
    }
    checked.check();
    checked.drop(3_000);
    assert.equal(checked.rows.length, 0);
    assert.equal(checked.rows.bucket("bucket 0"), undefined);
  });

  test("keep values that are larger than a slab, and values that were given out", () => {
    const rows = new RecentRows();
    const large = new Uint8Array(300_000).fill(7);
    rows.add("b", bytesOf("large"), large, 1);
    rows.add("b", bytesOf("small"), bytesOf("v"), 1);
    const bucket = rows.bucket("b");
    const given = rows.value(rows.find(bucket, bytesOf("small")));
    assert.deepEqual(rows.value(rows.find(bucket, bytesOf("large"))), large);
    rows.drop();
    rows.drop();
    for (let n = 0; n < 5_000; n++) rows.add("b", bytesOf(`key ${n}`), new Uint8Array(100), 2);
    assert.equal(Buffer.from(given ?? []).toString(), "v");
  });

  test("a bucket that nobody scans keeps no keys", () => {
    const rows = new RecentRows();
    for (let n = 0; n < 10_000; n++) {
      rows.add("b", bytesOf(`key ${n}`), undefined, n);
      if (rows.length > 10) rows.drop();
    }
    const bucket = rows.bucket("b");
    assert.ok(bucket !== undefined);
    assert.deepEqual(
      [...rows.keys(bucket)].sort(),
      Array.from({ length: 10 }, (_, n) => `key ${9_990 + n}`),
    );
  });
});
