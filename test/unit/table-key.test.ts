/** Keys of tables: what goes in comes out, and the order of the bytes is the order of the keys. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { isHoldfastError } from "../../lib/base/errors.js";
import { decodeTableKey, encodeTableKey } from "../../lib/codec/table-key.js";
import { addressPrefix, decodeEntryKey, itemKey, itemPrefix, prefixEnd } from "../../lib/store/entry-key.js";

const kinds = ["boolean", "number", "bigint", "string"];
const units = fc.array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 12 });
const keys = fc.oneof(
  fc.boolean(),
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.bigInt(),
  units.map((codes) => String.fromCharCode(...codes)),
  fc.string(),
);
type Key = string | number | bigint | boolean;

function order(a: Key, b: Key): number {
  const kind = kinds.indexOf(typeof a) - kinds.indexOf(typeof b);
  return kind === 0 ? Number(a > b) - Number(a < b) : Math.sign(kind);
}

describe("keys of tables", () => {
  test("come back as they were, -0 as 0", () => {
    fc.assert(
      fc.property(keys, (key) => {
        assert.ok(Object.is(decodeTableKey(encodeTableKey(key, "t")), key === 0 ? 0 : key));
      }),
    );
  });

  test("are in order as bytes", () => {
    fc.assert(
      fc.property(keys, keys, (a, b) => {
        assert.equal(Math.sign(Buffer.compare(encodeTableKey(a, "t"), encodeTableKey(b, "t"))), order(a, b));
      }),
      { numRuns: 2_000 },
    );
  });

  test("are refused when they are anything else", () => {
    for (const key of [Number.NaN, null, undefined, {}, [], Symbol("s"), () => {}])
      assert.throws(
        () => encodeTableKey(key, "t"),
        (error) => isHoldfastError(error, "HF_BAD_VALUE"),
      );
    for (const key of ["x".repeat(70_000), "\uffff".repeat(30_000), 1n << 600_000n])
      assert.throws(
        () => encodeTableKey(key, "t"),
        (error) => isHoldfastError(error, "HF_TOO_LARGE"),
      );
  });

  test("make row keys that fit, lie within their state, and say where they belong", () => {
    const ids = fc.oneof(fc.string(), fc.constant("\u0416".repeat(900)), fc.constant("a".repeat(900)));
    fc.assert(
      fc.property(ids, fc.nat(), fc.string({ maxLength: 400 }), (id, column, text) => {
        const address = addressPrefix(7, 0xfedcba98, id);
        const prefix = itemPrefix(address, column);
        const key = itemKey(prefix, encodeTableKey(text, "t"));
        assert.ok(key.length <= 1_978);
        assert.ok(Buffer.compare(prefix, key) < 0 && Buffer.compare(key, prefixEnd(prefix)) < 0);
        const place = decodeEntryKey(key);
        assert.deepEqual([place?.typeCode, place?.id, place?.column, place?.kind], [0xfedcba98, id, column, "item"]);
        assert.deepEqual(Buffer.from(place?.address ?? []), Buffer.from(address));
      }),
    );
  });
});
