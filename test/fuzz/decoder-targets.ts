/** Payloads, messages in stored form and frames of rings: bytes that are damaged, random, or made to hurt. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameReader } from "../../lib/codec/frame-codec.js";
import { MessageReader } from "../../lib/codec/message-codec.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { encodedBytes } from "../../lib/codec/payload-size.js";
import { copyPlain } from "../../lib/codec/plain-data.js";
import { isSame, plainData } from "../property/plain-data.arbitrary.js";
import { type Target, valueOrTyped } from "./fuzzer.js";

const codec = new PayloadCodec();

/** A head of MessagePack with a size that may be anything, as it is or a lie. */
const head = fc
  .tuple(fc.integer({ min: 0x80, max: 0xff }), fc.oneof(fc.nat({ max: 5 }), fc.integer({ min: 0, max: 0xffff_ffff })))
  .map(([byte, size]) => {
    const bytes = Buffer.alloc(5);
    bytes[0] = byte;
    bytes.writeUInt32BE(size, 1);
    return [...bytes];
  });
const heads = fc.array(fc.oneof(head, fc.array(fc.nat({ max: 0xff }), { maxLength: 4 })), { maxLength: 40 });
const madeUp = heads.map((parts) => Uint8Array.from(parts.flat()));
/** Many containers in each other or beside each other. */
const repeated = fc
  .tuple(fc.constantFrom(0x80, 0x81, 0x90, 0x91, 0x92, 0xc0, 0xdc, 0xde), fc.nat({ max: 500 }), madeUp)
  .map(([byte, count, rest]) => Uint8Array.from([...new Array(count).fill(byte), ...rest]));
const damaged = fc
  .tuple(plainData, fc.array(fc.tuple(fc.nat(), fc.nat({ max: 0xff })), { maxLength: 4 }), fc.nat({ max: 3 }))
  .map(([value, changes, cut]) => {
    const bytes = codec.encode(value).slice();
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
    return bytes.slice(0, Math.max(0, bytes.length - cut));
  });
const anyBytes = fc.oneof(damaged, madeUp, repeated, fc.uint8Array({ maxLength: 200 }));

/** What was decoded is plain data, and goes on as any plain data does. */
function assertPlain(value: unknown): void {
  const copy = copyPlain(value, "decoded");
  assert.ok(isSame(codec.decode(codec.encode(copy).slice()), value), "a decoded value is encoded as another one");
}

export const decoderTargets: readonly Target[] = [
  {
    name: "decoder/payload",
    property: fc.property(anyBytes, (bytes) => {
      const value = valueOrTyped(() => codec.decode(bytes));
      assertPlain(value);
      assert.ok(
        isSame(
          valueOrTyped(() => codec.read(bytes, 0, bytes.length)),
          value,
        ),
        "the short way reads another value",
      );
    }),
  },
  {
    name: "decoder/size",
    property: fc.property(plainData, (value) => {
      assert.equal(encodedBytes(value), codec.encode(value).length, "the size that is checked is another one");
    }),
  },
  {
    name: "decoder/message",
    property: fc.property(anyBytes, fc.nat({ max: 0xff }), fc.nat({ max: 9 }), (tail, flags, offset) => {
      const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.of(flags), tail]);
      const reader = new MessageReader(codec);
      valueOrTyped(() => {
        reader.read(bytes, offset, bytes.length - offset);
        assertPlain(reader.payload());
      });
    }),
  },
  {
    name: "decoder/frames",
    property: fc.property(fc.array(fc.tuple(fc.nat({ max: 15 }), anyBytes), { maxLength: 6 }), (frames) => {
      const reader = new FrameReader(new PayloadCodec());
      for (const [flags, tail] of frames) {
        const bytes = Buffer.concat([Buffer.of(0x80 | flags), Buffer.alloc(16), tail]);
        valueOrTyped(() => {
          reader.read(bytes, 0, bytes.length);
          assertPlain(reader.payload());
        });
      }
    }),
  },
];
