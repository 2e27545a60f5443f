/** A message of three fields to bytes and back, beside JSON and the MessagePack library alone. */
import { decode, encode } from "@msgpack/msgpack";
import { ByteWriter } from "../../lib/base/bytes.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import type { Comparison } from "./comparison.js";

const operations = 1_000;
const messages = Array.from({ length: operations }, (_, n) => ({ userId: `user-${n}`, amount: 1, hops: n }));
type Message = (typeof messages)[number];
const hops = (operations * (operations - 1)) / 2;

export function encoding(): Comparison {
  const codec = new PayloadCodec();
  const writer = new ByteWriter(256);
  return {
    name: "encode a message of three fields",
    operations,
    expected: hops,
    engine: {
      name: "payload codec",
      run: () =>
        sumOf((message) => {
          writer.reset();
          codec.write(message, writer);
          return writer.length;
        }),
    },
    baselines: [
      { name: "JSON.stringify", run: () => sumOf((message) => JSON.stringify(message).length) },
      { name: "@msgpack/msgpack", run: () => sumOf((message) => encode(message).length) },
    ],
  };
}

/** Encodes all messages; the sum of what they say. */
function sumOf(bytesOf: (message: Message) => number): number {
  let sum = 0;
  for (const message of messages) if (bytesOf(message) > 0) sum += message.hops;
  return sum;
}

export function decoding(): Comparison {
  const codec = new PayloadCodec();
  const bytes = messages.map((message) => encode(message));
  const text = messages.map((message) => JSON.stringify(message));
  const sum = (from: (n: number) => unknown): number => {
    let total = 0;
    for (let n = 0; n < operations; n++) total += (from(n) as Message).hops;
    return total;
  };
  return {
    name: "decode a message of three fields",
    operations,
    expected: hops,
    engine: { name: "payload codec", run: () => sum((n) => codec.read(bytes[n], 0, bytes[n].length)) },
    baselines: [
      { name: "JSON.parse", run: () => sum((n) => JSON.parse(text[n])) },
      { name: "@msgpack/msgpack", run: () => sum((n) => decode(bytes[n])) },
    ],
  };
}
