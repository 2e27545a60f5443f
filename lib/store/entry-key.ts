/**
 * The keys of ENTRY rows: tables, lists, and what says when something expires. Behind key group and table:
 *
 *     0 ‖ expiry u64 BE ‖ 16 bytes of SHA-256 of the target's key        EXPIRY: the value is the target's key
 *     1 ‖ type u32 BE ‖ id length u16 BE ‖ id flag u8 ‖ id               everything of one address
 *           ‖ column u32 BE ‖ 0                                          HEAD of a state
 *                           ‖ 1 ‖ key of the entry, or index u64 BE      ITEM of a state
 *
 * The id of an address whose function type a namespace made has the name of the type in front: "name ‖ 0 ‖ id".
 * All rows of an address lie together, and so do those of one of its states, in the order of the keys. Frozen.
 *
 * An LMDB key has room for 1,978 bytes and the id may take 1,801 of them, so a long entry key is cut: its first bytes,
 * which keep the order as far as they go, then its SHA-256. The value then has the whole key, and is compared.
 */
import { createHash } from "node:crypto";
import { invariant } from "../base/invariant.js";
import { idLengthMax } from "../base/limits.js";
import { keyGroupOf, malformed, rowKey, rowTable } from "./row-key.js";

const expiryTag = 0;
const addressTag = 1;
const headTag = 0;
const itemTag = 1;
const hashBytes = 32;
const expiryHashBytes = 16;
const expiryAt = 4;
const idLengthAt = 8;
const idAt = 11;
/** Longer keys are cut. */
const wholeKeyBytesMax = 127;
/** What is left of a cut key; with the hash longer than any whole one. */
const cutKeyBytes = 96;

invariant(cutKeyBytes + hashBytes > wholeKeyBytesMax, "a cut key is no whole one");
invariant(10 + 1 + 2 * idLengthMax + 5 + cutKeyBytes + hashBytes <= 1_978, "an entry key fits an LMDB key");

/** Behind the prefix: everything of one address. */
function addressPart(typeCode: number, id: string): Uint8Array {
  const wide = /[\u0100-\uffff]/.test(id);
  const bytes = Buffer.from(id, wide ? "utf16le" : "latin1");
  const part = Buffer.alloc(8 + bytes.length);
  part[0] = addressTag;
  part.writeUInt32BE(typeCode, 1);
  part.writeUInt16BE(bytes.length, 5);
  part[7] = wide ? 1 : 0;
  part.set(bytes, 8);
  return new Uint8Array(part);
}

/** The prefix of all rows of one address. */
export function addressPrefix(keyGroup: number, typeCode: number, id: string): Uint8Array {
  return rowKey(keyGroup, rowTable.ENTRY, addressPart(typeCode, id));
}

/** The key of the head of a state. */
export function headKey(address: Uint8Array, column: number): Uint8Array {
  return columnKey(address, column, headTag);
}

/** The prefix of the items of a state. */
export function itemPrefix(address: Uint8Array, column: number): Uint8Array {
  return columnKey(address, column, itemTag);
}

/** True when the key of an entry does not fit, and has to be kept in the value. */
export function isCut(entryKey: Uint8Array): boolean {
  return entryKey.length > wholeKeyBytesMax;
}

/** The key of the item with an entry key, given the prefix of the items. */
export function itemKey(prefix: Uint8Array, entryKey: Uint8Array): Uint8Array {
  if (!isCut(entryKey)) return join(prefix, entryKey);
  return join(prefix, entryKey.subarray(0, cutKeyBytes), createHash("sha256").update(entryKey).digest());
}

/** The key of the n-th item of a list. */
export function indexKey(prefix: Uint8Array, index: number): Uint8Array {
  const key = join(prefix, new Uint8Array(8));
  writeU64(key, prefix.length, index);
  return key;
}

/** The key that says when a row expires. */
export function expiryKey(target: Uint8Array, expiry: number): Uint8Array {
  const part = new Uint8Array(1 + 8 + expiryHashBytes);
  part[0] = expiryTag;
  writeU64(part, 1, expiry);
  part.set(createHash("sha256").update(target).digest().subarray(0, expiryHashBytes), 9);
  return rowKey(keyGroupOf(target), rowTable.ENTRY, part);
}

/** The first possible key of what expires at a time or later. */
export function expiryBound(keyGroup: number, expiry: number): Uint8Array {
  const part = new Uint8Array(9);
  part[0] = expiryTag;
  writeU64(part, 1, expiry);
  return rowKey(keyGroup, rowTable.ENTRY, part);
}

/** The end of all expiry keys of a key group. */
export function expiryEnd(keyGroup: number): Uint8Array {
  return rowKey(keyGroup, rowTable.ENTRY, Uint8Array.of(addressTag));
}

/** The time in an expiry key. */
export function expiryOfKey(key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  return view.getUint32(expiryAt) * 0x1_0000_0000 + view.getUint32(expiryAt + 4);
}

/** What an ENTRY key says, as far as it is one of an address. */
export interface EntryPlace {
  readonly typeCode: number;
  readonly id: string;
  readonly column: number;
  readonly kind: "head" | "item";
  /** The prefix of everything of the address. */
  readonly address: Uint8Array;
  /** The entry key or index, maybe cut. */
  readonly rest: Uint8Array;
}

/** What the key of an ENTRY row says; undefined for one of the EXPIRY rows. @throws `HF_STATE_DAMAGED` */
export function decodeEntryKey(key: Uint8Array): EntryPlace | undefined {
  if (key[3] !== addressTag) return undefined;
  if (key.length < idAt) throw malformed(key);
  const view = new DataView(key.buffer, key.byteOffset, key.length);
  const length = view.getUint16(idLengthAt);
  const end = idAt + length;
  if (end + 5 > key.length || key[10] > 1 || key[end + 4] > itemTag) throw malformed(key);
  const id = Buffer.from(key.buffer, key.byteOffset + idAt, length).toString(key[10] === 1 ? "utf16le" : "latin1");
  return {
    typeCode: view.getUint32(4),
    id,
    column: view.getUint32(end),
    kind: key[end + 4] === headTag ? "head" : "item",
    address: key.subarray(0, end),
    rest: key.subarray(end + 5),
  };
}

/** The first key behind all keys with a prefix. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  let length = prefix.length;
  while (prefix[length - 1] === 0xff) length--;
  const end = prefix.slice(0, length);
  end[length - 1]++;
  return end;
}

function columnKey(address: Uint8Array, column: number, tag: number): Uint8Array {
  const key = new Uint8Array(address.length + 5);
  key.set(address, 0);
  new DataView(key.buffer).setUint32(address.length, column);
  key[address.length + 4] = tag;
  return key;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function writeU64(into: Uint8Array, at: number, value: number): void {
  const view = new DataView(into.buffer, into.byteOffset, into.length);
  view.setUint32(at, Math.floor(value / 0x1_0000_0000));
  view.setUint32(at + 4, value % 0x1_0000_0000);
}
