/**
 * The gateway's side of its channels: one session per process start, a sequence per shard, resending after a restart.
 *
 * Owner and thread: main. Outside the cut, like any external client: a shard stores the last sequence it consumed, and
 * an entry is settled when the epoch that consumed it is committed.
 * X1. Entries of a lane enter its ring in sequence, without a gap.
 * X2. An entry is kept until a committed epoch says that its shard has consumed it; a new generation gets all that is
 *     kept, again from the oldest.
 */
import { invariant } from "../base/invariant.js";
import { messageBytesEstimate } from "../base/limits.js";
import { Queue } from "../base/queue.js";
import type { Outbound } from "../channel/outbound.js";

/** A message on its way in. */
interface LaneEntry {
  readonly sequence: number;
  readonly body: Uint8Array;
  readonly accepted: (() => void) | undefined;
}

/** The entries of one shard. */
class Lane {
  readonly kept = new Queue<LaneEntry>();
  channel: Outbound | undefined;
  accepted = 0;
  /** Position in `kept` of the next entry for the ring. */
  next = 0;
}

export class GatewaySession {
  readonly #lanes: readonly Lane[];
  /** Bytes kept, estimated: a small message weighs far more than its body. */
  bytes = 0;

  constructor(shards: number) {
    this.#lanes = Array.from({ length: shards }, () => new Lane());
  }

  /** The sequence that the next entry for a shard gets; its body carries it. */
  nextSequence(shard: number): number {
    return this.#lanes[shard].accepted + 1;
  }

  /** Messages kept for a shard. */
  keptFor(shard: number): number {
    return this.#lanes[shard].kept.length;
  }

  /** Keeps a message for a shard. `accepted` is called when the epoch that consumed it is committed. */
  add(shard: number, body: Uint8Array, accepted: (() => void) | undefined): void {
    const lane = this.#lanes[shard];
    lane.kept.push({ sequence: ++lane.accepted, body, accepted });
    this.bytes += messageBytesEstimate + body.length;
  }

  /** Moves entries into a shard's ring until it refuses. True when something new was published. */
  flush(shard: number): boolean {
    const lane = this.#lanes[shard];
    const { channel } = lane;
    if (channel === undefined) return false;
    while (lane.next < lane.kept.tail) {
      const { body } = lane.kept.at(lane.next);
      if (!channel.offer(body, body.length, 0)) break; // X1
      lane.next++;
    }
    return channel.publish();
  }

  /** True when entries wait for room in a shard's ring. */
  wantsRoom(shard: number): boolean {
    const lane = this.#lanes[shard];
    return lane.next < lane.kept.tail;
  }

  /** The committed epoch contains everything up to `sequence` of a shard: settles it. */
  committed(shard: number, sequence: number): void {
    const lane = this.#lanes[shard];
    invariant(sequence <= lane.accepted, "a shard consumes what was sent");
    for (let entry = lane.kept.peek(); entry !== undefined && entry.sequence <= sequence; entry = lane.kept.peek()) {
      lane.kept.shift();
      this.bytes -= messageBytesEstimate + entry.body.length;
      entry.accepted?.();
    }
    if (lane.next < lane.kept.head) lane.next = lane.kept.head;
  }

  /** A generation begins: `consumed` is what its recovered state has consumed of this shard's lane. */
  connect(shard: number, channel: Outbound, consumed: number): void {
    this.#lanes[shard].channel = channel;
    this.committed(shard, consumed);
    this.resend(shard);
  }

  /** The generation is over; what is kept waits for the next one. */
  disconnect(): void {
    for (const lane of this.#lanes) lane.channel = undefined;
  }

  resend(shard: number): void {
    const lane = this.#lanes[shard];
    lane.next = this.firstToResend(lane.kept);
  }

  /** X2 */
  firstToResend(kept: Queue<LaneEntry>): number {
    return kept.head;
  }
}
