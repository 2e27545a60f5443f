/** Keys of rows and of tables. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeTableKey, encodeTableKey } from "../../lib/codec/table-key.js";
import { addressPrefix, decodeEntryKey, headKey, itemKey, itemPrefix } from "../../lib/store/entry-key.js";
import { decodeKey, rowTable, stateKey } from "../../lib/store/row-key.js";
import { anyText } from "../property/plain-data.arbitrary.js";
import { type Target, valueOrTyped } from "./fuzzer.js";

const tableKey = fc.oneof(
  anyText,
  fc.double({ noNaN: true }),
  fc.integer(),
  fc.boolean(),
  fc.bigInt({ min: -(1n << 200n), max: 1n << 200n }),
);
/** Bytes that are nearly a key of a table, or begin like one. */
const nearlyTableKey = fc.oneof(
  fc.tuple(tableKey, fc.nat(), fc.nat({ max: 0xff }), fc.nat({ max: 2 })).map(([key, at, byte, cut]) => {
    const bytes = encodeTableKey(key, "t");
    bytes[at % bytes.length] = byte;
    return bytes.slice(0, bytes.length - Math.min(cut, bytes.length));
  }),
  fc.tuple(fc.nat({ max: 5 }), fc.uint8Array({ maxLength: 14 })).map(([tag, rest]) => Uint8Array.of(tag, ...rest)),
);
const rowKey = fc
  .tuple(fc.nat({ max: 0xffff }), fc.nat({ max: 12 }), fc.uint8Array({ maxLength: 40 }))
  .map(([group, table, rest]) => Uint8Array.of(group >>> 8, group & 0xff, table, ...rest));
const address = fc.tuple(
  fc.nat({ max: 127 }),
  fc.nat(),
  anyText.map((text) => text.slice(0, 900)),
);

export const keyTargets: readonly Target[] = [
  {
    name: "keys/table",
    property: fc.property(tableKey, tableKey, (a, b) => {
      const [first, second] = [encodeTableKey(a, "t"), encodeTableKey(b, "t")];
      assert.equal(decodeTableKey(first), a === 0 ? 0 : a);
      if (typeof a !== typeof b) return;
      const order = a === b ? 0 : a < b ? -1 : 1;
      assert.equal(Math.sign(Buffer.compare(first, second)), order, "keys are in another order than their bytes");
    }),
  },
  {
    name: "keys/table-bytes",
    property: fc.property(nearlyTableKey, (bytes) => {
      const key = valueOrTyped(() => decodeTableKey(bytes));
      if (key !== undefined) assert.deepEqual(encodeTableKey(key, "t"), bytes, "two forms of one key");
    }),
  },
  {
    name: "keys/row",
    property: fc.property(address, ([group, code, id]) => {
      assert.deepEqual(decodeKey(stateKey(group, code, id)), {
        table: rowTable.STATE,
        keyGroup: group,
        column: code,
        id,
      });
      const prefix = addressPrefix(group, code, id);
      const head = decodeEntryKey(headKey(prefix, 7));
      assert.deepEqual([head?.id, head?.typeCode, head?.column, head?.kind], [id, code, 7, "head"]);
      const item = decodeEntryKey(itemKey(itemPrefix(prefix, 7), encodeTableKey(id, "t")));
      assert.deepEqual([item?.id, item?.kind], [id, "item"]);
    }),
  },
  {
    name: "keys/row-bytes",
    property: fc.property(rowKey, fc.boolean(), (key, isEntry) => {
      if (isEntry && key.length > 3) key[3] = 1;
      valueOrTyped(() => decodeKey(key));
      valueOrTyped(() => decodeEntryKey(key));
    }),
  },
];
