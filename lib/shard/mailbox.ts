/**
 * A shard's accepted messages, in the order they were accepted.
 *
 * Owner and thread: the shard.
 * M1. A message is in exactly one place: the queue, its instance's `pending`, or running.
 * M2. Queue entries without a row are the newest ones; `rowedUntil` is where they begin. Messages that left the queue
 *     without a row and are not done are in `held`.
 * M3. An instance with pending messages that may run is in `resumable`; its pending messages run before newer ones.
 * M4. Messages in the queue before `resolvedUntil` have their instance; this holds within one step, before evictions.
 */
import { invariant } from "../base/invariant.js";
import { touchedTogether } from "../base/limits.js";
import { Queue } from "../base/queue.js";
import type { Instance, Message } from "./instance.js";
import { Waiting } from "./waiting.js";

/** Where instances are found. */
export interface Instances {
  /** Loads what `resolve` will look at into the caches. */
  touch(message: Message): void;
  resolve(message: Message): Instance;
}

export class Mailbox {
  readonly #instances: Instances;
  readonly #queue = new Queue<Message>();
  readonly #resumable = new Queue<Instance>();
  #held: Message[] = [];
  #rowedUntil = 0;
  /** Messages in the queue before this position have their instance (M4). */
  #resolvedUntil = 0;
  /** Estimated bytes of all messages not done. */
  bytes = 0;
  /** The part of `bytes` that waits for parked addresses. */
  parkedBytes = 0;
  /** The part of `bytes` that waits for addresses with too many pending operations. */
  fullBytes = 0;
  /** Messages not done. */
  count = 0;

  constructor(instances: Instances) {
    this.#instances = instances;
  }

  /** True when a turn could run now. */
  get runnable(): boolean {
    return this.#queue.length > 0 || this.#resumable.length > 0;
  }

  /** Messages whose turn has not come. */
  get queued(): number {
    return this.#queue.length;
  }

  accept(message: Message): void {
    this.#queue.push(message);
    this.bytes += message.weight;
    this.count++;
  }

  /** The next message whose instance may take it; messages for busy instances are set aside on the way. */
  next(): Message | undefined {
    const resumed = this.#nextResumed();
    if (resumed !== undefined) return resumed;
    while (this.#queue.length > 0) {
      if (this.#queue.head >= this.#resolvedUntil) this.#resolveAhead();
      const message = this.#queue.shift() as Message;
      const instance = message.target;
      if (instance.state === "ready" && (instance.pending === undefined || instance.pending.length === 0))
        return message;
      this.#wait(message, instance);
    }
    return undefined;
  }

  #wait(message: Message, instance: Instance): void {
    instance.pending ??= new Waiting();
    instance.pending.push(message);
    if (instance.state === "parked") this.parkedBytes += message.weight;
    else if (instance.state === "full") this.fullBytes += message.weight;
    this.hold(message);
  }

  /** Keeps sight of a message that left the queue and is not done (M2). */
  hold(message: Message): void {
    if (message.held) return;
    message.held = true;
    message.target.held++;
    if (!message.rowed) this.#held.push(message);
  }

  /** The instance may take messages again. */
  resume(instance: Instance): void {
    if (instance.pending !== undefined && instance.pending.length > 0) this.#resumable.push(instance);
  }

  /** The instance takes no message until it is opened: what waits for it does not count for admission. */
  close(instance: Instance): void {
    invariant(instance.state === "ready", "an address is closed at the end of a turn");
    instance.state = "full";
    this.fullBytes += instance.pending?.bytes ?? 0;
  }

  open(instance: Instance): void {
    invariant(instance.state === "full", "a closed address is opened");
    instance.state = "ready";
    this.fullBytes -= instance.pending?.bytes ?? 0;
    this.resume(instance);
  }

  /** The address of a message was parked: it waits, and so do those behind it. */
  park({ target: { pending }, weight }: Message): void {
    this.parkedBytes += weight + (pending?.bytes ?? 0);
  }

  /** The address of a message that was parked goes on. */
  unpark({ target: { pending }, weight }: Message): void {
    this.parkedBytes -= weight + (pending?.bytes ?? 0);
  }

  /**
   * Before the first step: gives every queued message of a parked address to `park` or lets it wait there, and keeps the
   * order of all others.
   */
  setAside(find: (message: Message) => Instance | undefined, park: (message: Message) => boolean): void {
    for (let count = this.#queue.length; count > 0; count--) {
      const message = this.#queue.shift() as Message;
      message.instance = find(message);
      if (message.instance?.state !== "parked") {
        message.instance = undefined;
        this.#queue.push(message);
      } else if (park(message)) {
        this.parkedBytes += message.weight;
        this.hold(message);
      } else this.#wait(message, message.instance);
    }
  }

  /** The message has had its effect. */
  finish(message: Message): void {
    message.done = true;
    if (message.held) message.target.held--;
    this.bytes -= message.weight;
    this.count--;
  }

  /** Messages that have no row yet, oldest first per instance, for a capture; from now on they have one. */
  takeUnrowed(): Message[] {
    const messages = this.takeHeld();
    for (let position = Math.max(this.#rowedUntil, this.#queue.head); position < this.#queue.tail; position++) {
      const message = this.#queue.at(position);
      if (!message.rowed) messages.push(message);
    }
    this.#rowedUntil = this.#queue.tail;
    for (const message of messages) message.rowed = true;
    return messages;
  }

  /** The inputs of unfinished async turns and the messages set aside for busy instances, as far as they have no row. */
  takeHeld(): Message[] {
    const held = this.#held.filter((message) => !message.done && !message.rowed);
    this.#held = [];
    return held;
  }

  /** Instances may have been evicted: messages in the queue have none any more. */
  forgetResolved(): void {
    this.#resolvedUntil = 0;
  }

  /**
   * Finds the instances of the next messages together (M4). Nearly every look-up waits for memory several times, and
   * look-ups one after the other without a turn in between wait at the same time.
   */
  #resolveAhead(): void {
    const { head, tail } = this.#queue;
    const until = Math.min(tail, head + touchedTogether);
    for (let position = head; position < until; position++) this.#instances.touch(this.#queue.at(position));
    for (let position = head; position < until; position++) {
      const message = this.#queue.at(position);
      message.instance = this.#instances.resolve(message);
    }
    this.#resolvedUntil = until;
  }

  #nextResumed(): Message | undefined {
    for (let instance = this.#resumable.peek(); instance !== undefined; instance = this.#resumable.peek()) {
      if (instance.state === "ready") {
        const message = instance.pending?.shift();
        if (message !== undefined) return message;
      }
      this.#resumable.shift(); // ran dry, or became busy again and will be resumed
    }
    return undefined;
  }
}
