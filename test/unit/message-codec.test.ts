/** Heads of messages in stored form: what few messages carry. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { ByteWriter } from "../../lib/base/bytes.js";
import { HoldfastError } from "../../lib/base/errors.js";
import type { Extras } from "../../lib/codec/extras.js";
import { MessageReader, writeMessageHead } from "../../lib/codec/message-codec.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";

const codec = new PayloadCodec();
const question = { type: "a/b", id: "\u0416", generation: 3, number: 2 ** 40, chain: ["a/b@x", "c/d@"] };

function written(targetType: string | undefined, callerType: string | undefined, extras: Extras | undefined) {
  const writer = new ByteWriter(16);
  const caller = { code: 7, id: "c", dynamicType: callerType };
  writeMessageHead(writer, 5, "target", 1, -2, caller, { session: 1, number: 9 }, 4, targetType, extras);
  codec.write({ payload: [1, "x"] }, writer);
  return writer.take();
}

describe("message heads", () => {
  const everyExtras: (Extras | undefined)[] = [
    undefined,
    { key: "k", retentionMs: 0.5 },
    { key: "k", forget: true },
    { key: "k", question },
    { answer: { generation: 1, number: 2, failed: true } },
  ];

  test("names of types and extras come back, with everything beside them", () => {
    for (const extras of everyExtras) {
      for (const targetType of [undefined, "dyn/a", "dyn/\u0416"]) {
        for (const callerType of [undefined, `dyn/${"x".repeat(252)}`]) {
          const bytes = written(targetType, callerType, extras);
          const reader = new MessageReader(codec);
          reader.read(bytes, 0, bytes.length);
          assert.deepEqual(
            [reader.targetType, reader.caller?.dynamicType, reader.extras],
            [targetType, callerType, extras],
          );
          assert.deepEqual([reader.targetCode, reader.targetId, reader.idHi, reader.idLo], [5, "target", 1, -2]);
          assert.deepEqual([reader.gatewaySequence, reader.ask], [4, { session: 1, number: 9 }]);
          assert.deepEqual(reader.payload(), { payload: [1, "x"] });
        }
      }
    }
  });

  test("a head that is cut off is damage", () => {
    const bytes = written("dyn/a", "dyn/b", { key: "k", question });
    const whole = bytes.length - codec.encode({ payload: [1, "x"] }).length;
    for (let length = 0; length < whole; length++) {
      const reader = new MessageReader(codec);
      assert.throws(() => reader.read(bytes.slice(0, length), 0, length), HoldfastError, `${length} bytes`);
    }
  });
});
