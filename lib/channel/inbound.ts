/**
 * The receiving end of a channel: whole messages, in order, out of a ring.
 * Owns: its consumer and the assembly of fragments. Thread: the receiver's.
 *
 * I1. A message is either wholly before or wholly behind the receiver's position: `received` counts it when it is taken,
 *     and its last frame stays in the ring until then. So partial assembly belongs to no cut.
 * I2. Assembled bytes are those of consumed fragments of the first message not taken; a last fragment is written behind
 *     them, for `body`, without being consumed.
 * I3. `copyPending` changes nothing: neither positions, nor the message at hand, nor the assembly.
 */
import { invariant } from "../base/invariant.js";
import { KiB } from "../base/limits.js";
import type { RingConsumer } from "../ring/ring-consumer.js";
import { EMPTY } from "../ring/ring-memory.js";
import { frameFragment, frameHeaderBytes, frameLastFragment, frameWhole, messageBytesMax } from "./outbound.js";

/** Called with a message: `length` bytes of `body` at `offset`, valid during the call. The first ordinal ever is 1. */
export type VisitMessage = (body: Uint8Array, offset: number, length: number, ordinal: number) => void;

/** An assembly buffer larger than this is not kept for the next message. */
const assemblyBytesKept = 256 * KiB;

/** The receiving end. */
export class Inbound {
  /** Whole messages taken so far; the ordinal of the last one. */
  received = 0;
  /** The sender's epoch of the message at hand, u32. */
  epoch = 0;
  /** The message at hand: `length` bytes of `body` at `offset`, valid until `release` or, once taken, the next `poll`. */
  body: Uint8Array;
  offset = 0;
  length = 0;

  readonly #consumer: RingConsumer;
  #atHand = false;
  readonly #assembly = new Assembly();
  /** Where `copyPending` assembles. */
  readonly #pending = new Assembly();

  constructor(consumer: RingConsumer) {
    this.#consumer = consumer;
    this.body = consumer.bytes;
  }

  /**
   * Finds the next whole message; true when one is at hand, the same one until `take`. Fragments before the last are
   * consumed on the way, so `release` after polling even when nothing was found: the sender may wait for their room.
   */
  poll(): boolean {
    if (this.#atHand) return true;
    const consumer = this.#consumer;
    for (;;) {
      const at = consumer.poll();
      if (at === EMPTY) return false;
      const length = consumer.length - frameHeaderBytes;
      const kind = frameKind(consumer.view, at, length, this.#assembly.length);
      if (kind !== frameFragment) {
        this.present(kind, at, length);
        return true;
      }
      this.#assembly.append(consumer.bytes, at + frameHeaderBytes, length);
      consumer.advance();
    }
  }

  /** Puts the message whose last frame is at `at` at hand. */
  present(kind: number, at: number, length: number): void {
    const { bytes, view } = this.#consumer;
    const assembly = this.#assembly;
    this.epoch = view.getUint32(at, true);
    if (kind === frameWhole) {
      this.body = bytes;
      this.offset = at + frameHeaderBytes;
      this.length = length;
    } else {
      assembly.append(bytes, at + frameHeaderBytes, length);
      this.body = assembly.bytes;
      this.offset = 0;
      this.length = assembly.length;
      assembly.length -= length; // I2
    }
    this.#atHand = true;
  }

  /** Consumes the message at hand. */
  take(): void {
    invariant(this.#atHand, "a message is at hand");
    this.#atHand = false;
    this.#consumer.advance();
    if (this.#assembly.length !== 0) this.#assembly.clear();
    this.received++;
  }

  /** Gives the room of what was consumed back to the sender, once per batch. True when there was some. */
  release(): boolean {
    return this.#consumer.release();
  }

  /** True when the ring holds nothing that was not taken. Asks the shared tail: the re-check of a parking thread. */
  empty(): boolean {
    return this.#consumer.empty();
  }

  /**
   * Visits messages that are not taken, without consuming them (I3): those above ordinal `after`, up to ordinal `upTo`
   * (which may be given modulo 2^32), at most `max`. Returns how many there were. All of them are in the ring, the first
   * perhaps partly in the assembly: their sender published its tail after they entered and before it said so.
   */
  copyPending(upTo: number, visit: VisitMessage, after = 0, max = Number.POSITIVE_INFINITY): number {
    const { received } = this;
    const first = Math.max(received, after);
    const last = Math.min(received + ((upTo - received) | 0), first + max);
    if (last <= first) return 0;
    const { bytes, view } = this.#consumer;
    const pending = this.#pending;
    let ordinal = received;
    pending.clear(); // a visit may have thrown
    pending.append(this.#assembly.bytes, 0, this.#assembly.length);
    this.#consumer.walk((at, recordLength) => {
      const length = recordLength - frameHeaderBytes;
      const kind = frameKind(view, at, length, pending.length);
      if (kind === frameWhole) {
        if (++ordinal > first) visit(bytes, at + frameHeaderBytes, length, ordinal);
        return ordinal < last;
      }
      pending.append(bytes, at + frameHeaderBytes, length);
      if (kind === frameFragment) return true;
      if (++ordinal > first) visit(pending.bytes, 0, pending.length, ordinal);
      pending.clear();
      return ordinal < last;
    });
    pending.clear();
    invariant(ordinal === last, "every message up to the published tail is in the ring");
    return last - first;
  }
}

/** The kind of the frame at `at`, checked: a whole message never comes amid fragments, a last one never without. */
function frameKind(view: DataView, at: number, bodyLength: number, assembled: number): number {
  invariant(bodyLength >= 0, "a frame has its header");
  const kind = view.getUint32(at + 4, true); // the reserved bytes with it: they are zero
  const fits =
    kind === frameWhole ? assembled === 0 : kind === frameFragment || (kind === frameLastFragment && assembled > 0);
  invariant(fits, "a frame has a kind that may come here");
  return kind;
}

/** Bytes put together from fragments, in a buffer that grows by doubling. */
class Assembly {
  bytes = new Uint8Array(0);
  length = 0;

  append(from: Uint8Array, offset: number, length: number): void {
    const end = this.length + length;
    invariant(end <= messageBytesMax, "a message is within the limit");
    if (end > this.bytes.length) this.#grow(end);
    this.bytes.set(from.subarray(offset, offset + length), this.length);
    this.length = end;
  }

  /** Forgets the bytes; what was handed out stays as it is until the next `append`. */
  clear(): void {
    this.length = 0;
    if (this.bytes.length > assemblyBytesKept) this.bytes = new Uint8Array(0);
  }

  #grow(least: number): void {
    const bytes = new Uint8Array(Math.max(least, 2 * this.bytes.length, 4 * KiB));
    bytes.set(this.bytes.subarray(0, this.length));
    this.bytes = bytes;
  }
}
