/**
 * What a shard holds of an address, and the messages on their way to it.
 *
 * Owner and thread: the shard.
 * I1. At most one turn runs at an instance; while it is pending, retried or the instance is parked, later messages wait
 *     in `pending` in order.
 * I2. A queued message is immutable: its function gets a copy, so a capture or a retry sees what was sent.
 * I3. A message finds its instance when it leaves the queue, not before: a look-up touches memory that is far apart, and
 *     the turn that follows touches it again at once.
 * I4. A cell's values are immutable; `captured` is the value as of the end of the epoch before `dirtyEpoch`.
 */
import { invariant } from "../base/invariant.js";
import type { Queue } from "../base/queue.js";
import type { Column, FunctionEntry } from "./registry.js";

/** What keeps an instance from taking its next message. */
export type InstanceState =
  | "ready"
  | "running" // an async turn is pending
  | "backoff" // a failed turn waits for its next attempt
  | "parked"; // its turn failed for good; messages wait

export class Instance {
  readonly entry: FunctionEntry;
  readonly id: string;
  readonly keyGroup: number;
  state: InstanceState = "ready";
  /** Its messages that left the queue and are not done; an instance with any is never evicted. */
  held = 0;
  /** Messages that wait for this instance (I1). */
  pending: Queue<Message> | undefined = undefined;
  /** The cell of the first state, which is the only one of most functions, and those of the others. */
  firstCell: StateCell | undefined = undefined;
  otherCells: (StateCell | undefined)[] | undefined = undefined;

  constructor(entry: FunctionEntry, id: string, keyGroup: number) {
    this.entry = entry;
    this.id = id;
    this.keyGroup = keyGroup;
  }

  /** The cells in memory. */
  *cells(): Generator<StateCell> {
    if (this.firstCell !== undefined) yield this.firstCell;
    for (const cell of this.otherCells ?? []) if (cell !== undefined) yield cell;
  }

  /** `namespace/name@id` */
  toString(): string {
    return `${this.entry.type}@${this.id}`;
  }
}

/** Stands for "nothing is stored": undefined is a value like others. */
export const ABSENT: unique symbol = Symbol("absent");

/** One persisted value of one instance. */
export class StateCell {
  readonly instance: Instance;
  readonly column: Column;
  value: unknown;
  /** True when `value` has parts that cannot be frozen and is copied out. */
  mutable: boolean;
  captured: unknown = ABSENT;
  /** The epoch in which it was last written; -1 while clean. */
  dirtyEpoch = -1;

  constructor(instance: Instance, column: Column, value: unknown, mutable: boolean) {
    this.instance = instance;
    this.column = column;
    this.value = value;
    this.mutable = mutable;
  }
}

/** A message accepted by this shard. Its key for life is (generation, sender, sequence) under the target's key group. */
export class Message {
  readonly entry: FunctionEntry;
  readonly id: string;
  readonly keyGroup: number;
  /** The instance, once the message has left the queue (I3). */
  instance: Instance | undefined = undefined;
  readonly payload: unknown;
  readonly generation: number;
  /** The shard that sent it, or `gatewaySender`. */
  readonly sender: number;
  readonly sequence: number;
  readonly idHi: number;
  readonly idLo: number;
  /** Function type code and id of the caller; "" and 0 when there is none. */
  readonly callerCode: number;
  readonly callerId: string;
  /** Session and number of the `ask` that waits for a reply; 0 when nobody does. */
  readonly askSession: number;
  readonly askNumber: number;
  readonly weight: number;
  /** It has a row among this shard's in-flight rows. */
  rowed: boolean;
  /** It left the queue and its instance counts it. */
  held = false;
  done = false;
  attempts = 0;

  constructor(
    entry: FunctionEntry,
    id: string,
    keyGroup: number,
    payload: unknown,
    generation: number,
    sender: number,
    sequence: number,
    idHi: number,
    idLo: number,
    callerCode: number,
    callerId: string,
    askSession: number,
    askNumber: number,
    weight: number,
    rowed: boolean,
  ) {
    this.entry = entry;
    this.id = id;
    this.keyGroup = keyGroup;
    this.payload = payload;
    this.generation = generation;
    this.sender = sender;
    this.sequence = sequence;
    this.idHi = idHi;
    this.idLo = idLo;
    this.callerCode = callerCode;
    this.callerId = callerId;
    this.askSession = askSession;
    this.askNumber = askNumber;
    this.weight = weight;
    this.rowed = rowed;
  }

  /** The instance of a message that has left the queue. */
  get target(): Instance {
    invariant(this.instance !== undefined, "a message outside the queue knows its instance");
    return this.instance;
  }
}
