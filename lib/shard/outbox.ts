/**
 * Messages to one other shard that its ring has no room for.
 *
 * Owner and thread: the sending shard.
 * O1. Nothing bypasses a non-empty outbox: order per pair of addresses is the order of `send`.
 * O2. A message is in the outbox until its last fragment is in the ring, and only then carries an epoch: the outbox is
 *     sender state, and a snapshot that lacks it loses messages.
 * O3. Entries without a row are the newest ones; `rowedUntil` is where they begin.
 */
import type { ByteWriter } from "../base/bytes.js";
import { invariant } from "../base/invariant.js";
import { Queue } from "../base/queue.js";
import type { Outbound } from "../channel/outbound.js";
import type { Extras } from "../codec/extras.js";
import { FrameWriter, type NumberedPeer } from "../codec/frame-codec.js";
import { type Peer, writeMessageHead } from "../codec/message-codec.js";
import type { PayloadCodec } from "../codec/payload-codec.js";
import type { Shape } from "../codec/shape.js";

/** An encoded message that waits for room. */
export interface OutboxEntry {
  readonly body: Uint8Array;
  readonly keyGroup: number;
  readonly sequence: number;
  rowed: boolean;
}

/** What an outbox writes messages with; one for all outboxes of a shard. */
export interface OutboxWriting {
  readonly codec: PayloadCodec;
  readonly writer: ByteWriter;
}

export class Outbox {
  readonly #channel: Outbound;
  readonly #codec: PayloadCodec;
  readonly #writer: ByteWriter;
  readonly #frames: FrameWriter;
  readonly #entries = new Queue<OutboxEntry>();
  #rowedUntil = 0;
  /** Sequence of the last message accepted for this channel. */
  #accepted = 0;
  bytes = 0;

  constructor(channel: Outbound, { codec, writer }: OutboxWriting) {
    this.#channel = channel;
    this.#codec = codec;
    this.#writer = writer;
    this.#frames = new FrameWriter(codec);
  }

  get length(): number {
    return this.#entries.length;
  }

  /** Accepts a message: as a frame into the ring when there is room, else in stored form into the outbox. */
  send(
    code: number,
    id: string,
    hash: number,
    idHi: number,
    idLo: number,
    caller: NumberedPeer | undefined,
    payload: unknown,
    epoch: number,
    keyGroup: number,
    shape: Shape | undefined,
  ): void {
    const sequence = ++this.#accepted;
    const writer = this.#writer;
    if (this.#entries.length === 0) {
      this.#frames.write(writer, code, id, hash, idHi, idLo, caller, payload, shape);
      const { length } = writer;
      if (length <= this.#channel.frameBytesMax && this.#channel.offerWords(writer.words, length, epoch)) {
        this.#frames.commit();
        invariant(this.#channel.sent === sequence, "ring order is send order");
        return;
      }
    }
    this.#writeStored(code, id, idHi, idLo, caller, payload, undefined, undefined);
    this.#keep(keyGroup, sequence);
  }

  /** Accepts a message that no frame can say: always in stored form. */
  sendWhole(
    code: number,
    id: string,
    idHi: number,
    idLo: number,
    caller: Peer | undefined,
    payload: unknown,
    epoch: number,
    keyGroup: number,
    targetType: string | undefined,
    extras: Extras | undefined,
  ): void {
    const sequence = ++this.#accepted;
    const writer = this.#writer;
    this.#writeStored(code, id, idHi, idLo, caller, payload, targetType, extras);
    const short = writer.length <= this.#channel.frameBytesMax;
    if (this.#entries.length > 0 || !short || !this.#channel.offer(writer.memory, writer.length, epoch)) {
      this.#keep(keyGroup, sequence);
      return;
    }
    invariant(this.#channel.sent === sequence, "ring order is send order");
  }

  #writeStored(
    code: number,
    id: string,
    idHi: number,
    idLo: number,
    caller: Peer | undefined,
    payload: unknown,
    targetType: string | undefined,
    extras: Extras | undefined,
  ): void {
    this.#writer.reset();
    writeMessageHead(this.#writer, code, id, idHi, idLo, caller, undefined, 0, targetType, extras);
    this.#codec.write(payload, this.#writer);
  }

  /** O1 */
  #keep(keyGroup: number, sequence: number): void {
    const body = this.#writer.take();
    this.#entries.push({ body, keyGroup, sequence, rowed: false });
    this.bytes += body.length;
  }

  /** Moves entries into the ring until it refuses. `left` is called for each entry that had a row. */
  drain(epoch: number, left: (entry: OutboxEntry) => void): number {
    let moved = 0;
    for (let entry = this.#entries.peek(); entry !== undefined; entry = this.#entries.peek()) {
      if (!this.#channel.offer(entry.body, entry.body.length, this.epochOf(entry, epoch))) break; // O2
      invariant(this.#channel.sent === entry.sequence, "ring order is send order");
      this.#entries.shift();
      this.bytes -= entry.body.length;
      if (entry.rowed) left(entry);
      moved++;
    }
    return moved;
  }

  /** The epoch a frame carries: the sender's at the moment the last fragment enters the ring, not at `send`. */
  epochOf(_entry: OutboxEntry, epoch: number): number {
    return epoch;
  }

  /** Entries that have no row yet, for a capture; from now on they have one. */
  takeUnrowed(): OutboxEntry[] {
    const entries: OutboxEntry[] = [];
    for (let position = Math.max(this.#rowedUntil, this.#entries.head); position < this.#entries.tail; position++) {
      const entry = this.#entries.at(position);
      entry.rowed = true;
      entries.push(entry);
    }
    this.#rowedUntil = this.#entries.tail; // O3
    return entries;
  }
}
