/**
 * What happens to messages whose turn failed: attempts that follow, dead letters, quarantined addresses.
 *
 * Owner and thread: the shard.
 * Q1. An address is quarantined exactly while it has a row in rowTable.QUARANTINE, under its own key group, so it stays
 *     so over restarts and changes of the shard count. Its messages are rows in flight like any others.
 * Q2. The row names the message that failed. It is not in the instance's `pending` and runs before what is there,
 *     whatever order recovery finds them in; so the order between two addresses is kept.
 * Q3. Messages of a quarantined address count neither as in flight nor for admission.
 * Q4. A dead letter is sent and its message removed between the same two captures.
 * Q5. What is not undone by a command is undone by nothing: a message leaves only by `skip` and `purge`.
 * Q6. A message that somebody has tried again runs once that is committed. So when it kills its thread, the command was
 *     carried out, and is not given again to the next generation, which would die of it in turn.
 */

import { HoldfastError, isHoldfastError, toWire, type WireError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { errorTextMax, quarantineListMax, releasedLookMs } from "../base/limits.js";
import { Queue } from "../base/queue.js";
import { copyPlain, estimateBytes } from "../codec/plain-data.js";
import { type DeadLetter, deadLetterTarget, type FailureEnd } from "../model/failure.js";
import { formatMessageId } from "../model/message-id.js";
import { hashId32 } from "../partition/hash.js";
import { addressKey, columnOf, idOf, keyGroupRangeBounds, rowTable } from "../store/row-key.js";
import { isFinal, pauseOf, type ResolvedPolicy, resolvePolicy } from "./failure-policy.js";
import type { Instance, Message } from "./instance.js";
import type { Mailbox } from "./mailbox.js";
import type { Part, PartPort } from "./part.js";
import type { FunctionEntry } from "./registry.js";
import { RetryQueue } from "./retry-queue.js";
import type { StateAccess } from "./state-access.js";

/** The bucket of quarantine rows in `Rows`. */
const bucket = "quarantine";
/** The index of a dead letter among what a message sends: no turn has as many sends. */
const deadLetterIndex = 0xffff_ffff;

/** What a row says. */
interface QuarantineRow {
  readonly error: WireError;
  readonly attempts: number;
  /** Wall time in milliseconds. */
  readonly since: number;
  /** The name of the message that failed (Q2). */
  readonly generation: number;
  readonly sender: number;
  readonly sequence: number;
  /** The name of a function type that a namespace made; then it is in the key, too. */
  readonly type?: string;
}

interface Quarantined {
  readonly instance: Instance;
  /** Of its row. A type that has been a namespace's and is defined now has new ones. */
  readonly key: Uint8Array;
  readonly row: QuarantineRow;
  /** The message that failed; undefined only while recovery looks for it. */
  failing: Message | undefined;
}

/** A quarantined address as a command tells of it. */
export interface QuarantineReport {
  readonly type: string;
  readonly id: string;
  readonly error: WireError;
  readonly attempts: number;
  readonly since: number;
  /** Messages behind the one that failed. */
  readonly waiting: number;
  readonly message: unknown;
  readonly messageId: string;
}

/** What failures need of their shard besides a part's port. */
export interface FailureRooms {
  readonly mailbox: Mailbox;
  readonly state: StateAccess;
  /** The message has had its effect. */
  finish(message: Message): void;
  /** Tells whoever waits for a reply that none will come; the error is wire data. */
  answer(message: Message, error: unknown): void;
  /** No attempt follows, unless somebody asks for one. */
  givenUp(message: Message): void;
  /** A quarantined message will run again because somebody wants it to. */
  retried(message: Message): void;
  /** Gives up the async turn of an instance, if one is pending, and ends it. */
  cancel(instance: Instance, reason: HoldfastError): boolean;
}

export class Failures implements Part {
  readonly #port: PartPort;
  readonly #rooms: FailureRooms;
  readonly #retries: RetryQueue;
  /** Messages that are tried again, and the epochs that say so, oldest first (Q6). */
  readonly #released = new Queue<{ readonly message: Message; readonly epoch: number }>();
  readonly #policies = new Map<FunctionEntry, ResolvedPolicy>();
  readonly #quarantined = new Map<Instance, Quarantined>();

  constructor(port: PartPort, rooms: FailureRooms) {
    this.#port = port;
    this.#rooms = rooms;
    this.#retries = new RetryQueue(port.clock);
  }

  /** Quarantined addresses. */
  get count(): number {
    return this.#quarantined.size;
  }

  /** Messages of quarantined addresses (Q3). */
  get waiting(): number {
    let count = 0;
    for (const { held } of this.#quarantined.keys()) count += held;
    return count;
  }

  get nextDue(): number {
    const released = this.#released.peek();
    if (released === undefined) return this.#retries.nextDue;
    const look = this.#port.clock.now() + (this.#port.isCommitted(released.epoch) ? 0 : releasedLookMs);
    return Math.min(look, this.#retries.nextDue);
  }

  readonly commands = {
    "quarantine.list": (limit: number = quarantineListMax): QuarantineReport[] => this.list(limit),
    "quarantine.messages": (type: string, id: string, limit: number = quarantineListMax): unknown[] =>
      this.messages(type, id, limit),
    "quarantine.retry": (type: string, id: string): boolean => this.#ifThere(type, id, (found) => this.retry(found)),
    "quarantine.skip": (type: string, id: string): boolean => this.#ifThere(type, id, (found) => this.skip(found)),
    "quarantine.purge": (type: string, id: string): number => {
      const found = this.#find(type, id);
      return found === undefined ? 0 : this.purge(found);
    },
    "turn.cancel": (type: string, id: string): boolean => this.cancel(type, id),
  };

  // --- failing ------------------------------------------------------------------------------------------------------

  policyOf(entry: FunctionEntry): ResolvedPolicy {
    let policy = this.#policies.get(entry);
    if (policy === undefined) {
      policy = resolvePolicy(entry.definition.options.failure, this.#port.config.limits);
      this.#policies.set(entry, policy);
    }
    return policy;
  }

  /** A turn failed, nothing of it applied; its message is held. @throws `HF_FUNCTION_FAILED` to end the application */
  failed(message: Message, error: unknown): void {
    const policy = this.policyOf(message.entry);
    message.attempts++;
    const cancelled = isHoldfastError(error, "HF_CANCELLED");
    if (!cancelled && message.attempts < policy.maxAttempts && !isFinal(policy, error)) {
      this.postpone(message, pauseOf(policy, message.attempts, this.#port.random));
      return;
    }
    this.#giveUp(message, cancelled && policy.end === "fail" ? "quarantine" : policy.end, error);
  }

  /** A message that is not run any more, as threads died of it; it is held. @throws `HF_FUNCTION_FAILED` as above */
  condemned(message: Message, deaths: number, error: HoldfastError): void {
    message.attempts = deaths;
    this.#giveUp(message, this.policyOf(message.entry).end, error);
  }

  /** The message waits for its turn to come again; it is held. */
  postpone(message: Message, delayMs: number): void {
    message.target.state = "backoff";
    this.#retries.add(message, delayMs);
  }

  #giveUp(message: Message, end: FailureEnd, error: unknown): void {
    if (end === "fail") throw failureOf(message, "the application stops, as its policy says", error);
    this.#rooms.givenUp(message);
    const target = deadLetterTarget(end);
    if (target === undefined || !this.#sendLetter(message, target, error)) this.quarantine(message, error);
    else {
      this.answer(message, failureOf(message, "its message is a dead letter now", error));
      this.removeDead(message);
    }
  }

  /** The next message whose turn is tried again. */
  nextRetry(): Message | undefined {
    const released = this.#released.peek();
    if (released === undefined || !this.#port.isCommitted(released.epoch)) return this.#retries.next();
    return this.#released.shift()?.message;
  }

  /** False when the letter cannot be sent: it is too large, or what it is for is gone. Then nothing has happened. */
  #sendLetter(message: Message, target: NonNullable<ReturnType<typeof deadLetterTarget>>, error: unknown): boolean {
    const letter = letterOf(message, error);
    const port = this.#port;
    try {
      if (target.type === undefined) {
        const code = port.registry.egressCodes.get(target.egress);
        if (code === undefined) return false;
        port.output.record(code, port.encode(letter, "dead letter"));
        return true;
      }
      const entry = port.registry.restored(target.type);
      if (entry === undefined) return false;
      const payload = copyPlain(letter, "dead letter");
      const { idHi, idLo } = message;
      port.dispatch(entry, target.id, payload, estimateBytes(), idHi, idLo, deadLetterIndex, undefined);
      return true;
    } catch (problem) {
      if (isHoldfastError(problem, "HF_TOO_LARGE") || isHoldfastError(problem, "HF_BAD_VALUE")) return false;
      throw problem;
    }
  }

  /** Q4: the other half of a dead letter. */
  removeDead(message: Message): void {
    this.#rooms.finish(message);
  }

  /** The address waits from now on. */
  quarantine(message: Message, error: unknown): void {
    const instance = message.target;
    const { generation, sender } = message.origin;
    const row: QuarantineRow = {
      error: cutOff(toWire(error)),
      attempts: message.attempts,
      since: this.#port.clock.wall(),
      generation,
      sender,
      sequence: message.sequence,
      ...(instance.dynamicType !== undefined && { type: instance.dynamicType }),
    };
    const keyGroup = this.#port.keyGroupOf(instance.id);
    const key = addressKey(keyGroup, rowTable.QUARANTINE, instance.code, instance.storedId);
    this.#port.rows.put(bucket, key, this.#port.encode(row, "quarantine"), this.#port.epoch); // Q1
    instance.state = "parked";
    this.#quarantined.set(instance, { instance, key, row, failing: message });
    this.#rooms.mailbox.park(message);
    const failure = failureOf(message, "its messages wait until app.quarantine says what to do", error);
    this.answer(message, failure);
    this.#port.report({ kind: "parked", address: instance.toString(), error: failure });
    this.#port.touch();
  }

  /** Whoever asked, outside or in a turn, learns that no reply comes. */
  answer(message: Message, failure: HoldfastError): void {
    this.#rooms.answer(message, JSON.parse(JSON.stringify(cutOff(toWire(failure)))));
  }

  // --- recovery -----------------------------------------------------------------------------------------------------

  /** Q1: who was quarantined at the last commit is so now, with its messages. */
  restore(): void {
    const { keyGroups } = this.#port.config;
    for (let keyGroup = 0; keyGroup < keyGroups; keyGroup++) {
      if (!this.#port.owns(keyGroup)) continue;
      for (const { from, to } of keyGroupRangeBounds(keyGroup, keyGroup + 1, rowTable.QUARANTINE)) {
        for (const { key, value } of this.#port.rows.scan(bucket, from, to)) this.#restoreOne(key, value);
      }
    }
    if (this.#quarantined.size === 0) return;
    this.#rooms.mailbox.setAside(
      ({ entry, id, hash }) => entry.instances.find(id, hash),
      (message) => this.claim(message),
    );
    for (const { failing } of this.#quarantined.values())
      invariant(failing !== undefined, "the message that failed is there as long as its address is quarantined");
  }

  #restoreOne(key: Uint8Array, value: Uint8Array): void {
    const row = this.#port.codec.decode(value) as QuarantineRow;
    const { type } = row;
    const { registry } = this.#port;
    const entry = type === undefined ? registry.coded(columnOf(key)) : registry.restored(type);
    if (entry === undefined) return; // it waits with its messages for its function to come back
    const id = type === undefined ? idOf(key) : idOf(key).slice(type.length + 1);
    const instance = this.#rooms.state.instance(entry, id, hashId32(id));
    instance.state = "parked";
    this.#quarantined.set(instance, { instance, key, row, failing: undefined });
  }

  /** Q2: takes the message that failed out of those that wait. */
  claim(message: Message): boolean {
    const found = this.#quarantined.get(message.target);
    invariant(found !== undefined, "a parked address is quarantined");
    const { generation, sender, sequence } = found.row;
    const { origin } = message;
    if (origin.generation !== generation || origin.sender !== sender || message.sequence !== sequence) return false;
    found.failing = message;
    return true;
  }

  // --- commands -----------------------------------------------------------------------------------------------------

  list(limit: number): QuarantineReport[] {
    const reports: QuarantineReport[] = [];
    for (const { instance, row, failing } of this.#quarantined.values()) {
      if (reports.length >= limit) break;
      const { payload, idHi, idLo, hash } = failing as Message;
      const { error, attempts, since } = row;
      const waiting = instance.held - 1;
      const messageId = formatMessageId(idHi, idLo, hash);
      reports.push({
        type: instance.entry.type,
        id: instance.id,
        error,
        attempts,
        since,
        waiting,
        message: payload,
        messageId,
      });
    }
    return reports;
  }

  /** The message that failed, and those behind it. */
  messages(type: string, id: string, limit: number): unknown[] {
    const found = this.#find(type, id);
    if (found === undefined) return [];
    const messages: unknown[] = [];
    for (const { payload } of [found.failing as Message, ...(found.instance.pending ?? [])]) {
      if (messages.length >= limit) break;
      messages.push(payload);
    }
    return messages;
  }

  /** The message that failed is tried again, with all of its attempts, then those behind it. */
  retry(found: Quarantined): void {
    this.#release(found);
    const failing = found.failing as Message;
    failing.attempts = 0;
    this.#rooms.retried(failing);
    found.instance.state = "backoff";
    this.#released.push({ message: failing, epoch: this.#port.epoch + 1 }); // the next capture has it
  }

  /** The message that failed is gone. */
  skip(found: Quarantined): void {
    this.#release(found);
    this.#rooms.finish(found.failing as Message);
    this.#rooms.mailbox.resume(found.instance);
  }

  /** Every message is gone; how many they were. */
  purge(found: Quarantined): number {
    const { instance, failing } = found;
    const count = instance.held;
    this.#release(found);
    this.#rooms.finish(failing as Message);
    for (let message = instance.pending?.shift(); message !== undefined; message = instance.pending?.shift()) {
      this.answer(message, failureOf(message, "app.quarantine.purge removed its message", undefined));
      this.#rooms.finish(message);
    }
    return count;
  }

  cancel(type: string, id: string): boolean {
    const instance = this.#instance(type, id);
    if (instance?.state !== "running") return false;
    const address = instance.toString();
    return this.#rooms.cancel(
      instance,
      new HoldfastError("HF_CANCELLED", `the turn of ${address} was given up by app.cancel`, { address }),
    );
  }

  #release(found: Quarantined): void {
    const { instance, key, failing } = found;
    this.#port.rows.delete(bucket, key, this.#port.epoch);
    this.#quarantined.delete(instance);
    this.#rooms.mailbox.unpark(failing as Message);
    instance.state = "ready";
    this.#port.touch();
    this.#port.wakeSelf();
  }

  #ifThere(type: string, id: string, act: (found: Quarantined) => void): boolean {
    const found = this.#find(type, id);
    if (found !== undefined) act(found);
    return found !== undefined;
  }

  #find(type: string, id: string): Quarantined | undefined {
    const instance = this.#instance(type, id);
    return instance === undefined ? undefined : this.#quarantined.get(instance);
  }

  #instance(type: string, id: string): Instance | undefined {
    return this.#port.registry.byName.get(type)?.instances.find(id, hashId32(id));
  }
}

function failureOf(message: Message, consequence: string, cause: unknown): HoldfastError {
  const address = message.target.toString();
  const { attempts } = message;
  const how = attempts === 0 ? "was not run" : attempts === 1 ? "failed" : `failed ${attempts} times`;
  return new HoldfastError("HF_FUNCTION_FAILED", `${address} ${how}; ${consequence}`, { address, cause });
}

function letterOf(message: Message, thrown: unknown): DeadLetter {
  const { name, code, message: text, stack } = cutOff(toWire(thrown));
  return {
    address: message.target.toString(),
    message: message.payload,
    error: { name, message: text, ...(code !== undefined && { code }), ...(stack !== undefined && { stack }) },
    attempts: message.attempts,
    messageId: formatMessageId(message.idHi, message.idLo, message.hash),
  };
}

/** An error that fits where errors are kept. */
function cutOff(error: WireError): WireError {
  return {
    ...error,
    name: String(error.name).slice(0, errorTextMax),
    message: String(error.message).slice(0, errorTextMax),
    stack: error.stack === undefined ? undefined : String(error.stack).slice(0, errorTextMax),
    cause: error.cause === undefined ? undefined : cutOff(error.cause),
  };
}
