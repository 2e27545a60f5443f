/**
 * The sending end of a channel: whole messages, in order, into a ring.
 * Owns: its producer. Thread: the sender's.
 *
 *     frame:  │ epoch u32 LE │ frame kind u8 │ 0 0 0 │ body … │      one frame is one ring record; the body is 8-aligned
 *
 * O1. A message enters the ring whole or not at all, as far as the receiver can tell: fragments without the last one are
 *     not a message, and nothing else enters between them.
 * O2. The epoch of a message is the sender's when its last fragment enters. Until then it is the sender's to keep.
 * O3. A refusal changes nothing that was entered before; the same message is offered again.
 */
import { invariant } from "../base/invariant.js";
import { KiB, payloadBytesMax } from "../base/limits.js";
import { FULL } from "../ring/ring-memory.js";
import type { RingProducer } from "../ring/ring-producer.js";

/** Bytes before a frame's body. */
export const frameHeaderBytes = 8;
/** Kinds of a frame; zero is none of them. */
export const frameWhole = 1;
export const frameFragment = 2;
export const frameLastFragment = 3;
/** Largest message of a channel: a payload and what the engine writes around it. */
export const messageBytesMax = payloadBytesMax + 64 * KiB;

/**
 * Bodies shorter than this are copied by hand. `set` costs a subarray and a call, some 70 to 120 ns whatever the length;
 * by hand it is about 1 ns a byte, four at a time (a plain byte loop takes more than twice that).
 */
const copyByHandBytesMax = 160;

/** The sending end. `publish` after offering, refused or not, and before parking: else the receiver cannot make room. */
export class Outbound {
  /** Whole messages entered so far; the ordinal of the last one. */
  sent = 0;

  readonly #producer: RingProducer;
  /** Longest message that enters as one frame, so that a refusal leaves nothing of it in the ring. */
  readonly frameBytesMax: number;
  /** Bytes of the message under way that are in the ring; 0 between messages. */
  #entered = 0;
  /** Length of the message under way. */
  #length = 0;

  constructor(producer: RingProducer) {
    this.#producer = producer;
    this.frameBytesMax = producer.recordBytesMax - frameHeaderBytes;
    invariant(this.frameBytesMax >= 8, "a frame carries at least eight bytes");
  }

  /**
   * Enters the first `length` bytes of `body` as one message, tagged with the sender's epoch. False when the ring has no
   * room for all of it: offer the same message again later, with the epoch of then, and no other before it.
   */
  offer(body: Uint8Array, length: number, epoch: number): boolean {
    if (length > this.frameBytesMax) return this.offerFragments(body, length, epoch);
    invariant(this.#entered === 0, "no other message is under way"); // O1
    if (!this.offerFrame(frameWhole, epoch, body, 0, length)) return false;
    this.sent++;
    return true;
  }

  /** `offer` of a message that one frame takes, given as words: the fastest way of short messages. */
  offerWords(body: Int32Array, length: number, epoch: number): boolean {
    invariant(this.#entered === 0, "no other message is under way"); // O1
    invariant(length <= this.frameBytesMax && length <= 4 * body.length, "a message lies within its words and a frame");
    const producer = this.#producer;
    const offset = producer.tryClaim(frameHeaderBytes + length);
    if (offset === FULL) return false;
    const { words } = producer;
    const at = offset >> 2;
    words[at] = epoch;
    words[at + 1] = frameWhole;
    const count = (length + 3) >> 2; // a record's payload is padded to eight bytes
    for (let i = 0; i < count; i++) words[at + 2 + i] = body[i]!;
    producer.commit();
    this.sent++;
    return true;
  }

  /** Shows what was offered to the receiver, once per batch. True when there was something new: ring its doorbell. */
  publish(): boolean {
    return this.#producer.publish();
  }

  /** Enters as many fragments as the ring takes; true with the last one. */
  offerFragments(body: Uint8Array, length: number, epoch: number): boolean {
    invariant(length <= messageBytesMax, "a message is within the limit");
    invariant(this.#entered === 0 || length === this.#length, "the message under way is offered again"); // O3
    this.#length = length;
    while (length - this.#entered > this.frameBytesMax) {
      if (!this.offerFrame(frameFragment, epoch, body, this.#entered, this.frameBytesMax)) return false;
      this.#entered += this.frameBytesMax;
    }
    if (!this.offerFrame(frameLastFragment, epoch, body, this.#entered, length - this.#entered)) return false; // O2
    this.#entered = 0;
    this.sent++;
    return true;
  }

  /** Enters one frame. */
  offerFrame(kind: number, epoch: number, body: Uint8Array, from: number, length: number): boolean {
    invariant(length >= 0 && from + length <= body.length, "a message lies within its bytes");
    const producer = this.#producer;
    const offset = producer.tryClaim(frameHeaderBytes + length);
    if (offset === FULL) return false;
    producer.view.setUint32(offset, epoch, true);
    producer.view.setUint32(offset + 4, kind, true);
    copy(body, from, length, producer, offset + frameHeaderBytes);
    producer.commit();
    return true;
  }
}

function copy(body: Uint8Array, from: number, length: number, into: RingProducer, offset: number): void {
  const { bytes, view } = into;
  if (length >= copyByHandBytesMax) {
    bytes.set(length === body.length ? body : body.subarray(from, from + length), offset);
    return;
  }
  const end = from + length;
  let source = from;
  let target = offset;
  for (; source + 4 <= end; source += 4, target += 4) {
    const word = body[source]! | (body[source + 1]! << 8) | (body[source + 2]! << 16) | (body[source + 3]! << 24);
    view.setInt32(target, word, true);
  }
  while (source < end) bytes[target++] = body[source++]!;
}
