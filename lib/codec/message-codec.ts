/**
 * The bytes of a message, the same in a ring and in a row of in-flight messages:
 *
 *     flags u8 · target type code u32 · message id 2 × u32
 *     [gateway sequence f64] [ask session u32, ask number f64] [caller type code u32, caller id text]
 *     [caller type text] [target type text] target id text · [extras: length u32, extras.ts] payload to the end
 *
 * Types made by a namespace have their name in full wherever they occur: their codes mean nothing to other shards.
 * Sender, sequence and generation are not among them: a ring's frames are counted, a row's key says them.
 */
import type { ByteWriter } from "../base/bytes.js";
import { invariant } from "../base/invariant.js";
import { idLengthMax, typeNameBytesMax } from "../base/limits.js";
import { decodeExtras, type Extras, encodeExtras } from "./extras.js";
import { damaged, FieldReader, putF64, putText, putU32 } from "./fields.js";
import type { PayloadCodec } from "./payload-codec.js";

const hasCaller = 1;
const hasAsk = 2;
const fromGateway = 4;
const hasExtras = 8;
const hasTargetType = 16;
const hasCallerType = 32;
const knownFlags = hasCaller | hasAsk | fromGateway | hasExtras | hasTargetType | hasCallerType;
const headBytesMax = 1 + 4 + 8 + 8 + 12 + 4 + 2 * (3 + 2 * idLengthMax) + 2 * (3 + 2 * typeNameBytesMax);

/** An end of a message: the frozen code of the function type, which this application may not know, and the id. */
export interface Peer {
  readonly code: number;
  readonly id: string;
  /** The name of a function type that a namespace made; undefined for others, which their code says. */
  readonly dynamicType?: string | undefined;
}

/** The `app.ask` that waits for a reply. */
export interface Ask {
  readonly session: number;
  readonly number: number;
}

/** Writes everything before the payload. `gatewaySequence` is 0 for messages that do not come from there. */
export function writeMessageHead(
  writer: ByteWriter,
  targetCode: number,
  targetId: string,
  idHi: number,
  idLo: number,
  caller: Peer | undefined,
  ask: Ask | undefined,
  gatewaySequence: number,
  targetType: string | undefined = undefined,
  extras: Extras | undefined = undefined,
): void {
  invariant(targetId.length <= idLengthMax, "ids are within their limit");
  invariant(caller === undefined || caller.id.length <= idLengthMax, "ids are within their limit");
  const callerType = caller?.dynamicType;
  const flags =
    (extras === undefined ? 0 : hasExtras) |
    (targetType === undefined ? 0 : hasTargetType) |
    (callerType === undefined ? 0 : hasCallerType) |
    (caller === undefined ? 0 : hasCaller) |
    (ask === undefined ? 0 : hasAsk) |
    (gatewaySequence === 0 ? 0 : fromGateway);
  let at = writer.reserve(headBytesMax);
  const bytes = writer.memory;
  bytes[at++] = flags;
  at = putU32(bytes, at, targetCode);
  at = putU32(bytes, at, idHi);
  at = putU32(bytes, at, idLo);
  if (gatewaySequence !== 0) at = putF64(bytes, at, gatewaySequence);
  if (ask !== undefined) at = putF64(bytes, putU32(bytes, at, ask.session), ask.number);
  if (caller !== undefined) at = putText(bytes, putU32(bytes, at, caller.code), caller.id);
  if (callerType !== undefined) at = putText(bytes, at, callerType);
  if (targetType !== undefined) at = putText(bytes, at, targetType);
  writer.truncate(putText(bytes, at, targetId));
  if (extras !== undefined) {
    const encoded = encodeExtras(extras);
    writer.u32(encoded.length);
    writer.bytes(encoded);
  }
}

/** Reads messages. One per user, as it is its own result: the fields hold until the next `read`. */
export class MessageReader {
  targetCode = 0;
  targetId = "";
  idHi = 0;
  idLo = 0;
  caller: Peer | undefined = undefined;
  ask: Ask | undefined = undefined;
  /** 0 for messages that do not come from the gateway. */
  gatewaySequence = 0;
  /** The name of the target's function type, when a namespace made it. */
  targetType: string | undefined = undefined;
  extras: Extras | undefined = undefined;
  readonly #codec: PayloadCodec;
  readonly #fields = new FieldReader();

  constructor(codec: PayloadCodec) {
    this.#codec = codec;
  }

  /** Reads everything before the payload. @throws `HF_STATE_DAMAGED` when the bytes are no message. */
  read(bytes: Uint8Array, offset: number, length: number): void {
    const fields = this.#fields;
    fields.reset(bytes, offset, length);
    const flags = fields.u8();
    this.targetCode = fields.u32();
    this.idHi = fields.i32();
    this.idLo = fields.i32();
    this.gatewaySequence = (flags & fromGateway) === 0 ? 0 : fields.f64();
    this.ask = (flags & hasAsk) === 0 ? undefined : { session: fields.u32(), number: fields.f64() };
    this.caller = (flags & hasCaller) === 0 ? undefined : { code: fields.u32(), id: fields.text() };
    if ((flags & hasCallerType) !== 0) this.caller = { ...(this.caller as Peer), dynamicType: fields.text() };
    this.targetType = (flags & hasTargetType) === 0 ? undefined : fields.text();
    this.targetId = fields.text();
    this.extras = (flags & hasExtras) === 0 ? undefined : this.#extras();
    if ((flags & ~knownFlags) !== 0) throw damaged(offset);
    fields.check();
  }

  #extras(): Extras {
    const fields = this.#fields;
    const length = fields.u32();
    const { at } = fields;
    fields.at += length;
    fields.check();
    return decodeExtras(fields.bytes, at, fields.at);
  }

  /** Decodes the payload of the message read last. The result never aliases the bytes. */
  payload(): unknown {
    return this.#codec.read(this.#fields.bytes, this.#fields.at, this.#fields.end);
  }
}
