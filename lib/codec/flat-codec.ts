/**
 * The short way for small flat records, which is what most messages are: the same MessagePack bytes as the library
 * makes, written and read without it. Anything else is declined, and goes the long way.
 *
 * Flat: a plain object with 1 to 15 properties, keys of 1 to 31 ASCII characters, values that are null, booleans,
 * numbers other than -0, or ASCII strings of at most 255 characters.
 *
 * Owner: one thread.
 * F1. What is written is a prefix of memory that the caller has reserved: `flatBytesMax` bytes are enough.
 * F2. What is read is checked to end exactly at the end of the input; whatever does not fit is declined, so damage is
 *     found by the long way.
 * F3. A shape is a list of keys, learned from what went the long way; records of a known shape are made by one literal,
 *     so that they share a hidden class.
 */
import { readAscii } from "./ascii-strings.js";

/** Room that a flat record needs at most. */
export const flatBytesMax = 1 + 15 * (1 + 31 + 2 + 255);
/** What the functions return to decline. */
export const DECLINED = -1;

const propertiesMax = 15;
const textMax = 255;
const keyMax = 31;
const shapesMax = 256;

interface Shape {
  readonly keys: readonly string[];
  /** Per key: its head and its bytes. */
  readonly keyBytes: readonly Uint8Array[];
  readonly make: (values: readonly unknown[]) => object;
}

const noShape: Shape = { keys: [], keyBytes: [], make: () => ({}) };
/** Guesses by the first key, for writing; by count and first key, for reading. */
const writeGuesses: Shape[] = new Array(64).fill(noShape);
const readGuesses: Shape[] = new Array(256).fill(noShape);
let shapeCount = 0;

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);
const values: unknown[] = new Array(propertiesMax).fill(undefined);

/** Writes a record at `at`; returns the end, or DECLINED with garbage behind `at`. */
export function writeFlat(record: object, bytes: Uint8Array, at: number): number {
  if (record.constructor !== Object) return DECLINED;
  const source = record as Record<string, unknown>;
  let end = at + 1;
  let count = 0;
  let shape = noShape;
  for (const key in source) {
    if (count === 0) shape = writeGuesses[writeSlot(key)];
    if (shape.keys[count] !== key) return learn(source) ? writeFlat(record, bytes, at) : DECLINED;
    const keyBytes = shape.keyBytes[count];
    for (let i = 0; i < keyBytes.length; i++) bytes[end + i] = keyBytes[i];
    end = writeScalar(source[key], bytes, end + keyBytes.length);
    if (end === DECLINED) return DECLINED;
    count++;
  }
  if (count === 0 || count !== shape.keys.length)
    return count !== 0 && learn(source) ? writeFlat(record, bytes, at) : DECLINED;
  bytes[at] = 0x80 | count;
  return end;
}

/** Reads the record between `at` and `end`; undefined to decline. */
export function readFlat(bytes: Uint8Array, at: number, end: number): object | undefined {
  const head = bytes[at];
  if (head < 0x81 || head > 0x8f || end - at < 4) return undefined;
  const count = head & 0x0f;
  const shape = readGuesses[readSlot(count, bytes[at + 1], bytes[at + 2])];
  if (shape.keys.length !== count) return undefined;
  let next = at + 1;
  for (let property = 0; property < count; property++) {
    const keyBytes = shape.keyBytes[property];
    for (let i = 0; i < keyBytes.length; i++) if (bytes[next + i] !== keyBytes[i]) return undefined;
    next = readScalar(bytes, next + keyBytes.length, end, property);
    if (next === DECLINED) return undefined;
  }
  return next === end ? shape.make(values) : undefined; // F2
}

/** F3: remembers the shape of a record that went the long way, if it is one for the short way. */
export function learn(record: unknown): boolean {
  if (typeof record !== "object" || record === null || record.constructor !== Object) return false;
  const keys = Object.keys(record);
  if (keys.length === 0 || keys.length > propertiesMax) return false;
  for (const key of keys) if (!isShortKey(key)) return false;
  const known = writeGuesses[writeSlot(keys[0])];
  if (sameKeys(known.keys, keys)) return false; // it was declined for its values
  if (shapeCount >= shapesMax) return false; // more shapes than guesses are of use: the long way is faster than learning
  shapeCount++;
  const keyBytes = keys.map((key) => Uint8Array.of(0xa0 | key.length, ...Buffer.from(key, "latin1")));
  const shape = { keys, keyBytes, make: maker(keys) };
  writeGuesses[writeSlot(keys[0])] = shape;
  readGuesses[readSlot(keys.length, keyBytes[0][0], keyBytes[0][1])] = shape;
  return true;
}

/** Writes a scalar as a record's values are; returns the end, or DECLINED. */
export function writeScalar(value: unknown, bytes: Uint8Array, at: number): number {
  if (typeof value === "number") return writeNumber(value, bytes, at);
  if (typeof value === "string") return writeText(value, bytes, at);
  if (value === true) bytes[at] = 0xc3;
  else if (value === false) bytes[at] = 0xc2;
  else if (value === null) bytes[at] = 0xc0;
  else return DECLINED;
  return at + 1;
}

function writeText(text: string, bytes: Uint8Array, at: number): number {
  const { length } = text;
  if (length > textMax) return DECLINED;
  let next = at;
  if (length < 32) bytes[next++] = 0xa0 | length;
  else {
    bytes[next++] = 0xd9;
    bytes[next++] = length;
  }
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0x7f) return DECLINED;
    bytes[next + i] = unit;
  }
  return next + length;
}

function writeNumber(value: number, bytes: Uint8Array, at: number): number {
  const int = value | 0;
  if (int !== value || (value === 0 && Object.is(value, -0))) return writeFloat(value, bytes, at);
  if (int >= 0) {
    if (int < 0x80) {
      bytes[at] = int;
      return at + 1;
    }
    bytes[at] = int < 0x100 ? 0xcc : int < 0x10000 ? 0xcd : 0xce;
    return writeBigEndian(int, int < 0x100 ? 1 : int < 0x10000 ? 2 : 4, bytes, at + 1);
  }
  if (int >= -0x20) {
    bytes[at] = int & 0xff;
    return at + 1;
  }
  bytes[at] = int >= -0x80 ? 0xd0 : int >= -0x8000 ? 0xd1 : 0xd2;
  return writeBigEndian(int, int >= -0x80 ? 1 : int >= -0x8000 ? 2 : 4, bytes, at + 1);
}

function writeBigEndian(int: number, width: number, bytes: Uint8Array, at: number): number {
  for (let i = 0; i < width; i++) bytes[at + i] = int >> (8 * (width - 1 - i));
  return at + width;
}

/** Numbers that are no 32-bit integers; integers above them are left to the library, which has rules of its own. */
function writeFloat(value: number, bytes: Uint8Array, at: number): number {
  if (Number.isInteger(value)) return DECLINED; // -0 too
  float[0] = value;
  bytes[at] = 0xcb;
  for (let i = 0; i < 8; i++) bytes[at + 1 + i] = floatBytes[7 - i];
  return at + 9;
}

/** Reads one value into `values[property]`; returns where the next begins, or DECLINED. */
function readScalar(bytes: Uint8Array, at: number, end: number, property: number): number {
  const head = bytes[at];
  if (head < 0x80) {
    values[property] = head;
    return at + 1;
  }
  if (head >= 0xe0) {
    values[property] = head - 0x100;
    return at + 1;
  }
  if (head >= 0xa0 && head < 0xc0) return readText(bytes, at + 1, head & 0x1f, end, property);
  switch (head) {
    case 0xc0:
      values[property] = null;
      return at + 1;
    case 0xc2:
    case 0xc3:
      values[property] = head === 0xc3;
      return at + 1;
    case 0xcc:
      values[property] = bytes[at + 1];
      return at + 2;
    case 0xcd:
      values[property] = (bytes[at + 1] << 8) | bytes[at + 2];
      return at + 3;
    case 0xce:
      values[property] = int32(bytes, at + 1) >>> 0;
      return at + 5;
    case 0xd0:
      values[property] = (bytes[at + 1] << 24) >> 24;
      return at + 2;
    case 0xd1:
      values[property] = ((bytes[at + 1] << 24) >> 16) | bytes[at + 2];
      return at + 3;
    case 0xd2:
      values[property] = int32(bytes, at + 1);
      return at + 5;
    case 0xcb:
      for (let i = 0; i < 8; i++) floatBytes[7 - i] = bytes[at + 1 + i];
      values[property] = float[0];
      return at + 9;
    case 0xd9:
      return readText(bytes, at + 2, bytes[at + 1], end, property);
    default:
      return DECLINED;
  }
}

function readText(bytes: Uint8Array, at: number, length: number, end: number, property: number): number {
  if (at + length > end) return DECLINED;
  const text = readAscii(bytes, at, length);
  if (text === undefined) return DECLINED;
  values[property] = text;
  return at + length;
}

function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

function writeSlot(firstKey: string): number {
  return firstKey.length === 0 ? 0 : (firstKey.charCodeAt(0) + firstKey.length * 7) & 63;
}

function readSlot(count: number, keyHead: number, keyFirst: number): number {
  return (count * 37 + keyHead * 7 + keyFirst) & 255;
}

function isShortKey(key: string): boolean {
  if (key.length === 0 || key.length > keyMax || key === "__proto__") return false;
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) > 0x7f) return false;
  return true;
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((key, i) => key === b[i]);
}

/** Makes records with these keys by a literal, or, where code from strings is forbidden, key by key. */
function maker(keys: readonly string[]): Shape["make"] {
  try {
    const parts = keys.map((key, i) => `${JSON.stringify(key)}: v[${i}]`);
    return new Function("v", `return { ${parts.join(", ")} };`) as Shape["make"];
  } catch {
    return (given) => Object.fromEntries(keys.map((key, i) => [key, given[i]]));
  }
}
