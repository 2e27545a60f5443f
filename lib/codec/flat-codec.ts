/**
 * The short way for scalars and small flat records, which is what most states and messages are: the same MessagePack bytes
 * as the library makes, written and read without it. Anything else is declined, and goes the long way.
 *
 * Flat: a plain object with a shape (shape.ts), whose values are null, booleans, numbers other than -0, or ASCII strings
 * of at most 255 characters.
 *
 * Owner: one thread.
 * F1. What is written is a prefix of memory that the caller has reserved: `flatBytesMax` bytes are enough.
 * F2. What is read is checked to end exactly at the end of the input; whatever does not fit is declined, so damage is
 *     found by the long way.
 * F3. Which shape bytes may have is guessed from what came before; a wrong guess goes the long way.
 */
import { readAscii } from "./ascii-strings.js";
import { type Shape, Shapes } from "./shape.js";

/** Room that a flat record needs at most. */
export const flatBytesMax = 1 + 15 * (1 + 31 + 2 + 255);
/** What the functions return to decline. */
export const DECLINED = -1;

const textMax = 255;

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);
const values: unknown[] = new Array(15).fill(undefined);

/** The shapes that this thread knows. */
export const shapes = new Shapes(writeScalar, {
  at: 0,
  end: 0,
  read(bytes) {
    if (this.at === DECLINED) return undefined;
    this.at = this.at < this.end ? readScalar(bytes, this.at, this.end, 0) : DECLINED;
    return values[0];
  },
  text: readAscii,
});
/** The shape seen last, by count and first key, for reading. */
const readGuesses: (Shape | undefined)[] = new Array(256).fill(undefined);

/** Writes a record at `at`; returns the end, or DECLINED with garbage behind `at`. */
export function writeFlat(record: object, bytes: Uint8Array, at: number): number {
  const shape = shapeOf(record);
  if (shape === undefined) return DECLINED;
  const source = record as Record<string, unknown>;
  const { keys, keyBytes } = shape;
  bytes[at] = 0x80 | keys.length;
  let end = at + 1;
  for (let property = 0; property < keys.length; property++) {
    const head = keyBytes[property];
    for (let i = 0; i < head.length; i++) bytes[end + i] = head[i];
    end = writeScalar(source[keys[property]], bytes, end + head.length);
    if (end === DECLINED) return DECLINED;
  }
  return end;
}

/** The shape of a value, learned if need be; undefined when it is no record with a shape. */
export function shapeOf(value: unknown): Shape | undefined {
  return isRecord(value) ? (shapes.of(value) ?? shapes.withKeys(Object.keys(value))) : undefined;
}

/** A shape with the keys of a record, even when no more are learned; undefined when there can be none. */
export function shapeLike(value: unknown): Shape | undefined {
  return shapeOf(value) ?? (isRecord(value) ? shapes.alone(Object.keys(value)) : undefined);
}

function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null && value.constructor === Object;
}

/** Reads the scalar or the record between `at` and `end`; undefined, which is neither, to decline. */
export function readFlat(bytes: Uint8Array, at: number, end: number): unknown {
  const head = bytes[at];
  if (head < 0x81 || head > 0x8f) return readScalar(bytes, at, end, 0) === end ? values[0] : undefined; // F2
  if (end - at < 4) return undefined;
  const count = head & 0x0f;
  const shape = readGuesses[readSlot(count, bytes[at + 1], bytes[at + 2])];
  if (shape === undefined || shape.keys.length !== count) return undefined;
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
export function learn(record: unknown): void {
  const shape = shapeOf(record);
  if (shape === undefined) return;
  const [first] = shape.keyBytes;
  readGuesses[readSlot(shape.keys.length, first[0], first[1])] = shape;
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
  if (!(at + length <= end)) return DECLINED; // a length behind the end of the memory is undefined
  const text = readAscii(bytes, at, length);
  if (text === undefined) return DECLINED;
  values[property] = text;
  return at + length;
}

function int32(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
}

function readSlot(count: number, keyHead: number, keyFirst: number): number {
  return (count * 37 + keyHead * 7 + keyFirst) & 255;
}
