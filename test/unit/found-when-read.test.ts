/** Which damage a start of an application may leave to who reads it. */
import assert from "node:assert/strict";
import test from "node:test";
import { isFoundWhenRead } from "../corrupt/found-when-read.js";

const damagedRow = (key: string): string => `HF_STATE_DAMAGED: base /data/state/2/1 holds a damaged row at key ${key}`;

test("a damaged value of state, entries and delayed messages is found when it is read", () => {
  // the first is what `npm run corrupt` once took for silent
  for (const key of ["0031014610edc2003237", "000006018f3b3ed10002", "00000300"])
    assert.equal(isFoundWhenRead(damagedRow(key)), true, key);
});

test("a start must find what it reads itself, and every damage that is not of a value", () => {
  for (const key of ["ffff0065706f6368", "0002020000000100010000000000001c85"])
    assert.equal(isFoundWhenRead(damagedRow(key)), false, key);
  const page =
    "HF_STATE_DAMAGED: base /data/state/2/1 is damaged: a page says another number than its own, at offset 4096";
  assert.equal(isFoundWhenRead(page), false);
  assert.equal(isFoundWhenRead(undefined), false);
});
