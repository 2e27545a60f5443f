import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { isHoldfastError } from "../../lib/base/errors.js";
import { idLengthMax, keyGroupsMax } from "../../lib/base/limits.js";
import {
  columnOf,
  compareInflight,
  compareKeys,
  decodeEpoch,
  decodeKey,
  encodeEpoch,
  epochKey,
  gatewaySender,
  idOf,
  inflightKey,
  keyGroupOf,
  keyGroupRangeBounds,
  metaKey,
  rowTable,
  stateKey,
  stateKeyBytesMax,
  tableOf,
  writeInflightKey,
  writeStateKey,
} from "../../lib/store/row-key.js";

const keyGroup = fc.nat(keyGroupsMax - 1);
const u32 = fc.nat(0xffff_ffff);
const sequence = fc.maxSafeNat();
/** Any code units, lone surrogates included. */
const anyId = fc
  .array(fc.oneof(fc.nat(0xff), fc.nat(0xffff)), { maxLength: 40 })
  .map((units) => String.fromCharCode(...units));
const inflight = fc.record({ generation: u32, sender: fc.nat(0xffff), sequence });

describe("a row key", () => {
  test("of a state gives back its key group, column and id, whatever the id", () => {
    fc.assert(
      fc.property(keyGroup, u32, anyId, (group, column, id) => {
        const key = stateKey(group, column, id);
        assert.deepEqual(decodeKey(key), { table: rowTable.STATE, keyGroup: group, column, id });
        assert.deepEqual(
          [keyGroupOf(key), tableOf(key), columnOf(key), idOf(key)],
          [group, rowTable.STATE, column, id],
        );
      }),
    );
  });

  test("of a state takes one byte per code unit until an id needs two", () => {
    assert.equal(stateKey(0, 0, "bob").length, 8 + 3);
    assert.equal(stateKey(0, 0, "zoë").length, 8 + 3);
    assert.equal(stateKey(0, 0, "łuk").length, 8 + 6);
    assert.equal(stateKey(0, 0, "").length, 8);
    assert.ok(stateKey(0, 0, "\u{1F600}".repeat(idLengthMax / 2)).length <= 1978, "the largest id fits an LMDB key");
  });

  test("of a state differs for different ids", () => {
    fc.assert(
      fc.property(anyId, anyId, (a, b) => {
        assert.equal(compareKeys(stateKey(1, 1, a), stateKey(1, 1, b)) === 0, a === b);
      }),
    );
  });

  test("of a message in flight gives back its identity and sorts by it within a key group", () => {
    fc.assert(
      fc.property(keyGroup, inflight, inflight, (group, a, b) => {
        const [keyA, keyB] = [a, b].map((one) => inflightKey(group, one.generation, one.sender, one.sequence)) as [
          Uint8Array,
          Uint8Array,
        ];
        assert.deepEqual(decodeKey(keyA), { table: rowTable.INFLIGHT, keyGroup: group, ...a });
        assert.equal(Math.sign(compareKeys(keyA, keyB)), Math.sign(compareInflight(a, b)));
      }),
    );
    assert.deepEqual(decodeKey(inflightKey(1, 2, gatewaySender, 2 ** 53 - 1)), {
      table: rowTable.INFLIGHT,
      keyGroup: 1,
      generation: 2,
      sender: gatewaySender,
      sequence: 2 ** 53 - 1,
    });
  });

  test("is written in place and leaves its neighbours alone", () => {
    const into = new Uint8Array(100).fill(0xee);
    const middle = writeStateKey(into, 5, 300, 0xfedcba98, "ann");
    const end = writeInflightKey(into, middle, 301, 4, 5, 6);
    assert.deepEqual(into.slice(5, middle), stateKey(300, 0xfedcba98, "ann"));
    assert.deepEqual(into.slice(middle, end), inflightKey(301, 4, 5, 6));
    assert.ok(into.subarray(0, 5).every((byte) => byte === 0xee) && into.subarray(end).every((byte) => byte === 0xee));
    assert.equal(stateKeyBytesMax("ann"), 14);
  });

  test("that does not fit is refused", () => {
    const refused = (thrown: unknown): boolean => isHoldfastError(thrown, "HF_INVARIANT");
    assert.throws(() => stateKey(keyGroupsMax, 0, "a"), refused);
    assert.throws(() => stateKey(0, -1, "a"), refused);
    assert.throws(() => stateKey(0, 0, "a".repeat(idLengthMax + 1)), refused);
    assert.throws(() => inflightKey(0, 0, 0x10000, 0), refused);
    assert.throws(() => inflightKey(0, 0, 0, 2 ** 53), refused);
    assert.throws(() => writeStateKey(new Uint8Array(9), 0, 0, 0, "abc"), refused);
    assert.throws(() => metaKey("ł"), refused);
  });

  test("of no known form is HF_STATE_DAMAGED", () => {
    for (const key of [
      [],
      [0, 0],
      [0, 0, 1],
      [0, 0, 9, 1],
      [0, 0, 2, 1],
      [0, 0, 0, 65],
      [0, 0, 1, 0, 0, 0, 0, 1, 65],
      [0, 0, 1, 0, 0, 0, 0, 2],
    ]) {
      assert.throws(
        () => decodeKey(Uint8Array.from(key)),
        (thrown) => isHoldfastError(thrown, "HF_STATE_DAMAGED"),
      );
    }
  });
});

describe("META rows", () => {
  test("lie behind every key group", () => {
    assert.deepEqual(decodeKey(epochKey), { table: rowTable.META, name: "epoch" });
    assert.ok(compareKeys(epochKey, stateKey(keyGroupsMax - 1, 0xffff_ffff, "z")) > 0);
    const [all] = keyGroupRangeBounds(0, keyGroupsMax);
    assert.ok(compareKeys(epochKey, all!.to) >= 0);
  });

  test("hold an epoch", () => {
    for (const epoch of [0, 1, 2 ** 32, 2 ** 53 - 1]) assert.equal(decodeEpoch(encodeEpoch(epoch)), epoch);
    assert.equal(decodeEpoch(undefined), 0);
    assert.throws(
      () => decodeEpoch(new Uint8Array(7)),
      (thrown) => isHoldfastError(thrown, "HF_STATE_DAMAGED"),
    );
  });
});

describe("the bounds of a key-group range", () => {
  const within = (key: Uint8Array, bounds: { from: Uint8Array; to: Uint8Array }[]): number =>
    bounds.filter(({ from, to }) => compareKeys(from, key) <= 0 && compareKeys(key, to) < 0).length;

  test("hold the keys of its groups, each once, and no other", () => {
    fc.assert(
      fc.property(fc.nat(400), fc.nat(40), fc.nat(500), anyId, (first, count, group, id) => {
        const key = stateKey(group, 7, id);
        const inside = group >= first && group < first + count ? 1 : 0;
        assert.equal(within(key, keyGroupRangeBounds(first, first + count)), inside);
        assert.equal(within(key, keyGroupRangeBounds(first, first + count, rowTable.STATE)), inside);
        assert.equal(within(key, keyGroupRangeBounds(first, first + count, rowTable.INFLIGHT)), 0);
      }),
    );
  });
});
