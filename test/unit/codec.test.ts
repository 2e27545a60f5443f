import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../lib/base/bytes.js";
import { isHoldfastError } from "../../lib/base/errors.js";
import { MiB, payloadBytesMax, payloadDepthMax } from "../../lib/base/limits.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { copyPlain, typedArrayKinds } from "../../lib/codec/plain-data.js";
import { Shapes, shapesMax } from "../../lib/codec/shape.js";
import { readText, writeText } from "../../lib/codec/text.js";

const codec = new PayloadCodec();

function roundTrip(value: unknown): unknown {
  return codec.decode(codec.encode(value).slice());
}

function assertDamaged(bytes: Uint8Array): void {
  assert.throws(
    () => codec.decode(bytes),
    (error) => isHoldfastError(error, "HF_STATE_DAMAGED"),
  );
}

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

describe("payload codec", () => {
  // Frozen: data directories hold these bytes. Never change an expectation, add new ones.
  const golden: [name: string, value: unknown, bytes: string][] = [
    ["an integer", 5, "05"],
    ["a fraction", 1.5, "cb3ff8000000000000"],
    ["a record", { a: 1, b: "x" }, "82 a161 01 a162 a178"],
    ["null", null, "c0"],
    ["undefined", undefined, "c7 00 00"],
    ["negative zero", -0, "c7 00 01"],
    ["a long string with a lone surrogate", `\ud800${"a".repeat(50)}`, `c7 66 02 00d8${"6100".repeat(50)}`],
    ["a bigint", 258n, "c7 03 03 000102"],
    ["a negative bigint", -1n, "d5 03 0101"],
    ["bigint zero", 0n, "d5 03 0000"],
    ["a date", new Date(1), "d7 04 000000000000f03f"],
    ["bytes", new Uint8Array([1, 2]), "d5 10 0102"],
    ["16-bit integers", new Uint16Array([1]), "d5 13 0100"],
    ["doubles", new Float64Array([1]), "d7 18 000000000000f03f"],
    ["a Map", new Map([["a", 1]]), "93 c70020 a161 01"],
    ["a Set", new Set([1, undefined]), "93 c70021 01 c70000"],
    ["a record with an own __proto__", JSON.parse('{"__proto__":1}'), "93 c70022 a95f5f70726f746f5f5f 01"],
    ["a record without prototype", Object.create(null), "91 c70023"],
  ];
  for (const [name, value, bytes] of golden) {
    test(`${name} has its frozen encoding`, () => {
      assert.equal(Buffer.from(codec.encode(value)).toString("hex"), bytes.replaceAll(" ", ""));
      assert.deepStrictEqual(codec.decode(hex(bytes)), value);
    });
  }

  test("numbers come back bit by bit", () => {
    const numbers = [
      0,
      -0,
      1,
      -1,
      127,
      128,
      -32,
      -33,
      255,
      256,
      65535,
      65536,
      2 ** 31,
      2 ** 32,
      -(2 ** 31) - 1,
      2 ** 53 - 1,
      -(2 ** 53) + 1,
    ];
    numbers.push(
      2 ** 53,
      2 ** 60,
      -(2 ** 63),
      1e308,
      5e-324,
      0.1,
      Number.NaN,
      Number.POSITIVE_INFINITY,
      Number.NEGATIVE_INFINITY,
    );
    for (const number of numbers) assert.ok(Object.is(roundTrip(number), number), String(number));
    assert.deepStrictEqual(roundTrip(numbers), numbers);
  });

  test("undefined comes back at the top, in arrays and as a property", () => {
    assert.equal(roundTrip(undefined), undefined);
    const value = [undefined, { a: undefined, b: null }, new Map([[undefined, undefined]])];
    assert.deepStrictEqual(roundTrip(value), value);
    assert.ok("a" in (roundTrip({ a: undefined }) as object));
  });

  test("strings come back at every length where the library changes its way, with every odd beginning and end", () => {
    for (const odd of ["", "\ufeff", "\ud800", "\udc00", "\ud83d\ude00", "é", "中", "\0"]) {
      for (const length of [0, 1, 31, 32, 49, 50, 51, 66, 67, 199, 200, 201, 255, 256, 4096, 70_000]) {
        for (const text of [odd + "x".repeat(length), "x".repeat(length) + odd, "x".repeat(length) + odd + "y"]) {
          assert.ok(roundTrip(text) === text, `${JSON.stringify(odd)} at ${length}`);
          assert.deepStrictEqual(roundTrip({ [text]: text }), { [text]: text });
        }
      }
    }
  });

  test("dates come back over their whole range", () => {
    for (const time of [0, 1, -1, 8.64e15, -8.64e15, Number.NaN, 1_700_000_000_123]) {
      const date = roundTrip(new Date(time));
      assert.ok(date instanceof Date && Object.is(date.getTime(), time), String(time));
    }
  });

  test("bigints of any size come back", () => {
    for (const value of [0n, 1n, -1n, 1n << 64n, -(1n << 63n), (1n << 4000n) + 1n, -(1n << 70_000n)])
      assert.equal(roundTrip(value), value);
  });

  test("every kind of typed array comes back as its kind, with memory of its own", () => {
    for (const kind of typedArrayKinds) {
      for (const length of [0, 1, 2, 3, 300]) {
        const source = new kind(length + 2).subarray(1, length + 1);
        for (let i = 0; i < source.byteLength; i++) new Uint8Array(source.buffer, source.byteOffset)[i] = i + 1;
        const back = roundTrip([source]) as [typeof source];
        assert.equal(back[0].constructor, kind);
        assert.equal(back[0].buffer.byteLength, source.byteLength);
        assert.equal(
          Buffer.compare(Buffer.from(back[0].buffer), Buffer.from(source.buffer, source.byteOffset, source.byteLength)),
          0,
        );
      }
    }
  });

  test("decoding an own __proto__ key pollutes nothing", () => {
    const back = roundTrip(JSON.parse('{"a":{"__proto__":{"polluted":1}}}')) as { a: object };
    assert.deepEqual(Object.keys(back.a), ["__proto__"]);
    assert.equal(Object.getPrototypeOf(back.a), Object.prototype);
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  test("records of many keys and long arrays come back in order", () => {
    const record = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [`k${i}`, i]));
    assert.deepStrictEqual(Object.entries(roundTrip(record) as object), Object.entries(record));
    const array = Array.from({ length: 70_000 }, (_, i) => (i % 7 === 0 ? undefined : i));
    assert.deepStrictEqual(roundTrip(array), array);
    assert.deepStrictEqual(roundTrip(new Map(Object.entries(record))), new Map(Object.entries(record)));
  });

  test("the deepest value that can be copied can be encoded, in every kind of container", () => {
    for (const wrap of [
      (inner: unknown) => ({ inner }),
      (inner: unknown) => [inner, undefined],
      (inner: unknown) => new Map([[1, inner]]),
      (inner: unknown) => new Set([inner]),
      (inner: unknown) => Object.assign(Object.create(null), { inner }),
    ]) {
      let value: unknown = 1n;
      for (let i = 0; i < payloadDepthMax; i++) value = wrap(value);
      assert.deepStrictEqual(roundTrip(copyPlain(value, "message")), value);
    }
  });

  test("an encoding holds until the next one, in the same memory", () => {
    const first = codec.encode({ a: 1 });
    const kept = first.slice();
    codec.encode({ b: 2 });
    assert.notDeepEqual(first, kept);
    assert.deepEqual(codec.decode(kept), { a: 1 });
  });

  test("a value over the limit is refused and the codec goes on", () => {
    const tooLarge = (error: unknown): boolean => isHoldfastError(error, "HF_TOO_LARGE");
    assert.throws(() => codec.encode("x".repeat(payloadBytesMax)), tooLarge);
    assert.throws(() => codec.encode(new Array(100_000).fill("x".repeat(MiB))), tooLarge);
    assert.throws(() => codec.encode(new Array(100_000).fill(new Uint8Array(MiB))), tooLarge);
    assert.throws(() => codec.encode(new Array(payloadBytesMax / 4).fill("12345")), tooLarge);
    assert.deepEqual(roundTrip({ a: 1 }), { a: 1 });
    const large = "x".repeat(payloadBytesMax - 5);
    assert.ok(roundTrip(large) === large);
  });

  test("a value that was never checked is refused, not written as something else", () => {
    for (const value of [() => 1, Symbol("x"), { a: Symbol("x") }]) {
      assert.throws(
        () => codec.encode(value),
        (error) => isHoldfastError(error, "HF_BAD_VALUE"),
      );
    }
    assert.deepEqual(roundTrip(1), 1);
  });

  const damaged: [name: string, bytes: string][] = [
    ["no bytes", ""],
    ["a byte after the value", "0505"],
    ["a cut string", "a3 6162"],
    ["a cut number", "cd 01"],
    ["a cut header", "db 0000"],
    ["the head that MessagePack never uses", "c1"],
    ["binary data, which would alias the input", "c4 02 0102"],
    ["empty binary data", "91 c4 00"],
    ["an array that announces gigabytes", "dd ffffffff"],
    ["a record that announces gigabytes", "df ffffffff"],
    ["a string that announces gigabytes", "db ffffffff 61"],
    ["an extension that announces gigabytes", "c9 ffffffff 10"],
    ["nested arrays that announce more than there is", "dc0009 dc0009 dc0009 0000000000000000"],
    ["nesting over the limit", `${"91".repeat(payloadDepthMax + 1)}00`],
    ["a __proto__ key", "81 a95f5f70726f746f5f5f 01"],
    ["a number as key of a record in marked form", "93 c70022 01 01"],
    ["a key that is a record", "81 80 01"],
    ["a timestamp extension", "d6 ff 00000000"],
    ["an unknown extension", "d4 0a 00"],
    ["an unknown mark", "91 c70024"],
    ["a mark on its own", "c70020"],
    ["a mark inside an array", "92 01 c70020"],
    ["a mark as a property", "81 a161 c70020"],
    ["a Map with a key without value", "92 c70020 01"],
    ["doubles of seven bytes", "c7 07 18 00000000000000"],
    ["a date of one byte", "d4 04 00"],
    ["half a code unit", "d4 02 61"],
    ["a bigint without digits", "d4 03 00"],
    ["a bigint with an unknown sign", "d5 03 0201"],
  ];
  for (const [name, bytes] of damaged) {
    test(`${name} is reported as damage`, () => assertDamaged(hex(bytes)));
  }

  test("thousands of array heads that each announce the whole input cost no memory", () => {
    const bytes = new Uint8Array(60_000).fill(0xdc);
    for (let i = 1; i < bytes.length; i += 3) bytes.set([0xea, 0x60], i);
    const before = process.memoryUsage().rss;
    assertDamaged(bytes);
    assert.ok(process.memoryUsage().rss - before < 64 * MiB);
  });

  test("input that is a Buffer is not aliased either", () => {
    const input = Buffer.from(codec.encode([new Uint8Array([1, 2, 3]), new Date(7), 5n]));
    const value = codec.decode(input);
    input.fill(0);
    assert.deepStrictEqual(value, [new Uint8Array([1, 2, 3]), new Date(7), 5n]);
  });
});

describe("byte writer and reader", () => {
  test("integers have their documented byte order", () => {
    const writer = new ByteWriter();
    writer.u8(0x01);
    writer.u16(0x0203);
    writer.u16be(0x0405);
    writer.u32(0xfffefdfc);
    writer.u64(Number.MAX_SAFE_INTEGER);
    writer.f64(-2);
    const expected = "01 0302 0405 fcfdfeff ffffffffffff1f00 00000000000000c0";
    assert.equal(Buffer.from(writer.view()).toString("hex"), expected.replaceAll(" ", ""));
  });

  test("taken bytes are exact, own their memory and outlive the writer's", () => {
    const writer = new ByteWriter();
    writer.u32(7);
    const taken = writer.take();
    assert.equal(taken.buffer.byteLength, 4);
    assert.equal(writer.length, 0);
    writer.u32(9);
    assert.deepEqual(taken, new Uint8Array([7, 0, 0, 0]));
    assert.equal(structuredClone(taken, { transfer: [taken.buffer] }).length, 4);
  });

  test("taken bytes are those written, whatever was taken before, and their memory is nobody else's", () => {
    const lengths = fc.array(fc.oneof(fc.nat(2_000), fc.nat(3_000_000)), { maxLength: 8 });
    fc.assert(
      fc.property(lengths, (taken) => {
        const writer = new ByteWriter();
        const kept = taken.map((length, n) => {
          for (let left = length; left > 0; left -= 50_000)
            writer.bytes(new Uint8Array(Math.min(left, 50_000)).fill(n));
          assert.equal(writer.length, length);
          return writer.take();
        });
        assert.equal(writer.length, 0);
        writer.bytes(new Uint8Array(1_000).fill(255));
        assert.equal(new Set([writer.memory, ...kept].map(({ buffer }) => buffer)).size, kept.length + 1);
        for (const [n, bytes] of kept.entries()) {
          assert.equal(bytes.length, taken[n]);
          assert.ok(bytes.every((byte) => byte === n));
          assert.ok(bytes.buffer.byteLength <= 2 * bytes.length);
          assert.equal(structuredClone(bytes, { transfer: [bytes.buffer] }).length, taken[n]);
        }
      }),
      { numRuns: 30 },
    );
  });

  test("a writer that held much for once does not keep the memory for it", () => {
    const writer = new ByteWriter();
    for (const length of [4_000_000, 10, 10]) {
      writer.bytes(new Uint8Array(length));
      writer.take();
    }
    assert.ok(writer.memory.length < 4_000);
  });

  test("reserved bytes are patched later, across growth", () => {
    const writer = new ByteWriter(16);
    const at = writer.reserve(4);
    writer.bytes(new Uint8Array(1000).fill(3));
    writer.patchU32(at, 0xdeadbeef);
    assert.equal(new ByteReader(writer.view()).u32(), 0xdeadbeef);
    assert.equal(writer.length, 1004);
  });

  test("a patch outside what was written breaks an invariant", () => {
    const writer = new ByteWriter();
    writer.u8(1);
    assert.throws(
      () => writer.patchU32(0, 1),
      (error) => isHoldfastError(error, "HF_INVARIANT"),
    );
    assert.throws(
      () => writer.u64(2 ** 53),
      (error) => isHoldfastError(error, "HF_INVARIANT"),
    );
    assert.throws(
      () => writer.bytes(new Uint8Array(4), 2, 3),
      (error) => isHoldfastError(error, "HF_INVARIANT"),
    );
  });

  test("reading past the end is reported with the reader's code", () => {
    const reader = new ByteReader(new Uint8Array(3), "HF_LOG_DAMAGED");
    assert.throws(
      () => reader.u32(),
      (error) => isHoldfastError(error, "HF_LOG_DAMAGED"),
    );
    assert.equal(reader.u16(), 0);
    assert.throws(
      () => reader.view(-1),
      (error) => isHoldfastError(error, "HF_LOG_DAMAGED"),
    );
    assert.throws(
      () => reader.finish(),
      (error) => isHoldfastError(error, "HF_LOG_DAMAGED"),
    );
  });

  test("a reader that is reset reads only its range", () => {
    const reader = new ByteReader(new Uint8Array(0));
    const bytes = new Uint8Array(20).map((_, i) => i);
    new DataView(bytes.buffer).setFloat64(4, 1.25, true);
    reader.reset(bytes, 4, 10);
    assert.equal(reader.f64(), 1.25);
    assert.equal(reader.position, 12);
    assert.equal(reader.remaining, 2);
    assert.throws(
      () => reader.u32(),
      (error) => isHoldfastError(error, "HF_STATE_DAMAGED"),
    );
    assert.equal(reader.u16(), 12 | (13 << 8));
    reader.finish();
  });
});

describe("text", () => {
  test("each form is read back, and is as short as it can be", () => {
    const narrow = ["", "a", "user-1234", "é".repeat(30), "\0", "x".repeat(900)];
    const wide = ["中", "\ud800", "\udc00\ud800", "中".repeat(900)];
    for (const text of [...narrow, ...wide]) {
      const writer = new ByteWriter();
      writeText(writer, text);
      assert.equal(writer.length, 3 + text.length * (wide.includes(text) ? 2 : 1));
      assert.equal(readText(new ByteReader(writer.view())), text);
    }
  });

  test("the two forms cannot be taken for each other", () => {
    const writer = new ByteWriter();
    writeText(writer, "a\0");
    const narrow = writer.take();
    writeText(writer, "\u6100");
    assert.notDeepEqual(writer.take(), narrow);
  });

  test("text too long for its length field breaks an invariant instead of being cut", () => {
    assert.throws(
      () => writeText(new ByteWriter(), "x".repeat(65_536)),
      (error) => isHoldfastError(error, "HF_INVARIANT"),
    );
  });

  test("an unknown form is reported as damage", () => {
    assert.throws(
      () => readText(new ByteReader(hex("020100 61"))),
      (error) => isHoldfastError(error, "HF_STATE_DAMAGED"),
    );
    assert.throws(
      () => readText(new ByteReader(hex("010100 61"))),
      (error) => isHoldfastError(error, "HF_STATE_DAMAGED"),
    );
  });
});

describe("flat records", () => {
  /** As messages are written and read: the short way for flat records, the long way for all others. */
  function writeAndRead(value: unknown): unknown {
    const writer = new ByteWriter();
    codec.write(value, writer);
    const bytes = writer.take();
    assert.deepEqual(bytes, codec.encode(value).slice());
    return codec.read(bytes, 0, bytes.length);
  }

  function assertSame(value: object): void {
    for (let i = 0; i < 2; i++) {
      const back = writeAndRead(value) as object;
      assert.deepStrictEqual(back, value);
      assert.deepEqual(Object.keys(back), Object.keys(value));
    }
  }

  const noValues = new Shapes(() => 0, { at: 0, end: 0, read: () => 0, text: () => "" });

  test("records that share their first keys come back, whichever was seen before", () => {
    const records = [
      { type: "deposit", amount: 1 },
      { type: "deposit", account: "x" },
      { type: "deposit", account: "x", amount: 2 },
      { type: "deposit" },
      { account: "x", type: "deposit" },
      { tyqe: "deposit", amount: 3 },
      { type: { nested: 1 }, amount: 1 },
    ];
    for (const first of records) {
      for (const second of records) {
        assertSame(first);
        assertSame(second);
        writeAndRead(first);
      }
    }
  });

  test("keys are quoted in the code that is made of them", () => {
    const keys = ['"', "'", "`", "\\", "\n", "\0", "\x7f", "]", "${", "*/", "//", "a b", "1e3", "-1", "constructor"];
    assertSame(Object.fromEntries(keys.slice(0, 14).map((key, i) => [key, i])));
    for (const key of [...keys, "toString", "__defineGetter__", "at", "bytes", "write"]) assertSame({ [key]: 1, b: 2 });
  });

  test("keys that are indices come back in their order", () => {
    assertSame({ b: 1, 7: "x", a: 2, 0: "y" });
    assertSame({ 7: "x", b: 1 });
  });

  test("an own __proto__ key beside others comes back as a key, and pollutes nothing", () => {
    for (const json of ['{"a":1,"__proto__":2}', '{"__proto__":{"polluted":1}}', '{"__proto__":null,"a":1}']) {
      const back = writeAndRead(JSON.parse(json)) as object;
      assert.equal(JSON.stringify(back), json);
      assert.equal(Object.getPrototypeOf(back), Object.prototype);
      assert.equal(noValues.withKeys(Object.keys(JSON.parse(json))), undefined);
    }
    assert.equal(({} as { polluted?: number }).polluted, undefined);
  });

  test("values on both sides of what is flat come back in records of one shape", () => {
    const values = ["", "x".repeat(31), "x".repeat(32), "x".repeat(255), "x".repeat(256), "\x7f", "\x80", "\ud800"];
    const others = [null, true, false, undefined, 0, -0, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, 5n, [1]];
    const integers = [7, 8, 15, 16, 31].flatMap((bits) => [2 ** bits - 1, 2 ** bits, -(2 ** bits), -(2 ** bits) - 1]);
    for (const value of [...values, ...others, ...integers, -32, -33]) assertSame({ value, after: 1 });
  });

  test("records of one to sixteen keys, and with keys of up to 32 characters, come back", () => {
    for (let count = 0; count <= 16; count++) {
      assertSame(Object.fromEntries(Array.from({ length: count }, (_, i) => [`key${i}`, "x".repeat(255)])));
    }
    for (const length of [0, 1, 31, 32]) assertSame({ ["k".repeat(length)]: 1 });
    assertSame({ é: 1 });
  });

  test("a flat record that is cut, also where the memory ends, or followed by a byte is reported as damage", () => {
    const record = { n: 70_000, text: "x".repeat(40), last: "y" };
    const bytes = codec.encode(record).slice();
    codec.read(bytes, 0, bytes.length);
    for (let length = 0; length < bytes.length; length++) {
      for (const memory of [bytes, bytes.slice(0, length)]) {
        assert.throws(
          () => codec.read(memory, 0, length),
          (error) => isHoldfastError(error, "HF_STATE_DAMAGED"),
        );
      }
    }
    const last = bytes.slice(0, -1);
    last[last.length - 1] = 0xd9;
    for (const memory of [last, Buffer.concat([bytes, Buffer.of(5)])]) {
      assert.throws(
        () => codec.read(memory, 0, memory.length),
        (error) => isHoldfastError(error, "HF_STATE_DAMAGED"),
      );
    }
  });

  test("a shape is for one to fifteen short ASCII keys", () => {
    const keys = Array.from({ length: 16 }, (_, i) => `k${i}`);
    for (const none of [[], keys, [""], ["k".repeat(32)], ["é"], ["a", "__proto__"]]) {
      assert.equal(noValues.withKeys(none), undefined);
      assert.equal(noValues.alone(none), undefined);
    }
    assert.deepEqual(noValues.withKeys(keys.slice(1))?.keys, keys.slice(1));
    assert.deepEqual(noValues.alone(["k".repeat(31)])?.keys, ["k".repeat(31)]);
  });

  test("shapes are numbered as they are learned, each list of keys once, and there is an end", () => {
    const shapes = new Shapes(() => 0, { at: 0, end: 0, read: () => 0, text: () => "" });
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < shapesMax + 100; i++) {
        const shape = shapes.withKeys(["type", `k${i}`]);
        assert.equal(shape?.number, i < shapesMax ? i + 1 : undefined);
        assert.equal(shapes.of({ type: 0, [`k${i}`]: 0 }), shape);
      }
    }
    assert.equal(shapes.withKeys(["type"]), undefined);
    assert.equal(shapes.of({ type: 0 }), undefined);
    assert.equal(shapes.of({ k0: 0, type: 0 }), undefined);
    assert.equal(shapes.alone(["other"])?.number, 0);
  });

  // Last: it uses up the shapes of this thread.
  test("records of more key lists than are learned come back", () => {
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 2 * shapesMax; i++) assertSame({ type: "x", [`k${i}`]: i });
    }
    assertSame({ type: "x", k0: 1 });
    assertSame({ never: 1, seen: "before" });
  });
});
