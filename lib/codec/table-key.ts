/**
 * The keys of tables as bytes whose order is the order of the keys: booleans, then numbers, then bigints, then strings;
 * false before true, numbers and bigints by value, strings by UTF-16 code units as `<` compares them. Frozen.
 *
 *     1 ‖ 0 or 1
 *     2 ‖ f64 BE, the sign bit flipped, or all bits of a negative number
 *     3 ‖ 128 ‖ length u32 BE ‖ magnitude BE; of a negative one, all of it after the 3 flipped
 *     4 ‖ each code unit in one to three bytes, as UTF-8 writes a character of that number; lone surrogates too
 */
import { HoldfastError } from "../base/errors.js";
import { tableKeyBytesMax } from "../base/limits.js";

const booleanTag = 1;
const numberTag = 2;
const bigintTag = 3;
const stringTag = 4;
/** Above what it is when flipped. */
const positive = 0x80;

/**
 * The bytes of a key.
 *
 * @throws `HF_BAD_VALUE` for anything but a string, a bigint, a boolean, or a number that is not NaN; `HF_TOO_LARGE`
 */
export function encodeTableKey(key: unknown, what: string): Uint8Array {
  switch (typeof key) {
    case "string":
      return encodeString(key, what);
    case "number":
      if (Number.isNaN(key)) throw badKey(what, "NaN");
      return encodeNumber(key);
    case "bigint":
      return encodeBigInt(key, what);
    case "boolean":
      return Uint8Array.of(booleanTag, key ? 1 : 0);
    default:
      throw badKey(what, key === null ? "null" : typeof key);
  }
}

/**
 * The key that these bytes stand for.
 *
 * @throws `HF_STATE_DAMAGED` when `encodeTableKey` writes no key so: two forms of one key would be two entries.
 */
export function decodeTableKey(bytes: Uint8Array): string | number | bigint | boolean {
  const [tag] = bytes;
  if (tag === stringTag) return decodeString(bytes);
  if (tag === numberTag && bytes.length === 9) return decodeNumber(bytes);
  if (tag === booleanTag && bytes.length === 2 && bytes[1] <= 1) return bytes[1] === 1;
  if (tag === bigintTag && bytes.length > 6) return decodeBigInt(bytes);
  throw noKey();
}

function noKey(): HoldfastError {
  return new HoldfastError(
    "HF_STATE_DAMAGED",
    "the key of a table entry has no known form; restore the data directory from a copy",
  );
}

/** As in a Map, -0 is 0. */
function encodeNumber(key: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = numberTag;
  new DataView(bytes.buffer).setFloat64(1, key === 0 ? 0 : key);
  if (key < 0) flip(bytes, 1);
  else bytes[1] ^= 0x80;
  return bytes;
}

function decodeNumber(bytes: Uint8Array): number {
  const copy = Uint8Array.from(bytes);
  if ((copy[1] & 0x80) === 0) flip(copy, 1);
  else copy[1] ^= 0x80;
  const key = new DataView(copy.buffer).getFloat64(1);
  if (Number.isNaN(key) || Object.is(key, -0)) throw noKey();
  return key;
}

function encodeBigInt(key: bigint, what: string): Uint8Array {
  const hex = (key < 0n ? -key : key).toString(16);
  const magnitude = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, "hex");
  if (magnitude.length > tableKeyBytesMax) throw tooLong(what);
  const bytes = new Uint8Array(6 + magnitude.length);
  bytes[0] = bigintTag;
  bytes[1] = positive;
  new DataView(bytes.buffer).setUint32(2, magnitude.length);
  bytes.set(magnitude, 6);
  if (key < 0n) flip(bytes, 1);
  return bytes;
}

function decodeBigInt(bytes: Uint8Array): bigint {
  const copy = Uint8Array.from(bytes);
  const negative = copy[1] !== positive;
  if (negative) flip(copy, 1);
  const length = new DataView(copy.buffer).getUint32(2);
  const isWhole = copy[1] === positive && length === copy.length - 6;
  // Zero alone has a zero byte in front, and no sign.
  if (!isWhole || (copy[6] === 0 && (length > 1 || negative))) throw noKey();
  const magnitude = BigInt(`0x${Buffer.from(copy.buffer, 6).toString("hex")}`);
  return negative ? -magnitude : magnitude;
}

function encodeString(key: string, what: string): Uint8Array {
  if (key.length > tableKeyBytesMax) throw tooLong(what);
  const bytes = new Uint8Array(1 + 3 * key.length);
  bytes[0] = stringTag;
  let at = 1;
  for (let index = 0; index < key.length; index++) {
    const unit = key.charCodeAt(index);
    if (unit < 0x80) bytes[at++] = unit;
    else if (unit < 0x800) {
      bytes[at++] = 0xc0 | (unit >>> 6);
      bytes[at++] = 0x80 | (unit & 0x3f);
    } else {
      bytes[at++] = 0xe0 | (unit >>> 12);
      bytes[at++] = 0x80 | ((unit >>> 6) & 0x3f);
      bytes[at++] = 0x80 | (unit & 0x3f);
    }
  }
  if (at - 1 > tableKeyBytesMax) throw tooLong(what);
  return bytes.slice(0, at);
}

function decodeString(bytes: Uint8Array): string {
  let text = "";
  for (let at = 1; at < bytes.length; ) {
    const first = bytes[at];
    if (first < 0x80) {
      text += String.fromCharCode(first);
      at += 1;
    } else if (first < 0xe0) {
      const unit = ((first & 0x1f) << 6) | following(bytes, at + 1);
      if (first < 0xc0 || unit < 0x80) throw noKey();
      text += String.fromCharCode(unit);
      at += 2;
    } else {
      const unit = ((first & 0x0f) << 12) | (following(bytes, at + 1) << 6) | following(bytes, at + 2);
      if (first > 0xef || unit < 0x800) throw noKey();
      text += String.fromCharCode(unit);
      at += 3;
    }
  }
  return text;
}

/** The six bits of a byte that goes on with a code unit. */
function following(bytes: Uint8Array, at: number): number {
  if (at >= bytes.length || (bytes[at] & 0xc0) !== 0x80) throw noKey();
  return bytes[at] & 0x3f;
}

function flip(bytes: Uint8Array, from: number): void {
  for (let at = from; at < bytes.length; at++) bytes[at] ^= 0xff;
}

function badKey(what: string, found: string): HoldfastError {
  return new HoldfastError(
    "HF_BAD_VALUE",
    `a key of ${what} is ${found}: keys are strings, numbers other than NaN, bigints and booleans`,
  );
}

function tooLong(what: string): HoldfastError {
  return new HoldfastError("HF_TOO_LARGE", `a key of ${what} is over ${tableKeyBytesMax} bytes`);
}
