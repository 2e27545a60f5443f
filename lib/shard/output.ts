/**
 * What leaves with a commit: egress records and replies, encoded when a turn ends, in order.
 *
 *     kind u8 (record · reply · failure), then
 *       record:          egress code u32 · sequence u32 · length u32 · payload
 *       reply, failure:  session u32 · number f64 · length u32 · payload
 *
 * Owner and thread: a shard writes, main reads what was committed.
 */
import { ByteReader, ByteWriter } from "../base/bytes.js";
import { unreachable } from "../base/invariant.js";
import type { Ask } from "../codec/message-codec.js";

const recordKind = 1;
const replyKind = 2;
const failureKind = 3;

/** The output of one shard in one epoch. */
export class OutputWriter {
  readonly #writer = new ByteWriter();
  /** Sequence of the next record; with epoch and shard it is the record's stable id. */
  #sequence = 0;

  get empty(): boolean {
    return this.#writer.length === 0;
  }

  record(egressCode: number, payload: Uint8Array): void {
    this.#writer.u8(recordKind);
    this.#writer.u32(egressCode);
    this.#writer.u32(this.#sequence++);
    this.#payload(payload);
  }

  reply({ session, number }: Ask, failed: boolean, payload: Uint8Array): void {
    this.#writer.u8(failed ? failureKind : replyKind);
    this.#writer.u32(session);
    this.#writer.f64(number);
    this.#payload(payload);
  }

  /** The bytes, on an ArrayBuffer of their own. */
  take(): Uint8Array {
    return this.#writer.take();
  }

  #payload(payload: Uint8Array): void {
    this.#writer.u32(payload.length);
    this.#writer.bytes(payload, 0, payload.length);
  }
}

/** One entry of an epoch's output; payloads are views. */
export type OutputEntry =
  | { readonly kind: "record"; readonly egressCode: number; readonly sequence: number; readonly payload: Uint8Array }
  | {
      readonly kind: "reply" | "failure";
      readonly session: number;
      readonly number: number;
      readonly payload: Uint8Array;
    };

/** Reads what an `OutputWriter` wrote. */
export function* readOutput(bytes: Uint8Array): Generator<OutputEntry> {
  const reader = new ByteReader(bytes);
  while (reader.remaining > 0) {
    const kind = reader.u8();
    switch (kind) {
      case recordKind: {
        const egressCode = reader.u32();
        const sequence = reader.u32();
        yield { kind: "record", egressCode, sequence, payload: reader.view(reader.u32()) };
        break;
      }
      case replyKind:
      case failureKind: {
        const session = reader.u32();
        const number = reader.f64();
        yield { kind: kind === replyKind ? "reply" : "failure", session, number, payload: reader.view(reader.u32()) };
        break;
      }
      default:
        unreachable(kind as never);
    }
  }
}
