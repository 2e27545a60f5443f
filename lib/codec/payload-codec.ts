/**
 * Plain data as MessagePack and back, without loss. One per thread. The wire format is frozen: extension types and
 * the order of `typedArrayKinds` never change their meaning.
 *
 * MessagePack as the library writes it loses undefined, -0, bigint, Map, Set, lone surrogates and a leading BOM in long
 * strings, `__proto__` keys and null prototypes. So `encode` looks through the value first (`isNative`, cheap: most
 * values have none of these); if something is there, it encodes a stand-in made by `wrap`, in which
 *
 *     undefined, -0, bigint, Date, typed array, odd string   →  an extension with their bytes
 *     Map, Set, odd object                                   →  [mark, key, value, key, value, …] or [mark, item, …]
 *
 * and a mark is an empty extension. `decode` undoes it, in a second pass only if it met a mark.
 *
 * C1. Only what `inspect` has accepted reaches the library: container sizes add up to no more than the input has bytes
 *     (it allocates arrays from their headers), nesting and the number of objects are bounded (an empty one takes a byte
 *     here and fifty in memory), and there is no `bin`, which would alias the input.
 * C2. Decoders of extensions copy: their data is a view on the input, which may be ring memory.
 */
import { endianness } from "node:os";
import { Decoder, Encoder, ExtData } from "@msgpack/msgpack";
import type { ByteWriter } from "../base/bytes.js";
import { HoldfastError, isHoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { MiB, payloadBytesMax, payloadContainersMax, payloadDepthMax } from "../base/limits.js";
import { DECLINED, flatBytesMax, learn, readFlat, writeFlat, writeScalar } from "./flat-codec.js";
import { textKeptUnits } from "./payload-size.js";
import { typedArrayKinds } from "./plain-data.js";

invariant(endianness() === "LE", "typed arrays are written as they lie in memory, little-endian");

const extUndefined = 0;
const extNegativeZero = 1;
const extText = 2;
const extBigInt = 3;
const extDate = 4;
const extTypedArray = 16; // + position in typedArrayKinds
const extMark = 32; // + position in marks

/** Says what an array stands for; never leaves this file. */
class Mark {
  readonly what: "map" | "set" | "object" | "bare object";
  constructor(what: Mark["what"]) {
    this.what = what;
  }
}

const marks = [new Mark("map"), new Mark("set"), new Mark("object"), new Mark("bare object")] as const;
const noBytes = new Uint8Array(0);
const [mapMark, setMark, objectMark, bareObjectMark] = marks.map(
  (_, index) => new ExtData(extMark + index, noBytes),
) as [ExtData, ExtData, ExtData, ExtData];
const wrappedUndefined = new ExtData(extUndefined, noBytes);
const wrappedNegativeZero = new ExtData(extNegativeZero, noBytes);

const initialBufferBytes = 4096;
/** A buffer that has grown above this is not kept. */
const keptBufferBytes = 1 * MiB;

/** Encodes and decodes payloads. Owner: one thread. Keeps one encoder, one decoder and their memory. */
export class PayloadCodec {
  #encoder = newEncoder();
  readonly #decoder = newDecoder();

  /**
   * The bytes of a value that passed `copyPlain` or `freezePlain`.
   * They are a view on memory of the codec and hold only until the next `encode`: copy them.
   *
   * @throws `HF_TOO_LARGE` above `payloadBytesMax`.
   */
  encode(value: unknown): Uint8Array<ArrayBuffer> {
    longBytes = 0;
    const stand = isNative(value) ? value : wrap(value);
    if (longBytes > payloadBytesMax) throw tooLarge(longBytes);
    const bytes = this.#run(stand);
    if (bytes.length > keptBufferBytes) this.#encoder = newEncoder();
    if (bytes.length > payloadBytesMax) throw tooLarge(bytes.length);
    return bytes;
  }

  /** Appends the bytes of a value to a writer; scalars and small flat records go a short way (flat-codec.ts). Errors as `encode`. */
  write(value: unknown, writer: ByteWriter): void {
    const at = writer.reserve(flatBytesMax);
    const isRecord = typeof value === "object" && value !== null;
    const end = isRecord ? writeFlat(value, writer.memory, at) : writeScalar(value, writer.memory, at);
    writer.truncate(end === DECLINED ? at : end);
    if (end === DECLINED) writer.bytes(this.encode(value));
  }

  /** `decode` of the bytes between two offsets. */
  read(bytes: Uint8Array, at: number, end: number): unknown {
    const short = readFlat(bytes, at, end);
    if (short !== undefined) return short;
    const value = this.decode(bytes.subarray(at, end));
    learn(value);
    return value;
  }

  /**
   * The value of bytes that `encode` made. It never aliases them.
   *
   * @throws `HF_STATE_DAMAGED` when they are anything else.
   */
  decode(bytes: Uint8Array): unknown {
    try {
      const marked = inspect(bytes); // C1
      const value = this.#decoder.decode(bytes);
      return marked ? unwrap(value) : value;
    } catch (cause) {
      if (isHoldfastError(cause)) throw cause;
      throw new HoldfastError(
        "HF_STATE_DAMAGED",
        `a payload of ${bytes.length} bytes cannot be decoded; restore the data directory from a copy`,
        { cause },
      );
    }
  }

  #run(stand: unknown): Uint8Array<ArrayBuffer> {
    try {
      return this.#encoder.encodeSharedRef(stand);
    } catch (cause) {
      this.#encoder = newEncoder();
      throw new HoldfastError("HF_BAD_VALUE", "a value that is not plain data cannot be encoded", { cause });
    }
  }
}

function tooLarge(size: number): HoldfastError {
  return new HoldfastError(
    "HF_TOO_LARGE",
    `a value of ${size} bytes or more is over the limit of ${payloadBytesMax}; split it, or keep it elsewhere and send a reference`,
  );
}

/** Not the library's ExtensionCodec: that one tries every registered type for every object. */
const extensions = {
  tryToEncode: (object: unknown): ExtData | null => (object instanceof ExtData ? object : null),
  decode: decodeExtension,
};

function newEncoder(): Encoder<undefined> {
  return new Encoder({
    extensionCodec: extensions,
    initialBufferSize: initialBufferBytes,
    maxDepth: payloadDepthMax + 1,
  });
}

function newDecoder(): Decoder<undefined> {
  return new Decoder({
    extensionCodec: extensions,
    maxStrLength: payloadBytesMax,
    maxBinLength: payloadBytesMax,
    maxExtLength: payloadBytesMax,
    maxArrayLength: payloadBytesMax,
    maxMapLength: payloadBytesMax,
  });
}

// ---- encoding

/** Lower bound of the bytes that the long strings and typed arrays of the value being encoded will take. */
let longBytes = 0;

/** True when the library encodes the value without loss as it is. */
function isNative(value: unknown): boolean {
  switch (typeof value) {
    case "number":
      return value !== 0 || !Object.is(value, -0);
    case "string":
      return value.length <= textKeptUnits || isNativeText(value);
    case "boolean":
      return true;
    case "object":
      return value === null || isNativeObject(value);
    default:
      return false;
  }
}

function isNativeObject(value: object): boolean {
  if (value.constructor === Object) return isNativeRecord(value as Record<string, unknown>);
  if (!Array.isArray(value)) return false;
  for (let i = 0; i < value.length; i++) if (!isNative(value[i])) return false;
  return true;
}

function isNativeRecord(record: Record<string, unknown>): boolean {
  for (const key in record) {
    if (!isNativeKey(key) || !isNative(record[key])) return false;
  }
  return true;
}

function isNativeKey(key: string): boolean {
  return key.length <= textKeptUnits ? key !== "__proto__" : isNativeText(key);
}

function isNativeText(text: string): boolean {
  longBytes += text.length;
  if (longBytes > payloadBytesMax) throw tooLarge(longBytes);
  return text.charCodeAt(0) !== 0xfeff && (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** A stand-in for a value that `isNative` turned down. Counts its long parts anew. */
function wrap(value: unknown): unknown {
  longBytes = 0;
  return wrapPart(value);
}

function wrapPart(value: unknown): unknown {
  switch (typeof value) {
    case "undefined":
      return wrappedUndefined;
    case "number":
      return Object.is(value, -0) ? wrappedNegativeZero : value;
    case "string":
      return value.length <= textKeptUnits || isNativeText(value)
        ? value
        : new ExtData(extText, Buffer.from(value, "utf16le"));
    case "bigint":
      return new ExtData(extBigInt, bigIntBytes(value));
    case "object":
      return value === null ? null : wrapObject(value);
    default:
      return value;
  }
}

function wrapObject(value: object): unknown {
  if (Array.isArray(value)) return value.map(wrapPart);
  if (value instanceof Map) return wrapMap(value);
  if (value instanceof Set) return [setMark, ...Array.from(value, wrapPart)];
  if (value instanceof Date) return new ExtData(extDate, new Uint8Array(Float64Array.of(value.getTime()).buffer));
  if (ArrayBuffer.isView(value)) return wrapTypedArray(value);
  return wrapRecord(value as Record<string, unknown>);
}

function wrapMap(map: ReadonlyMap<unknown, unknown>): unknown[] {
  const flat: unknown[] = [mapMark];
  for (const [key, part] of map) flat.push(wrapPart(key), wrapPart(part));
  return flat;
}

function wrapTypedArray(view: ArrayBufferView): ExtData {
  const kind = typedArrayKinds.findIndex((each) => view instanceof each);
  invariant(kind >= 0, "a typed array of a known kind");
  longBytes += view.byteLength;
  if (longBytes > payloadBytesMax) throw tooLarge(longBytes);
  return new ExtData(extTypedArray + kind, new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
}

function wrapRecord(record: Record<string, unknown>): unknown {
  const keys = Object.keys(record);
  const bare = Object.getPrototypeOf(record) === null;
  if (bare || !keys.every(isNativeKey)) {
    const flat: unknown[] = [bare ? bareObjectMark : objectMark];
    for (const key of keys) flat.push(wrapPart(key), wrapPart(record[key]));
    return flat;
  }
  const stand: Record<string, unknown> = {};
  for (const key of keys) stand[key] = wrapPart(record[key]);
  return stand;
}

/** A sign byte (1 = negative), then the magnitude, big-endian. */
function bigIntBytes(value: bigint): Uint8Array {
  const digits = (value < 0n ? -value : value).toString(16);
  const magnitude = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  const bytes = new Uint8Array(1 + magnitude.length);
  bytes[0] = value < 0n ? 1 : 0;
  bytes.set(magnitude, 1);
  return bytes;
}

// ---- decoding

function decodeExtension(data: Uint8Array, type: number): unknown {
  switch (type) {
    case extUndefined:
      return undefined;
    case extNegativeZero:
      return -0;
    case extText:
      check(data.length % 2 === 0, "half a code unit");
      return Buffer.from(data).toString("utf16le");
    case extBigInt:
      return decodeBigInt(data);
    case extDate:
      check(data.length === 8, "a date of 8 bytes");
      return new Date(new Float64Array(new Uint8Array(data).buffer)[0]!);
    default:
      return type >= extMark ? decodeMark(type) : decodeTypedArray(data, type);
  }
}

function decodeBigInt(data: Uint8Array): bigint {
  check(data.length >= 2 && data[0]! <= 1, "a bigint");
  const magnitude = BigInt(`0x${Buffer.from(data.buffer, data.byteOffset + 1, data.length - 1).toString("hex")}`);
  return data[0] === 1 ? -magnitude : magnitude;
}

function decodeTypedArray(data: Uint8Array, type: number): unknown {
  const kind = typedArrayKinds[type - extTypedArray];
  check(kind !== undefined && data.length % kind.BYTES_PER_ELEMENT === 0, "a typed array");
  const own = new Uint8Array(data); // C2; not slice, which Buffer overrides with a view
  return kind === Uint8Array ? own : new kind(own.buffer);
}

function decodeMark(type: number): Mark {
  const mark = marks[type - extMark];
  check(mark !== undefined, "a known extension");
  return mark;
}

/** Replaces marked arrays by what they stand for, in place. */
function unwrap(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) {
    if (value[0] instanceof Mark) return unwrapMarked(value[0], value);
    for (let i = 0; i < value.length; i++) value[i] = unwrap(value[i]);
    return value;
  }
  check(!(value instanceof Mark), "a mark at the head of an array");
  if (Object.getPrototypeOf(value) === Object.prototype) {
    const record = value as Record<string, unknown>;
    for (const key in record) record[key] = unwrap(record[key]);
  }
  return value;
}

function unwrapMarked(mark: Mark, flat: unknown[]): unknown {
  if (mark.what === "set") return new Set(flat.slice(1).map(unwrap));
  check(flat.length % 2 === 1, "a value for every key");
  return mark.what === "map" ? unwrapMap(flat) : unwrapRecord(flat, mark.what === "object" ? {} : Object.create(null));
}

function unwrapMap(flat: unknown[]): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>();
  for (let i = 1; i < flat.length; i += 2) map.set(unwrap(flat[i]), unwrap(flat[i + 1]));
  return map;
}

function unwrapRecord(flat: unknown[], record: object): object {
  for (let i = 1; i < flat.length; i += 2) {
    const key = flat[i];
    check(typeof key === "string", "a string as key");
    // Not an assignment: that would set the prototype when the key is `__proto__`.
    Object.defineProperty(record, key, {
      value: unwrap(flat[i + 1]),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return record;
}

function check(condition: boolean, what: string): asserts condition {
  if (!condition) throw new RangeError(`expected ${what}`);
}

// ---- inspecting

const refusedHead = -1;
const containerHead = 8;
const extensionHead = 16;

/**
 * What follows each head from 0xc0 to 0xdf: bits 0 to 2 the width of a size, or, with width 0, the size itself in the
 * bits above 7; then whether the size counts items, or the bytes of an extension after its type.
 */
// biome-ignore format: a table
const heads = Int32Array.of(
  0, refusedHead, 0, 0, // nil, never used, false, true
  refusedHead, refusedHead, refusedHead, // bin (C1)
  extensionHead | 1, extensionHead | 2, extensionHead | 4, // ext
  4 << 8, 8 << 8, // float
  1 << 8, 2 << 8, 4 << 8, 8 << 8, // uint
  1 << 8, 2 << 8, 4 << 8, 8 << 8, // int
  extensionHead | (1 << 8), extensionHead | (2 << 8), extensionHead | (4 << 8), extensionHead | (8 << 8), extensionHead | (16 << 8), // fixext
  1, 2, 4, // str
  containerHead | 2, containerHead | 4, // array
  containerHead | 2, containerHead | 4, // map
);
invariant(heads.length === 32, "one entry for each head");

/** What the engine puts around a value, a dead letter for example, may have some objects of its own. */
const objectsMax = payloadContainersMax + 1_024;

/** Items still missing in each open container. */
const missing = new Float64Array(payloadDepthMax + 2);

/**
 * Walks over the heads of encoded bytes and throws unless they are one whole value within the limits (C1).
 * Returns whether it holds a mark.
 */
function inspect(bytes: Uint8Array): boolean {
  check(bytes.length <= payloadBytesMax, "a payload within the limit");
  const end = bytes.length;
  let at = 0;
  let depth = 0;
  let marked = false;
  /** Items announced and not yet met; each takes at least a byte. */
  let open = 1;
  let objects = 0;
  missing[0] = 1;
  while (open > 0) {
    check(at < end, "more bytes");
    const head = bytes[at++]!;
    open--;
    missing[depth]!--;
    let items = 0;
    if (head < 0x80 || head >= 0xe0) {
      // an integer in its head
    } else if (head < 0xa0) {
      items = head < 0x90 ? (head & 0x0f) * 2 : head & 0x0f;
      objects++;
    } else if (head < 0xc0) at += head & 0x1f;
    else {
      const kind = heads[head - 0xc0]!;
      check(kind !== refusedHead, "a known head");
      const width = kind & 7;
      const size = width === 0 ? kind >>> 8 : sizeAt(bytes, at, width, end);
      at += width;
      if ((kind & containerHead) !== 0) {
        items = head >= 0xde ? size * 2 : size;
        objects++;
      } else if ((kind & extensionHead) !== 0) {
        check(at < end, "a type of an extension");
        if (bytes[at]! >= extMark) marked = true;
        else if (bytes[at]! >= extDate) objects++;
        at += 1 + size;
      } else at += size;
    }
    if (items > 0) {
      open += items;
      check(open <= end - at, "as many items as a head announces");
      check(++depth <= payloadDepthMax, "nesting within the limit");
      missing[depth] = items;
    }
    while (depth > 0 && missing[depth] === 0) depth--;
  }
  check(at === end, "no bytes after the value");
  check(objects <= objectsMax, "a number of objects within the limit");
  return marked;
}

function sizeAt(bytes: Uint8Array, at: number, width: number, end: number): number {
  check(at + width <= end, "a whole size");
  if (width === 1) return bytes[at]!;
  const high = (bytes[at]! << 8) | bytes[at + 1]!;
  return width === 2 ? high : high * 0x10000 + ((bytes[at + 2]! << 8) | bytes[at + 3]!);
}
