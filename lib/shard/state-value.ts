/**
 * The value of a state row: kind u8 (0: no expiry; others are room for later kinds), then the payload.
 */
import type { ByteWriter } from "../base/bytes.js";
import { HoldfastError } from "../base/errors.js";
import type { PayloadCodec } from "../codec/payload-codec.js";

const plainKind = 0;

export function writeStateValue(writer: ByteWriter, codec: PayloadCodec, value: unknown): void {
  writer.u8(plainKind);
  codec.write(value, writer);
}

/** @throws `HF_FORMAT` for a kind that a later version wrote. */
export function decodeStateValue(codec: PayloadCodec, bytes: Uint8Array): unknown {
  if (bytes[0] !== plainKind) {
    throw new HoldfastError(
      "HF_FORMAT",
      `a state row of kind ${bytes[0]} was written by a newer version of holdfast: upgrade`,
    );
  }
  return codec.decode(bytes.subarray(1));
}
