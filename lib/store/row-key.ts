/**
 * The keys of a base. A row belongs to one key group and lies beside the rows of that group, so that a change of the
 * shard count moves ranges, and a merge that goes in key order goes in key-group order.
 *
 *     key group u16 BE │ table u8 │ parts
 *
 *     STATE      column u32 BE │ id flag u8 │ id
 *     INFLIGHT   generation u32 BE │ sender u16 BE │ sequence u64 BE
 *     META       name in latin1, under the key group `metaKeyGroup`
 *
 * The id comes last and needs no length. Its flag is 0 when one byte per code unit is enough (latin1), 1 for UTF-16LE
 * code units; lone surrogates survive. An id has exactly one encoding, so equal addresses have equal keys.
 */
import { HoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { idLengthMax, keyGroupsMax } from "../base/limits.js";

/** The tables of a base. The numbers are frozen. */
export const rowTable = {
  META: 0,
  STATE: 1,
  INFLIGHT: 2,
  TIMER: 3,
  OPERATION: 4,
  QUARANTINE: 5,
  /** Entries of `table` states and items of `list` states. */
  ENTRY: 6,
  /** Idempotency keys. */
  REQUEST: 7,
} as const;
export type RowTable = (typeof rowTable)[keyof typeof rowTable];

/** The key group of META rows; after every real one. */
export const metaKeyGroup = 0xffff;
/** The sender of a message that came in through the gateway. */
export const gatewaySender = 0xffff;

/** Length of an in-flight key. */
export const inflightKeyBytes = 17;
const statePrefixBytes = 7;
const u32 = 0x1_0000_0000;
/** Where a state key is made: how long it will be is known then. */
const scratch = new Uint8Array(statePrefixBytes + 1 + 2 * idLengthMax);

/** What a key says. */
export type RowKey =
  | { readonly table: typeof rowTable.META; readonly name: string }
  | { readonly table: typeof rowTable.STATE; readonly keyGroup: number; readonly column: number; readonly id: string }
  | ({ readonly table: typeof rowTable.INFLIGHT; readonly keyGroup: number } & InflightId);

/** The name that a message keeps for life: who owned the data directory, who sent it, which one it was. */
export interface InflightId {
  readonly generation: number;
  readonly sender: number;
  readonly sequence: number;
}

/** Room that a state key of this id needs at most. */
export function stateKeyBytesMax(id: string): number {
  return statePrefixBytes + 1 + 2 * id.length;
}

/** Writes a state key at `at`, where `stateKeyBytesMax(id)` bytes are free; returns the end. */
export function writeStateKey(into: Uint8Array, at: number, keyGroup: number, column: number, id: string): number {
  invariant(id.length <= idLengthMax, "an id in a key is within its limit");
  invariant(column >>> 0 === column, "a column is a u32");
  writePrefix(into, at, keyGroup, rowTable.STATE);
  writeU32(into, at + 3, column);
  return writeId(into, at + statePrefixBytes, id);
}

/** A state key of its own. */
export function stateKey(keyGroup: number, column: number, id: string): Uint8Array {
  return scratch.slice(0, writeStateKey(scratch, 0, keyGroup, column, id));
}

/** Writes an in-flight key at `at`, where `inflightKeyBytes` bytes are free; returns the end. */
export function writeInflightKey(
  into: Uint8Array,
  at: number,
  keyGroup: number,
  generation: number,
  sender: number,
  sequence: number,
): number {
  invariant(generation >>> 0 === generation, "a generation is a u32");
  invariant(sender >= 0 && sender <= 0xffff, "a sender is a u16");
  invariant(Number.isSafeInteger(sequence) && sequence >= 0, "a sequence is an integer below 2^53");
  writePrefix(into, at, keyGroup, rowTable.INFLIGHT);
  writeU32(into, at + 3, generation);
  into[at + 7] = sender >>> 8;
  into[at + 8] = sender;
  writeU64(into, at + 9, sequence);
  return at + inflightKeyBytes;
}

/** The key of a row of one of the other tables: its part behind the prefix is the table's own matter. */
export function rowKey(keyGroup: number, table: RowTable, part: Uint8Array): Uint8Array {
  const into = new Uint8Array(3 + part.length);
  writePrefix(into, 0, keyGroup, table);
  into.set(part, 3);
  return into;
}

/** An in-flight key of its own. */
export function inflightKey(keyGroup: number, generation: number, sender: number, sequence: number): Uint8Array {
  const into = new Uint8Array(inflightKeyBytes);
  writeInflightKey(into, 0, keyGroup, generation, sender, sequence);
  return into;
}

/** The key of a META row. */
export function metaKey(name: string): Uint8Array {
  invariant(name.length > 0 && name.length <= 256 && isLatin1(name), "a META name is short latin1");
  const into = new Uint8Array(3 + name.length);
  into[0] = metaKeyGroup >>> 8;
  into[1] = metaKeyGroup & 0xff;
  into[2] = rowTable.META;
  for (let index = 0; index < name.length; index++) into[3 + index] = name.charCodeAt(index);
  return into;
}

/** The row that holds a base's epoch. */
export const epochKey: Uint8Array = metaKey("epoch");

/** The value of the epoch row. */
export function encodeEpoch(epoch: number): Uint8Array {
  invariant(Number.isSafeInteger(epoch) && epoch >= 0, "an epoch is an integer below 2^53");
  const into = new Uint8Array(8);
  writeU64(into, 0, epoch);
  return into;
}

/** The epoch in an epoch row; 0 when there is none. */
export function decodeEpoch(value: Uint8Array | undefined): number {
  if (value === undefined) return 0;
  if (value.length !== 8) throw new HoldfastError("HF_STATE_DAMAGED", "the epoch row of a base is not 8 bytes long");
  return readU64(value, 0);
}

/** The key group of any key. */
export function keyGroupOf(key: Uint8Array): number {
  return (key[0]! << 8) | key[1]!;
}

/** The table of any key, which may begin anywhere in some bytes. */
export function tableOf(key: Uint8Array, from = 0): number {
  return key[from + 2]!;
}

/** Decodes the identity of an in-flight key. */
export function decodeInflightKey(key: Uint8Array): InflightId {
  if (key.length !== inflightKeyBytes || tableOf(key) !== rowTable.INFLIGHT) throw malformed(key);
  return { generation: readU32(key, 3), sender: (key[7]! << 8) | key[8]!, sequence: readU64(key, 9) };
}

/** A key of another table for an address: like a state key, with the code of the function type for the column. */
export function addressKey(keyGroup: number, table: RowTable, code: number, id: string): Uint8Array {
  const key = stateKey(keyGroup, code, id);
  key[2] = table;
  return key;
}

/** The column of a state key; of an address key the code of the function type. */
export function columnOf(key: Uint8Array): number {
  return readU32(key, 3);
}

/** The id of a state key or an address key. */
export function idOf(key: Uint8Array): string {
  const flag = key[statePrefixBytes];
  const from = statePrefixBytes + 1;
  const bytes = Buffer.from(key.buffer, key.byteOffset + from, Math.max(0, key.length - from));
  if (flag === 0) return bytes.toString("latin1");
  if (flag === 1 && bytes.length % 2 === 0) return bytes.toString("utf16le");
  throw malformed(key);
}

/** Decodes any key of the tables in use. */
export function decodeKey(key: Uint8Array): RowKey {
  if (key.length < 3) throw malformed(key);
  switch (tableOf(key)) {
    case rowTable.META:
      if (keyGroupOf(key) !== metaKeyGroup) throw malformed(key);
      return {
        table: rowTable.META,
        name: Buffer.from(key.buffer, key.byteOffset + 3, key.length - 3).toString("latin1"),
      };
    case rowTable.STATE:
      if (key.length <= statePrefixBytes) throw malformed(key);
      return { table: rowTable.STATE, keyGroup: keyGroupOf(key), column: columnOf(key), id: idOf(key) };
    case rowTable.INFLIGHT:
      return { table: rowTable.INFLIGHT, keyGroup: keyGroupOf(key), ...decodeInflightKey(key) };
    default:
      throw malformed(key);
  }
}

/** The order of all messages in flight, the same at every recovery: generation, sender, sequence. */
export function compareInflight(a: InflightId, b: InflightId): number {
  return a.generation - b.generation || a.sender - b.sender || a.sequence - b.sequence;
}

/** The order of keys in a base. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Scan bounds: `from <= key < to`. */
export interface KeyBounds {
  readonly from: Uint8Array;
  readonly to: Uint8Array;
}

/**
 * The bounds of the key groups `firstGroup <= group < endGroup`: one range for all tables, or, because the group comes
 * before the table, one range per group when a table is given.
 */
export function keyGroupRangeBounds(firstGroup: number, endGroup: number, table?: RowTable): KeyBounds[] {
  invariant(firstGroup >= 0 && firstGroup <= endGroup && endGroup <= keyGroupsMax, "key groups in range");
  if (firstGroup === endGroup) return [];
  if (table === undefined) return [{ from: groupStart(firstGroup), to: groupStart(endGroup) }];
  const bounds: KeyBounds[] = [];
  for (let group = firstGroup; group < endGroup; group++) {
    bounds.push({ from: tableStart(group, table), to: tableStart(group, table + 1) });
  }
  return bounds;
}

/** A key as text for error messages. */
export function keyHex(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("hex");
}

function groupStart(group: number): Uint8Array {
  return Uint8Array.of(group >>> 8, group & 0xff);
}

function tableStart(group: number, table: number): Uint8Array {
  return Uint8Array.of(group >>> 8, group & 0xff, table);
}

function writePrefix(into: Uint8Array, at: number, keyGroup: number, table: RowTable): void {
  invariant(keyGroup >= 0 && keyGroup < keyGroupsMax, "a key group is in range");
  into[at] = keyGroup >>> 8;
  into[at + 1] = keyGroup;
  into[at + 2] = table;
}

/** Latin1 until a wider code unit shows up, which is rare: then again, as UTF-16. */
function writeId(into: Uint8Array, at: number, id: string): number {
  invariant(at + 1 + 2 * id.length <= into.length, "a key has room");
  into[at] = 0;
  let end = at + 1;
  for (let index = 0; index < id.length; index++) {
    const unit = id.charCodeAt(index);
    if (unit > 0xff) return writeWideId(into, at, id);
    into[end++] = unit;
  }
  return end;
}

function writeWideId(into: Uint8Array, at: number, id: string): number {
  into[at] = 1;
  let end = at + 1;
  for (let index = 0; index < id.length; index++) {
    const unit = id.charCodeAt(index);
    into[end++] = unit;
    into[end++] = unit >>> 8;
  }
  return end;
}

function isLatin1(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 0xff) return false;
  return true;
}

function writeU32(into: Uint8Array, at: number, value: number): void {
  into[at] = value >>> 24;
  into[at + 1] = value >>> 16;
  into[at + 2] = value >>> 8;
  into[at + 3] = value;
}

function readU32(from: Uint8Array, at: number): number {
  return ((from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!) >>> 0;
}

function writeU64(into: Uint8Array, at: number, value: number): void {
  writeU32(into, at, Math.floor(value / u32));
  writeU32(into, at + 4, value % u32);
}

function readU64(from: Uint8Array, at: number): number {
  return readU32(from, at) * u32 + readU32(from, at + 4);
}

/** The error for a key that no writer made. */
export function malformed(key: Uint8Array): HoldfastError {
  return new HoldfastError("HF_STATE_DAMAGED", `a row key has no known form: ${keyHex(key)}`);
}
