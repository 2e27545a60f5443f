/**
 * The bytes of a message, the same in a ring and in a row of in-flight messages:
 *
 *     flags u8 · target type code u32 · message id 2 × u32
 *     [gateway sequence f64] [ask session u32, ask number f64] [caller type code u32, caller id text]
 *     target id text · payload to the end
 *
 * Sender, sequence and generation are not among them: a ring's frames are counted, a row's key says them. A text is
 * what `writeText` writes. Both directions work on the bytes with a position in a local variable: this is done for
 * every message that leaves its shard, and calls per field cost more than the fields.
 */
import type { ByteWriter } from "../base/bytes.js";
import { HoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { idLengthMax } from "../base/limits.js";
import { readAscii } from "./ascii-strings.js";
import type { PayloadCodec } from "./payload-codec.js";

const hasCaller = 1;
const hasAsk = 2;
const fromGateway = 4;
const knownFlags = hasCaller | hasAsk | fromGateway;
const narrow = 0;
const wide = 1;
const headBytesMax = 1 + 4 + 8 + 8 + 12 + 4 + 2 * (3 + 2 * idLengthMax);

const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);

/** Writes everything before the payload. Codes and sessions are 0, ids "", where the message has none. */
export function writeMessageHead(
  writer: ByteWriter,
  targetCode: number,
  targetId: string,
  idHi: number,
  idLo: number,
  callerCode: number,
  callerId: string,
  askSession: number,
  askNumber: number,
  gatewaySequence: number,
): void {
  invariant(targetId.length <= idLengthMax && callerId.length <= idLengthMax, "ids are within their limit");
  const flags =
    (callerCode === 0 ? 0 : hasCaller) | (askSession === 0 ? 0 : hasAsk) | (gatewaySequence === 0 ? 0 : fromGateway);
  let at = writer.reserve(headBytesMax);
  const bytes = writer.memory;
  bytes[at++] = flags;
  at = putU32(bytes, at, targetCode);
  at = putU32(bytes, at, idHi);
  at = putU32(bytes, at, idLo);
  if (gatewaySequence !== 0) at = putF64(bytes, at, gatewaySequence);
  if (askSession !== 0) at = putF64(bytes, putU32(bytes, at, askSession), askNumber);
  if (callerCode !== 0) at = putText(bytes, putU32(bytes, at, callerCode), callerId);
  writer.truncate(putText(bytes, at, targetId));
}

/** Reads messages. One per user, as it is its own result: the fields hold until the next `read`. */
export class MessageReader {
  targetCode = 0;
  targetId = "";
  idHi = 0;
  idLo = 0;
  /** 0 when there is no caller. */
  callerCode = 0;
  callerId = "";
  /** 0 when nobody asks. */
  askSession = 0;
  askNumber = 0;
  /** 0 for messages that do not come from the gateway. */
  gatewaySequence = 0;
  readonly #codec: PayloadCodec;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  constructor(codec: PayloadCodec) {
    this.#codec = codec;
  }

  /** Reads everything before the payload. @throws `HF_STATE_DAMAGED` when the bytes are no message. */
  read(bytes: Uint8Array, offset: number, length: number): void {
    this.#bytes = bytes;
    this.#at = offset;
    this.#end = offset + length;
    const flags = bytes[this.#at++];
    this.targetCode = this.#u32();
    this.idHi = this.#u32() | 0;
    this.idLo = this.#u32() | 0;
    this.gatewaySequence = (flags & fromGateway) === 0 ? 0 : this.#f64();
    this.askSession = (flags & hasAsk) === 0 ? 0 : this.#u32();
    this.askNumber = (flags & hasAsk) === 0 ? 0 : this.#f64();
    this.callerCode = (flags & hasCaller) === 0 ? 0 : this.#u32();
    this.callerId = (flags & hasCaller) === 0 ? "" : this.#text();
    this.targetId = this.#text();
    if ((flags & ~knownFlags) !== 0 || this.#end > bytes.length || this.#at > this.#end) throw damaged(offset);
  }

  /** Decodes the payload of the message read last. The result never aliases the bytes. */
  payload(): unknown {
    return this.#codec.read(this.#bytes, this.#at, this.#end);
  }

  #u32(): number {
    const bytes = this.#bytes;
    const at = this.#at;
    this.#at = at + 4;
    return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
  }

  #f64(): number {
    for (let i = 0; i < 8; i++) floatBytes[i] = this.#bytes[this.#at + i];
    this.#at += 8;
    return float[0];
  }

  #text(): string {
    const bytes = this.#bytes;
    const flag = bytes[this.#at];
    const length = bytes[this.#at + 1] | (bytes[this.#at + 2] << 8);
    const at = this.#at + 3;
    this.#at = at + length;
    if (this.#at > this.#end || flag > wide) throw damaged(at);
    const ascii = flag === narrow ? readAscii(bytes, at, length) : undefined;
    if (ascii !== undefined) return ascii;
    return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString(flag === narrow ? "latin1" : "utf16le");
  }
}

function putU32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
  return at + 4;
}

function putF64(bytes: Uint8Array, at: number, value: number): number {
  float[0] = value;
  for (let i = 0; i < 8; i++) bytes[at + i] = floatBytes[i];
  return at + 8;
}

function putText(bytes: Uint8Array, at: number, text: string): number {
  const { length } = text;
  const start = at + 3;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0xff) return putWideText(bytes, at, text);
    bytes[start + i] = unit;
  }
  bytes[at] = narrow;
  bytes[at + 1] = length;
  bytes[at + 2] = length >>> 8;
  return start + length;
}

function putWideText(bytes: Uint8Array, at: number, text: string): number {
  const length = text.length * 2;
  bytes[at] = wide;
  bytes[at + 1] = length;
  bytes[at + 2] = length >>> 8;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes[at + 3 + 2 * i] = unit;
    bytes[at + 4 + 2 * i] = unit >>> 8;
  }
  return at + 3 + length;
}

function damaged(at: number): HoldfastError {
  return new HoldfastError(
    "HF_STATE_DAMAGED",
    `damaged message at offset ${at}: restore the data directory from a copy`,
  );
}
