/** Arbitrary plain data for property tests: every kind of value that may be sent or stored, and the odd ones on purpose. */
import fc from "fast-check";
import { typedArrayKinds } from "../../lib/codec/plain-data.js";

const codeUnits = (max: number): fc.Arbitrary<string> =>
  fc
    .array(
      fc.oneof(
        fc.integer({ min: 0, max: 0x7f }),
        fc.integer({ min: 0, max: 0xffff }),
        fc.integer({ min: 0xd800, max: 0xdfff }),
      ),
      {
        maxLength: max,
      },
    )
    .map((units) => String.fromCharCode(...units));

/** Strings of arbitrary code units, lone surrogates included; some around the lengths where codecs change their way. */
export const anyText: fc.Arbitrary<string> = fc.oneof(
  { weight: 4, arbitrary: fc.string({ maxLength: 12 }) },
  { weight: 3, arbitrary: codeUnits(20) },
  {
    weight: 2,
    arbitrary: fc.tuple(codeUnits(8), fc.nat({ max: 300 })).map(([unit, times]) => unit.repeat(Math.ceil(times / 8))),
  },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom("\ufeff", "\ud800", "é", "a"), fc.nat({ max: 260 }))
      .map(([c, n]) => c + "x".repeat(n)),
  },
);

const anyKey = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom("a", "b", "id", "items", "0", "7", "") },
  { weight: 3, arbitrary: anyText },
  { weight: 1, arbitrary: fc.constantFrom("__proto__", "constructor", "toString", "hasOwnProperty", "length") },
);

const anyNumber = fc.oneof(
  fc.integer(),
  fc.double(),
  fc.maxSafeInteger(),
  fc.constantFrom(
    0,
    -0,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    2 ** 53,
    -(2 ** 63),
    2 ** 64,
    Number.MIN_VALUE,
  ),
);

const anyDate = fc.oneof(
  fc.date({ noInvalidDate: true }),
  fc.constantFrom(Number.NaN, 8.64e15, -8.64e15, 0, -1).map((time) => new Date(time)),
);

const anyBytes = fc
  .tuple(fc.constantFrom(...typedArrayKinds), fc.uint8Array({ maxLength: 40 }))
  .map(([kind, bytes]) => new kind(bytes.slice(0, bytes.length - (bytes.length % kind.BYTES_PER_ELEMENT)).buffer));

const anyLeaf: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 6, arbitrary: anyNumber },
  { weight: 6, arbitrary: anyText },
  { weight: 2, arbitrary: fc.boolean() },
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 1, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: fc.oneof(fc.bigInt(), fc.bigInt({ min: -(1n << 300n), max: 1n << 300n })) },
  { weight: 1, arbitrary: anyDate },
  { weight: 1, arbitrary: anyBytes },
);

/** A record with these entries as own properties, `__proto__` too. */
export function recordOf(entries: readonly (readonly [string, unknown])[], bare: boolean): object {
  const record: object = bare ? Object.create(null) : {};
  for (const [key, value] of entries) {
    Object.defineProperty(record, key, { value, writable: true, enumerable: true, configurable: true });
  }
  return record;
}

/** Any plain-data value. */
export const plainData: fc.Arbitrary<unknown> = fc.letrec<{ any: unknown }>((tie) => {
  const any = tie("any");
  const record = fc
    .tuple(fc.array(fc.tuple(anyKey, any), { maxLength: 6 }), fc.integer({ min: 0, max: 9 }))
    .map(([entries, dice]) => recordOf(entries, dice === 0));
  return {
    any: fc.oneof(
      { maxDepth: 5, depthSize: "small", withCrossShrink: true },
      { weight: 4, arbitrary: anyLeaf },
      { weight: 4, arbitrary: record },
      { weight: 3, arbitrary: fc.array(any, { maxLength: 6 }) },
      { weight: 1, arbitrary: fc.array(fc.tuple(any, any), { maxLength: 4 }).map((entries) => new Map(entries)) },
      { weight: 1, arbitrary: fc.array(any, { maxLength: 4 }).map((items) => new Set(items)) },
    ),
  };
}).any;

/** A value that is refused, with the path of the refused part below the root. */
export const refusedData: fc.Arbitrary<{ readonly value: unknown; readonly path: string }> = fc
  .tuple(
    fc.constantFrom<() => unknown>(
      () => () => 1,
      () => Symbol("s"),
      () => new (class Point {})(),
      () => new Error("e"),
      () => /x/,
      () => new WeakMap(),
      () => new ArrayBuffer(4),
      () => new DataView(new ArrayBuffer(4)),
      () => new (class extends Map {})(),
      () => Promise.resolve(),
    ),
    fc.array(fc.constantFrom("record", "array", "map"), { maxLength: 5 }),
    fc.array(plainData, { minLength: 5, maxLength: 5 }),
  )
  .map(([make, steps, neighbours]) => {
    let value = make();
    let path = "";
    for (const [i, step] of steps.entries()) {
      const neighbour = neighbours[i];
      if (step === "record") {
        value = { first: neighbour, inner: value };
        path = `.inner${path}`;
      } else if (step === "array") {
        value = [neighbour, value];
        path = `[1]${path}`;
      } else {
        value = new Map([
          ["first", neighbour],
          ["inner", value],
        ]);
        path = `.get("inner")${path}`;
      }
    }
    return { value, path };
  });

/**
 * True when two plain-data values are the same to the last bit: prototypes, order of keys and entries, -0. Node's
 * deepStrictEqual takes two invalid dates for different and ignores order.
 */
export function isSame(a: unknown, b: unknown): boolean {
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return Object.is(a, b);
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime());
  if (ArrayBuffer.isView(a)) return Buffer.compare(bytesOf(a), bytesOf(b as ArrayBufferView)) === 0;
  return isSameList(entriesOf(a), entriesOf(b));
}

function entriesOf(value: object): unknown[] {
  if (value instanceof Map) return [...value].flatMap(([key, part]) => [key, part]);
  if (value instanceof Set) return [...value];
  return Reflect.ownKeys(value).flatMap((key) => [key, Object.getOwnPropertyDescriptor(value, key)?.value]);
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((part, i) => isSame(part, b[i]));
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
