import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { ByteReader, ByteWriter } from "../../lib/base/bytes.js";
import { HoldfastError, isHoldfastError } from "../../lib/base/errors.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { copyPlain, freezePlain } from "../../lib/codec/plain-data.js";
import { readText, writeText } from "../../lib/codec/text.js";
import { anyText, isSame, plainData, refusedData } from "./plain-data.arbitrary.js";

const codec = new PayloadCodec();

/** Every object reachable from a value, the buffers of typed arrays too. */
function partsOf(value: unknown, parts = new Set<object>()): Set<object> {
  if (typeof value !== "object" || value === null || parts.has(value)) return parts;
  parts.add(value);
  if (ArrayBuffer.isView(value)) parts.add(value.buffer);
  else if (value instanceof Map) for (const [key, part] of value) partsOf(part, partsOf(key, parts));
  else if (value instanceof Set) for (const part of value) partsOf(part, parts);
  else for (const key of Object.keys(value)) partsOf(Object.getOwnPropertyDescriptor(value, key)?.value, parts);
  return parts;
}

function isFrozenOrCopiedOut(value: unknown): boolean {
  for (const part of partsOf(value)) {
    if (part instanceof Date || part instanceof Map || part instanceof Set) return false;
    if (ArrayBuffer.isView(part) || part instanceof ArrayBuffer) return false;
    if (!Object.isFrozen(part)) return false;
  }
  return true;
}

describe("plain data", () => {
  test("a copy equals its source and shares no object with it", () => {
    fc.assert(
      fc.property(plainData, (value) => {
        const copy = copyPlain(value, "message");
        assert.ok(isSame(copy, value));
        const sources = partsOf(value);
        for (const part of partsOf(copy)) assert.ok(!sources.has(part));
      }),
      { numRuns: 500 },
    );
  });

  test("a frozen value equals its source, shares nothing, and is frozen throughout unless it says that it is not", () => {
    fc.assert(
      fc.property(plainData, (value) => {
        const frozen = freezePlain(value, "state");
        assert.ok(isSame(frozen.value, value));
        assert.equal(frozen.mutable, !isFrozenOrCopiedOut(frozen.value));
        const sources = partsOf(value);
        for (const part of partsOf(frozen.value)) assert.ok(!sources.has(part));
        assert.ok(isSame(copyPlain(frozen.value, "state"), value));
      }),
      { numRuns: 500 },
    );
  });

  test("a refusal names the path of what is refused, wherever it is", () => {
    fc.assert(
      fc.property(refusedData, fc.boolean(), ({ value, path }, freeze) => {
        const run = (): unknown => (freeze ? freezePlain(value, "message") : copyPlain(value, "message"));
        assert.throws(run, (error) => {
          assert.ok(isHoldfastError(error, "HF_BAD_VALUE"));
          assert.ok(error.message.startsWith(`HF_BAD_VALUE: message${path} is `), error.message);
          return true;
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe("payload codec", () => {
  test("every plain-data value comes back as it was", () => {
    fc.assert(
      fc.property(plainData, (value) => {
        assert.ok(isSame(codec.decode(codec.encode(value).slice()), value));
      }),
      { numRuns: 1500 },
    );
  });

  test("a decoded value keeps nothing of its input, shared memory and offsets included", () => {
    fc.assert(
      fc.property(plainData, fc.nat({ max: 9 }), (value, offset) => {
        const bytes = codec.encode(value);
        const ring = new Uint8Array(new SharedArrayBuffer(bytes.length + 20));
        ring.set(bytes, offset);
        const decoded = codec.decode(ring.subarray(offset, offset + bytes.length));
        ring.fill(0xff);
        assert.ok(isSame(decoded, value));
        assert.ok(!partsOf(decoded).has(ring.buffer));
      }),
      { numRuns: 500 },
    );
  });

  test("equal values give equal bytes", () => {
    fc.assert(
      fc.property(plainData, (value) => {
        const first = codec.encode(value).slice();
        assert.deepEqual(new PayloadCodec().encode(copyPlain(value, "message")), first);
      }),
      { numRuns: 200 },
    );
  });

  test("random bytes give a value that is plain data, or a typed error", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), decodesSafely), { numRuns: 3000 });
  });

  test("damaged encodings give a value that is plain data, or a typed error", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(plainData, damage, fc.nat({ max: 3 }), (value, changes, cut) => {
        const bytes = codec.encode(value).slice();
        for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
        decodesSafely(bytes.subarray(0, Math.max(0, bytes.length - cut)));
      }),
      { numRuns: 2000 },
    );
  });

  function decodesSafely(bytes: Uint8Array): void {
    let value: unknown;
    try {
      value = codec.decode(bytes);
    } catch (error) {
      assert.ok(error instanceof HoldfastError && error.code === "HF_STATE_DAMAGED", String(error));
      return;
    }
    assert.ok(!partsOf(value).has(bytes.buffer));
    copyPlain(value, "decoded");
  }
});

describe("text", () => {
  test("any string comes back, and different strings differ in bytes", () => {
    fc.assert(
      fc.property(anyText, anyText, (a, b) => {
        const writer = new ByteWriter();
        writeText(writer, a);
        writeText(writer, b);
        const reader = new ByteReader(writer.take());
        assert.equal(readText(reader), a);
        assert.equal(readText(reader), b);
        reader.finish();
        writeText(writer, a);
        const bytesOfA = writer.take();
        writeText(writer, b);
        assert.equal(Buffer.compare(bytesOfA, writer.take()) === 0, a === b);
      }),
      { numRuns: 1000 },
    );
  });
});

describe("byte writer", () => {
  const entry = fc.oneof(
    fc.record({ kind: fc.constant("u8" as const), value: fc.nat({ max: 0xff }) }),
    fc.record({ kind: fc.constant("u16" as const), value: fc.nat({ max: 0xffff }) }),
    fc.record({ kind: fc.constant("u16be" as const), value: fc.nat({ max: 0xffff }) }),
    fc.record({ kind: fc.constant("u32" as const), value: fc.nat({ max: 0xffff_ffff }) }),
    fc.record({ kind: fc.constant("u64" as const), value: fc.maxSafeNat() }),
    fc.record({ kind: fc.constant("f64" as const), value: fc.double() }),
  );

  test("whatever is written is read back in the same order", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(entry, fc.uint8Array({ maxLength: 80 })), { maxLength: 60 }), (entries) => {
        const writer = new ByteWriter(16);
        for (const [{ kind, value }, bytes] of entries) {
          writer[kind](value);
          writer.bytes(bytes, 0, bytes.length);
        }
        const reader = new ByteReader(writer.take());
        for (const [{ kind, value }, bytes] of entries) {
          assert.ok(Object.is(reader[kind](), value));
          assert.deepEqual(reader.view(bytes.length), bytes);
        }
        reader.finish();
      }),
      { numRuns: 200 },
    );
  });
});
