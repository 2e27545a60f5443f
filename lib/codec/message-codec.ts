/**
 * The bytes of a message, the same in a ring and in a row of in-flight messages:
 *
 *     flags u8 · target type code u32 · message id 2 × u32
 *     [gateway sequence f64] [ask session u32, ask number f64] [caller type code u32, caller id text]
 *     target id text · payload to the end
 *
 * Sender, sequence and generation are not among them: a ring's frames are counted, a row's key says them.
 */
import type { ByteWriter } from "../base/bytes.js";
import { ByteReader } from "../base/bytes.js";
import { invariant } from "../base/invariant.js";
import type { PayloadCodec } from "./payload-codec.js";
import { readText, writeText } from "./text.js";

const hasCaller = 1;
const hasAsk = 2;
const fromGateway = 4;
const knownFlags = hasCaller | hasAsk | fromGateway;

/** The parts of a message that are encoded. */
export interface MessageParts {
  readonly targetCode: number;
  readonly targetId: string;
  readonly idHi: number;
  readonly idLo: number;
  /** 0 when there is no caller. */
  readonly callerCode: number;
  readonly callerId: string;
  /** 0 when nobody asks. */
  readonly askSession: number;
  readonly askNumber: number;
  /** 0 for messages that do not come from the gateway. */
  readonly gatewaySequence: number;
}

/** Writes everything before the payload. */
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
  const flags = (callerCode === 0 ? 0 : hasCaller) | (askSession === 0 ? 0 : hasAsk) | (gatewaySequence === 0 ? 0 : fromGateway);
  writer.u8(flags);
  writer.u32(targetCode);
  writer.u32(idHi);
  writer.u32(idLo);
  if (gatewaySequence !== 0) writer.f64(gatewaySequence);
  if (askSession !== 0) {
    writer.u32(askSession);
    writer.f64(askNumber);
  }
  if (callerCode !== 0) {
    writer.u32(callerCode);
    writeText(writer, callerId);
  }
  writeText(writer, targetId);
}

/** Reads messages. One per user, as it is its own result: the fields hold until the next `read`. */
export class MessageReader implements MessageParts {
  targetCode = 0;
  targetId = "";
  idHi = 0;
  idLo = 0;
  callerCode = 0;
  callerId = "";
  askSession = 0;
  askNumber = 0;
  gatewaySequence = 0;
  readonly #reader = new ByteReader(new Uint8Array(0));
  readonly #codec: PayloadCodec;

  constructor(codec: PayloadCodec) {
    this.#codec = codec;
  }

  /** Reads everything before the payload. */
  read(bytes: Uint8Array, offset: number, length: number): void {
    const reader = this.#reader;
    reader.reset(bytes, offset, length);
    const flags = reader.u8();
    invariant((flags & ~knownFlags) === 0, "message flags are known");
    this.targetCode = reader.u32();
    this.idHi = reader.u32();
    this.idLo = reader.u32();
    this.gatewaySequence = (flags & fromGateway) === 0 ? 0 : reader.f64();
    this.askSession = (flags & hasAsk) === 0 ? 0 : reader.u32();
    this.askNumber = (flags & hasAsk) === 0 ? 0 : reader.f64();
    this.callerCode = (flags & hasCaller) === 0 ? 0 : reader.u32();
    this.callerId = (flags & hasCaller) === 0 ? "" : readText(reader);
    this.targetId = readText(reader);
  }

  /** Decodes the payload of the message read last. The result never aliases the bytes. */
  payload(): unknown {
    return this.#codec.decode(this.#reader.view(this.#reader.remaining));
  }
}
