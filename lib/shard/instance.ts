/**
 * What a shard holds of an address, and the messages on their way to it.
 *
 * Owner and thread: the shard.
 * I1. At most one turn runs at an instance; while it is pending, retried or the instance is parked, later messages wait
 *     in `pending` in order.
 * I2. A queued message is immutable: its function gets a copy, so a capture or a retry sees what was sent.
 * I3. A message finds its instance when it leaves the queue, not before: a look-up touches memory that is far apart, and
 *     the turn that follows touches it again at once. (Some messages at the head of the queue are looked up together.)
 * I4. A cell's values are immutable; `captured` is the value as of the end of the epoch before `dirtyEpoch`.
 */
import { invariant } from "../base/invariant.js";
import type { Extras } from "../codec/extras.js";
import type { Ask, Peer } from "../codec/message-codec.js";
import type { Shape } from "../codec/shape.js";
import type { Column, FunctionEntry } from "./registry.js";
import type { Waiting } from "./waiting.js";

/** What keeps an instance from taking its next message. */
export type InstanceState =
  | "ready"
  | "running" // an async turn is pending
  | "full" // as many of its operations are pending as may be
  | "backoff" // a failed turn waits for its next attempt
  | "parked"; // its turn failed for good; messages wait

/** Stands for "nothing is stored": undefined is a value like others. */
export const ABSENT: unique symbol = Symbol("absent");

/** The value of an instance whose first state was not read from the base yet. */
export const UNREAD: unique symbol = Symbol("unread");

/** One persisted value of one instance. */
export abstract class StateCell {
  abstract value: unknown;
  abstract captured: unknown;
  /** The epoch in which it was last written; -1 while clean. */
  abstract dirtyEpoch: number;
  /** Names its row on the way to the base (snapshot/delta.ts), from its first write until it is dropped; 0 before. */
  abstract handle: number;
  /** True when `value` has parts that cannot be frozen and is copied out. */
  abstract mutable: boolean;
  abstract readonly instance: Instance;
  abstract readonly column: Column;
}

/**
 * An instance is the cell of its first state, which is the only one of most functions: one object less to reach. What
 * every turn looks at comes first, so that it lies in two cache lines. There may be millions: what can be told from the
 * rest, as the key group from the hash, has no field.
 */
export class Instance extends StateCell {
  /** `hashId32(id)` */
  readonly hash: number;
  readonly id: string;
  state: InstanceState = "ready";
  /** Messages that wait for this instance (I1). */
  pending: Waiting | undefined = undefined;
  override value: unknown = UNREAD;
  override dirtyEpoch = -1;
  override handle = 0;
  /** Names it as a caller in the shard's channels (frame-codec.ts), once it has sent to another shard; 0 before. */
  number = 0;
  readonly entry: FunctionEntry;
  /** `held` and `mutable`, which share a field. */
  #bits = 0;
  override captured: unknown = ABSENT;
  /** The cells of the other states, as far as they are in memory. */
  others: (FurtherCell | undefined)[] | undefined = undefined;

  constructor(entry: FunctionEntry, id: string, hash: number) {
    super();
    this.hash = hash;
    this.id = id;
    this.entry = entry;
  }

  override get instance(): Instance {
    return this;
  }

  /** Its messages that left the queue and are not done; an instance with any is never evicted. */
  get held(): number {
    return this.#bits >> 1;
  }

  set held(count: number) {
    this.#bits = (count << 1) | (this.#bits & 1);
  }

  override get mutable(): boolean {
    return (this.#bits & 1) !== 0;
  }

  override set mutable(mutable: boolean) {
    this.#bits = mutable ? this.#bits | 1 : this.#bits & ~1;
  }

  override get column(): Column {
    return this.entry.columns[0];
  }

  /** The code of its function type. */
  get code(): number {
    return this.entry.code;
  }

  /** The name of its function type, when a namespace made it. */
  get dynamicType(): string | undefined {
    return this.entry.dynamic ? this.entry.type : undefined;
  }

  /** The id in keys of its rows: with the name of a type that a namespace made, as the codes of such types may collide. */
  get storedId(): string {
    return this.entry.storedId(this.id);
  }

  /** `namespace/name@id` */
  override toString(): string {
    return `${this.entry.type}@${this.id}`;
  }
}

/** The cell of a state that is not the first. */
export class FurtherCell extends StateCell {
  override value: unknown = ABSENT;
  override captured: unknown = ABSENT;
  override dirtyEpoch = -1;
  override handle = 0;
  override mutable = false;
  override readonly instance: Instance;
  override readonly column: Column;

  constructor(instance: Instance, column: Column) {
    super();
    this.instance = instance;
    this.column = column;
  }
}

/** Who put a message on its way: with the sequence it is the message's name for life. */
export interface Origin {
  readonly generation: number;
  /** The shard that sent it, or `gatewaySender`. */
  readonly sender: number;
}

/** A message accepted by this shard. Its key for life is (generation, sender, sequence) under the target's key group. */
export class Message {
  readonly entry: FunctionEntry;
  readonly id: string;
  /** `hashId32(id)` */
  readonly hash: number;
  readonly keyGroup: number;
  /** The instance, once the message has left the queue (I3). */
  instance: Instance | undefined = undefined;
  readonly payload: unknown;
  /** The shape of the payload, when it is known. */
  readonly shape: Shape | undefined;
  readonly origin: Origin;
  readonly sequence: number;
  readonly idHi: number;
  readonly idLo: number;
  readonly caller: Peer | undefined;
  readonly ask: Ask | undefined;
  readonly weight: number;
  /** It has a row among this shard's in-flight rows. */
  rowed: boolean;
  /** It left the queue and its instance counts it. */
  held = false;
  done = false;
  attempts = 0;
  /** What few messages carry: a key, a question. */
  readonly extras: Extras | undefined;

  constructor(
    entry: FunctionEntry,
    id: string,
    hash: number,
    keyGroup: number,
    payload: unknown,
    shape: Shape | undefined,
    origin: Origin,
    sequence: number,
    idHi: number,
    idLo: number,
    caller: Peer | undefined,
    ask: Ask | undefined,
    weight: number,
    rowed: boolean,
    extras: Extras | undefined = undefined,
  ) {
    this.entry = entry;
    this.id = id;
    this.hash = hash;
    this.keyGroup = keyGroup;
    this.payload = payload;
    this.shape = shape;
    this.origin = origin;
    this.sequence = sequence;
    this.idHi = idHi;
    this.idLo = idLo;
    this.caller = caller;
    this.ask = ask;
    this.weight = weight;
    this.rowed = rowed;
    this.extras = extras;
  }

  /** The instance of a message that has left the queue. */
  get target(): Instance {
    invariant(this.instance !== undefined, "a message outside the queue knows its instance");
    return this.instance;
  }
}
