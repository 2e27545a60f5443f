/**
 * `app.send` and `app.ask`: the door for messages from outside.
 *
 * Owner and thread: main.
 * Y1. Messages to an address enter in the order of the calls.
 * Y2. A call over the byte limit waits in line; one over four times the limit is refused. Memory stays bounded.
 * Y3. A reply is handed out once, after the commit that contains it.
 */
import { ByteWriter } from "../base/bytes.js";
import { fromWire, HoldfastError, type WireError } from "../base/errors.js";
import {
  askTimeoutMs,
  idempotencyKeyLengthMax,
  messageBytesEstimate,
  requestRetentionMaxMs,
  requestRetentionMs,
} from "../base/limits.js";
import { Queue } from "../base/queue.js";
import type { Outbound } from "../channel/outbound.js";
import type { Extras } from "../codec/extras.js";
import { writeMessageHead } from "../codec/message-codec.js";
import { PayloadCodec } from "../codec/payload-codec.js";
import { copyPlain } from "../codec/plain-data.js";
import type { AnyAddress } from "../model/address.js";
import { childHi, childLo } from "../model/message-id.js";
import { hashId } from "../partition/hash.js";
import { shardOfKeyGroup } from "../partition/key-groups.js";
import type { FunctionEntry, Registry } from "../shard/registry.js";
import { GatewaySession } from "./gateway-session.js";

/** What a `send` may say. */
export interface RequestOptions {
  /**
   * Names the message for its address: another call with the same key within the retention, by any process, is not
   * applied again. At most 512 UTF-16 code units.
   */
  readonly idempotencyKey?: string;
  /** Milliseconds, from the turn that applied the message on, for which its key is remembered. Default 24 hours. */
  readonly retentionMs?: number;
}

/** What an `ask` may say. With an idempotency key, a repeated ask gets the reply of the first. */
export interface AskOptions extends RequestOptions {
  /** Milliseconds until the call rejects with `HF_ASK_TIMEOUT`. Default 30,000. The message stays accepted. */
  readonly timeoutMs?: number;
  /** Gives the call up; the message, once accepted, is applied all the same. */
  readonly signal?: AbortSignal;
}

/** What the gateway needs of the supervisor. */
export interface GatewayPorts {
  ring(shard: number): void;
  wantRoom(shard: number, wanted: boolean): void;
}

interface WaitingCall {
  readonly bytes: number;
  readonly enter: () => void;
  readonly refuse: (error: Error) => void;
}

interface PendingAsk {
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Gateway {
  readonly #registry: Registry;
  readonly #ports: GatewayPorts;
  readonly #session: GatewaySession;
  readonly #shards: number;
  readonly #bytesMax: number;
  readonly #codec = new PayloadCodec();
  readonly #writer = new ByteWriter(1024);
  readonly #waiting = new Queue<WaitingCall>();
  #waitingBytes = 0;
  readonly #asks = new Map<number, PendingAsk>();
  readonly #rejecters = new Set<(error: Error) => void>();
  #asked = 0;
  #sessionNumber = 0;
  #keyGroups = 0;
  #flushing = false;
  #closed: Error | undefined;
  #refusal: Error | undefined;
  #connected = false;

  constructor(registry: Registry, ports: GatewayPorts, shards: number, bytesMax: number) {
    this.#registry = registry;
    this.#ports = ports;
    this.#shards = shards;
    this.#bytesMax = bytesMax;
    this.#session = new GatewaySession(shards);
  }

  /** True when every message that was accepted is committed. */
  get empty(): boolean {
    return this.#session.bytes === 0 && this.#waiting.length === 0;
  }

  /** Sends a message; resolves when it is durable. */
  send(to: AnyAddress, message: unknown, options: RequestOptions = {}): Promise<void> {
    return this.#accept(to, message, 0, options);
  }

  /** Sends a message and waits for the committed reply. */
  ask(to: AnyAddress, message: unknown, options: AskOptions): Promise<unknown> {
    const { timeoutMs = askTimeoutMs, signal } = options;
    if (typeof timeoutMs !== "number" || !(timeoutMs > 0)) {
      return Promise.reject(
        new HoldfastError("HF_BAD_OPTIONS", `timeoutMs must be a positive number, not ${String(timeoutMs)}`),
      );
    }
    if (signal?.aborted) return Promise.reject(aborted(to, signal));
    const number = ++this.#asked;
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", abort);
        this.#asks.delete(number);
      };
      const fail = (error: Error): void => {
        settle();
        reject(error);
      };
      const abort = (): void => fail(aborted(to, signal as AbortSignal));
      const timer = setTimeout(() => fail(timedOut(to, timeoutMs)), Math.min(timeoutMs, 2 ** 31 - 1));
      signal?.addEventListener("abort", abort, { once: true });
      this.#asks.set(number, {
        resolve: (reply) => {
          settle();
          resolve(reply);
        },
        reject: fail,
      });
      this.#accept(to, message, number, options).catch(fail);
    });
  }

  /** A generation is recovered: its numbers. */
  recovered(session: number, keyGroups: number): void {
    this.#sessionNumber = session;
    this.#keyGroups = keyGroups;
  }

  connect(channels: readonly Outbound[], consumed: readonly number[]): void {
    for (const [shard, channel] of channels.entries()) this.#session.connect(shard, channel, consumed[shard]);
    this.#connected = true;
    this.#admit();
    this.#flush();
  }

  disconnect(): void {
    this.#connected = false;
    this.#session.disconnect();
  }

  /** A committed epoch has consumed this much of a shard's lane. */
  committed(shard: number, sequence: number): void {
    this.#session.committed(shard, sequence);
    this.#admit();
  }

  /** A shard has made room in the gateway's ring. */
  room(): void {
    this.#flush();
  }

  /** Y3 */
  replied(session: number, number: number, failed: boolean, payload: Uint8Array): void {
    if (session !== this.#sessionNumber) return; // asked by a process that is gone
    const ask = this.#asks.get(number);
    if (ask === undefined) return; // given up
    const reply = this.#codec.decode(payload);
    if (failed) ask.reject(fromWire(reply as WireError));
    else ask.resolve(reply);
  }

  /** Rejects everything that is not settled, and every later call. */
  close(error: Error): void {
    this.#closed = error;
    for (const ask of [...this.#asks.values()]) ask.reject(error);
    for (let call = this.#waiting.shift(); call !== undefined; call = this.#waiting.shift()) call.refuse(error);
    for (const reject of this.#rejecters) reject(error);
    this.#rejecters.clear();
  }

  /** Refuses later calls; what was accepted goes on. */
  closeDoor(error: Error): void {
    this.#closed = error;
  }

  /** Refuses later calls for as long as there is an error to refuse them with; what was accepted goes on. */
  refuse(error: Error | undefined): void {
    this.#refusal = error;
  }

  #accept(to: AnyAddress, message: unknown, askNumber: number, options: RequestOptions): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const refusal = this.#closed ?? this.#refusal;
      if (refusal !== undefined) throw refusal;
      const entry = this.#target(to);
      const { id } = to;
      const checked = entry.accept(id, message);
      const extras = extrasOf(options);
      const payload = this.#codec.encode(copyPlain(checked, "message")).slice();
      this.#rejecters.add(reject);
      const enter = (): void => {
        const accepted = (): void => {
          this.#rejecters.delete(reject);
          resolve();
        };
        this.#enter(entry, id, payload, askNumber, extras, accepted);
      };
      this.#queue(messageBytesEstimate + payload.length, enter, (error) => {
        this.#rejecters.delete(reject);
        reject(error);
      });
    });
  }

  #target(to: AnyAddress): FunctionEntry {
    const entry = this.#registry.named(to?.type);
    if (entry === undefined) {
      throw new HoldfastError(
        "HF_UNKNOWN_FUNCTION",
        `the application defines no function "${String(to?.type)}": add it to defineApp({ functions })`,
      );
    }
    return entry;
  }

  /** Y1, Y2 */
  #queue(bytes: number, enter: () => void, refuse: (error: Error) => void): void {
    if (this.#waiting.length === 0 && this.#session.bytes < this.#bytesMax) {
      enter();
      return;
    }
    if (this.#waitingBytes + bytes > 4 * this.#bytesMax) {
      refuse(
        new HoldfastError("HF_OVERLOAD", "too many messages wait to be accepted: await app.send before sending more"),
      );
      return;
    }
    this.#waitingBytes += bytes;
    this.#waiting.push({ bytes, enter, refuse });
  }

  /** Lets waiting calls in below half of the limit. */
  #admit(): void {
    if (this.#waiting.length === 0 || this.#session.bytes > this.#bytesMax / 2) return;
    for (
      let call = this.#waiting.peek();
      call !== undefined && this.#session.bytes < this.#bytesMax;
      call = this.#waiting.peek()
    ) {
      this.#waiting.shift();
      this.#waitingBytes -= call.bytes;
      call.enter();
    }
  }

  /** The shard of an id. */
  shardOf(id: string): number {
    return shardOfKeyGroup(hashId(id) % this.#keyGroups, this.#keyGroups, this.#shards);
  }

  #enter(
    entry: FunctionEntry,
    id: string,
    payload: Uint8Array,
    askNumber: number,
    extras: Extras | undefined,
    accepted: () => void,
  ): void {
    const shard = this.shardOf(id);
    const sequence = this.#session.nextSequence(shard);
    const lo = childLo(hashId(`gateway ${this.#sessionNumber} ${shard}`), sequence);
    const writer = this.#writer;
    writer.reset();
    const hi = childHi(this.#sessionNumber, lo, sequence);
    const ask = askNumber === 0 ? undefined : { session: this.#sessionNumber, number: askNumber };
    const type = entry.dynamic ? entry.type : undefined;
    writeMessageHead(writer, entry.code, id, hi, lo, undefined, ask, sequence, type, extras);
    writer.bytes(payload);
    this.#session.add(shard, writer.take(), accepted);
    this.#scheduleFlush();
  }

  /** One publish and one doorbell for all calls of an event-loop turn. */
  #scheduleFlush(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (!this.#connected) return;
    for (let shard = 0; shard < this.#shards; shard++) {
      let moved = this.#session.flush(shard);
      const wanted = this.#session.wantsRoom(shard);
      this.#ports.wantRoom(shard, wanted);
      if (wanted) moved = this.#session.flush(shard) || moved; // room made before the word was set
      if (moved) this.#ports.ring(shard);
    }
  }
}

/** @throws `HF_BAD_OPTIONS` */
function extrasOf({ idempotencyKey: key, retentionMs = requestRetentionMs }: RequestOptions): Extras | undefined {
  if (key === undefined) return undefined;
  if (typeof key !== "string" || key === "" || key.length > idempotencyKeyLengthMax) {
    const shown = typeof key === "string" ? `one of ${key.length}` : typeof key;
    throw new HoldfastError(
      "HF_BAD_OPTIONS",
      `idempotencyKey must be a string of 1 to ${idempotencyKeyLengthMax} code units, not ${shown}: hash a longer one`,
    );
  }
  if (typeof retentionMs !== "number" || !(retentionMs > 0 && retentionMs <= requestRetentionMaxMs)) {
    throw new HoldfastError(
      "HF_BAD_OPTIONS",
      `retentionMs must be a positive number of at most ${requestRetentionMaxMs}, not ${String(retentionMs)}`,
    );
  }
  return { key: `user ${key}`, retentionMs };
}

function timedOut(to: AnyAddress, timeoutMs: number): HoldfastError {
  const address = `${to.type}@${to.id}`;
  return new HoldfastError(
    "HF_ASK_TIMEOUT",
    `${address} did not reply within ${timeoutMs} ms; the message itself stays accepted`,
    { address },
  );
}

function aborted(to: AnyAddress, signal: AbortSignal): HoldfastError {
  const address = `${to?.type}@${to?.id}`;
  return new HoldfastError("HF_ASK_ABORTED", `the ask to ${address} was given up by its caller`, {
    address,
    cause: signal.reason,
  });
}
