/**
 * The shared words of one generation: how shards, coordinator and main see each other's progress without messages.
 *
 * Owner:   allocated by the supervisor, anew for each generation. Each word has one writer, named below, except
 *          `waiting` and the parked words, which are flags anyone may raise or clear.
 * Threads: all; every access is an Atomics operation.
 * W1. Epochs are u32 and compared as `(a - b) | 0`: they wrap, and Int32 alone would overflow after 25 days at 1 kHz.
 * W2. A shard stores `tail[n & 1]` before `epoch[i] = n`: who sees the epoch sees the tails.
 * W3. `tail[n & 1]` is not overwritten before every shard has finished n: epoch n + 2 begins after all deltas of
 *     n + 1 have arrived, and those need every shard's n finished.
 *
 *     word   0 want · 1 committed · 2 waiting · 3 pressure · 4 storage parked · 5 in transaction ·
 *            6 end awaited
 *     then   a line (16 words) per shard: epoch · parked · dirty · heartbeat · turn code · idle ·
 *            room wanted · gateway room wanted · crowding
 *     then   tails: [parity][from][to]
 */
import { invariant } from "../base/invariant.js";

const lineWords = 16;
const want = 0;
const committed = 1;
const waiting = 2;
const pressure = 3;
const storageParked = 4;
const inTransaction = 5;
const endAwaited = 6;
const shardLines = lineWords;
const epochWord = 0;
const parkedWord = 1;
const dirtyWord = 2;
const heartbeatWord = 3;
const turnWord = 4;
const idleWord = 5;
const roomWantedWord = 6;
const gatewayRoomWantedWord = 7;
const crowdedWord = 8;

/** Bit of `pressure`: the log is long or its disk full. Any bit closes ingress and gateway. */
export const logPressure = 1;
/** Bit of `pressure`: an egress lags behind. */
export const egressPressure = 2;
/** Bit of `pressure`: the application drains. */
export const drainPressure = 4;
/** Bit of `pressure`: shards start no turns. */
export const stopTurns = 8;

/** Of a shard's crowding: merges should come early. */
export const crowded = 1;
/** Of a shard's crowding: its turns wait for merges. */
export const crowdedOut = 2;

/** True when epoch `a` is later than epoch `b` (W1). */
export function isLater(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

export class ControlWords {
  readonly shards: number;
  readonly words: Int32Array;

  constructor(memory: ArrayBufferLike, shards: number) {
    this.words = new Int32Array(memory);
    this.shards = shards;
    invariant(this.words.length === ControlWords.length(shards), "control words fit the shard count");
  }

  static length(shards: number): number {
    return shardLines + shards * lineWords + 2 * shards * shards;
  }

  static allocate(shards: number, shared: boolean): ArrayBufferLike {
    const bytes = ControlWords.length(shards) * Int32Array.BYTES_PER_ELEMENT;
    return shared ? new SharedArrayBuffer(bytes) : new ArrayBuffer(bytes);
  }

  /** The epoch shards are asked to capture. Writer: the coordinator. */
  get want(): number {
    return Atomics.load(this.words, want) >>> 0;
  }
  set want(epoch: number) {
    Atomics.store(this.words, want, epoch | 0);
  }

  /** The last durable epoch. Writer: the coordinator. */
  get committed(): number {
    return Atomics.load(this.words, committed) >>> 0;
  }
  set committed(epoch: number) {
    Atomics.store(this.words, committed, epoch | 0);
  }

  /** Somebody outside waits for a commit. Raised by shards, cleared by the coordinator. */
  get waiting(): boolean {
    return Atomics.load(this.words, waiting) === 1;
  }
  set waiting(value: boolean) {
    Atomics.store(this.words, waiting, value ? 1 : 0);
  }

  /** Main waits for the commit after which nothing is left to do. Writer: main. */
  get endAwaited(): boolean {
    return Atomics.load(this.words, endAwaited) === 1;
  }
  set endAwaited(value: boolean) {
    Atomics.store(this.words, endAwaited, value ? 1 : 0);
  }

  /** Reasons to admit nothing new (egress backlog, log size), as bits. */
  get pressure(): number {
    return Atomics.load(this.words, pressure);
  }
  raisePressure(bit: number): void {
    Atomics.or(this.words, pressure, bit);
  }
  releasePressure(bit: number): void {
    Atomics.and(this.words, pressure, ~bit);
  }

  /** The epoch shard `shard` works in. Writer: that shard, after its tails (W2). */
  epoch(shard: number): number {
    return Atomics.load(this.words, this.#line(shard) + epochWord) >>> 0;
  }
  setEpoch(shard: number, epoch: number): void {
    Atomics.store(this.words, this.#line(shard) + epochWord, epoch | 0);
  }

  /** Shard `shard` has done something since its last capture. Writer: that shard. */
  dirty(shard: number): boolean {
    return Atomics.load(this.words, this.#line(shard) + dirtyWord) === 1;
  }
  setDirty(shard: number, value: boolean): void {
    Atomics.store(this.words, this.#line(shard) + dirtyWord, value ? 1 : 0);
  }

  /** Shard `shard` has nothing to do. Writer: that shard. */
  idle(shard: number): boolean {
    return Atomics.load(this.words, this.#line(shard) + idleWord) === 1;
  }
  setIdle(shard: number, value: boolean): void {
    Atomics.store(this.words, this.#line(shard) + idleWord, value ? 1 : 0);
  }

  /** Shard `shard` sleeps with messages that its rings had no room for. Writer: that shard. */
  roomWanted(shard: number): boolean {
    return Atomics.load(this.words, this.#line(shard) + roomWantedWord) === 1;
  }
  setRoomWanted(shard: number, value: boolean): void {
    Atomics.store(this.words, this.#line(shard) + roomWantedWord, value ? 1 : 0);
  }

  /** The gateway has messages that its ring to `shard` had no room for. Writer: main. */
  gatewayRoomWanted(shard: number): boolean {
    return Atomics.load(this.words, this.#line(shard) + gatewayRoomWantedWord) === 1;
  }
  setGatewayRoomWanted(shard: number, value: boolean): void {
    Atomics.store(this.words, this.#line(shard) + gatewayRoomWantedWord, value ? 1 : 0);
  }

  /**
   * How much shard `shard` wants merges, because it has more in memory than it should and can let go of what is merged: 0
   * not at all, `crowded`, or `crowdedOut`. Writer: that shard.
   */
  crowding(shard: number): number {
    return Atomics.load(this.words, this.#line(shard) + crowdedWord);
  }
  setCrowding(shard: number, value: number): void {
    Atomics.store(this.words, this.#line(shard) + crowdedWord, value);
  }

  /** Grows while the loop of `shard` turns. Writer: that shard. */
  heartbeat(shard: number): number {
    return Atomics.load(this.words, this.#line(shard) + heartbeatWord);
  }
  beat(shard: number): void {
    const index = this.#line(shard) + heartbeatWord;
    Atomics.store(this.words, index, (Atomics.load(this.words, index) + 1) | 0);
  }

  /** Code of the function type whose turn runs at `shard`, 0 between turns. Writer: that shard. */
  turn(shard: number): number {
    return Atomics.load(this.words, this.#line(shard) + turnWord) >>> 0;
  }
  setTurn(shard: number, code: number): void {
    this.words[this.#line(shard) + turnWord] = code | 0; // read by a watchdog only: a late value does no harm
  }

  /** Whole messages that `from` had put into the ring to `to` when it captured `epoch` (W3). */
  tail(epoch: number, from: number, to: number): number {
    return Atomics.load(this.words, this.#tail(epoch, from, to)) >>> 0;
  }
  setTail(epoch: number, from: number, to: number, count: number): void {
    Atomics.store(this.words, this.#tail(epoch, from, to), count | 0);
  }

  /** Shard `shard` sleeps. Set by it, cleared by whoever wakes it. */
  parked(shard: number): boolean {
    return Atomics.load(this.words, this.parkedIndex(shard)) === 1;
  }
  /** Index of the parked word of a shard, for its doorbells. */
  parkedIndex(shard: number): number {
    return this.#line(shard) + parkedWord;
  }
  /** Index of the parked word of the storage thread. */
  get storageParkedIndex(): number {
    return storageParked;
  }
  /** Index of the word that is 1 while the storage thread is inside an LMDB transaction. */
  get inTransactionIndex(): number {
    return inTransaction;
  }

  #line(shard: number): number {
    return shardLines + shard * lineWords;
  }

  #tail(epoch: number, from: number, to: number): number {
    return shardLines + this.shards * lineWords + ((epoch & 1) * this.shards + from) * this.shards + to;
  }
}
