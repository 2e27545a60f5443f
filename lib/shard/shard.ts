/**
 * A shard: one single-threaded loop over the addresses of its key groups.
 *
 * Owner:  whoever drives `step`: a thread in production, the simulator's scheduler in tests. Time, memory, disk and
 *         other shards come in through `ShardPorts` only.
 * Thread: one.
 * H1. A turn applies as a whole or not at all, between two captures: no capture happens while a synchronous turn runs.
 * H2. A frame of a later epoch is not consumed before that epoch is captured here; while a capture is open it waits.
 * H3. A frame consumed while a capture is open is shown to the capture first.
 * H4. `send` never blocks and never drops: what a ring refuses is in an outbox, and outboxes are drained first.
 * H5. Every loop of a step has a budget, so nothing starves rings, captures, ingress or completions.
 * H6. A gateway message is consumed exactly when its sequence is the next one of the session.
 * H7. Effects since the last capture are visible to the coordinator as `dirty`.
 */

import { ByteWriter } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import { type ErrorCode, HoldfastError, isHoldfastError, toWire } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import {
  aloneRetryMs,
  channelCallersMax,
  fullAddressBytesMax,
  ingestBehindPerStep,
  ingestPerStepMax,
  messageBytesEstimate,
} from "../base/limits.js";
import type { Random } from "../base/random.js";
import { crowded, crowdedOut, isLater, stopTurns } from "../channel/control-words.js";
import type { Inbound } from "../channel/inbound.js";
import type { Extras } from "../codec/extras.js";
import { FrameReader, isCompact } from "../codec/frame-codec.js";
import { type Ask, MessageReader, type Peer } from "../codec/message-codec.js";
import { PayloadCodec } from "../codec/payload-codec.js";
import { copyAgain, copyPlain, estimateBytes } from "../codec/plain-data.js";
import type { Shape } from "../codec/shape.js";
import { type Reject, rejectsName } from "../model/ingress.js";
import { childHi, childLo } from "../model/message-id.js";
import { hashId32 } from "../partition/hash.js";
import { keyGroupOf, keyGroupOfHash, shardOfKeyGroup } from "../partition/key-groups.js";
import { gatewaySender, inflightKeyBytes, writeInflightKey } from "../store/row-key.js";
import { Asks, askCycle } from "./asks.js";
import { AsyncTurns, type PendingTurn } from "./async-turns.js";
import { EngineTime } from "./engine-time.js";
import { EntryRows } from "./entry-rows.js";
import { Failures } from "./failures.js";
import { type FeedPort, IngressFeed, splitKey } from "./ingress-feed.js";
import { ABSENT, Instance, Message, type Origin, type StateCell } from "./instance.js";
import { Mailbox } from "./mailbox.js";
import { Operations, type OperationsPort } from "./operations.js";
import { Outbox, type OutboxEntry } from "./outbox.js";
import { OutputWriter } from "./output.js";
import type { Part } from "./part.js";
import type {
  CapturedEffects,
  RestoredShard,
  ShardConfig,
  ShardCounts,
  ShardEvent,
  ShardPorts,
  TaskInput,
} from "./ports.js";
import { type Column, type FunctionEntry, Registry } from "./registry.js";
import { Requests } from "./requests.js";
import { Rows } from "./rows.js";
import { Schedules } from "./schedules.js";
import { StateAccess } from "./state-access.js";
import { Timers } from "./timers.js";
import { Trial } from "./trial.js";
import { TurnContext, type TurnPort } from "./turn-context.js";

export class Shard implements TurnPort, FeedPort, OperationsPort {
  readonly index: number;
  readonly registry: Registry;
  readonly config: ShardConfig;
  readonly rows: Rows;
  readonly #ports: ShardPorts;
  readonly codec = new PayloadCodec();
  readonly #reader = new MessageReader(this.codec);
  /** Per other shard: what its frames refer to. */
  readonly #frames: readonly (FrameReader | undefined)[];
  readonly #mailbox: Mailbox;
  /** The shard of each key group. */
  readonly #shardOf: readonly number[];
  /** Where messages of this generation come from, by shard. */
  readonly #origins: readonly Origin[];
  readonly #gatewayOrigin: Origin;
  readonly #outboxes: readonly (Outbox | undefined)[];
  readonly #state: StateAccess;
  readonly #asyncTurns: AsyncTurns;
  readonly #failures: Failures;
  readonly entries: EntryRows;
  readonly operations: Operations;
  /** The rooms beside turns. */
  readonly #parts: Part[] = [];
  readonly timers: Timers;
  readonly #requests: Requests;
  readonly #asks: Asks;
  readonly #feeds: IngressFeed[] = [];
  /** Per other shard: its next frame is ahead of the open capture (H2). */
  readonly #heldBack: boolean[];
  #feedsClosed = false;
  #exhausted = false;
  #epoch: number;
  #localSequence = 0;
  /** Instances that have a number as callers. */
  #callers = 0;
  #gatewayConsumed: number;
  #gatewayCaptured: number;
  output = new OutputWriter();
  #dirty = false;
  #pressed = false;
  #admissionOpen = true;
  /** The last step took from ingresses and gateway. */
  #admitted = true;
  #turns = 0;
  #ingested = 0;
  #rejected = 0;
  readonly #orphans: number;
  /** Looks for a message that threads die of; undefined unless recovery is suspicious, and after a while. */
  #trial: Trial | undefined;
  #crowding = 0;

  constructor(config: ShardConfig, ports: ShardPorts, restored: RestoredShard) {
    this.index = config.index;
    this.config = config;
    this.#ports = ports;
    this.#epoch = config.epoch;
    if (config.suspects !== undefined) {
      this.#trial = new Trial(config.suspects, ports.clock, (note) => ports.noteTurns(note));
    }
    this.registry = new Registry(config.app);
    const writing = { codec: this.codec, writer: new ByteWriter(1024) };
    this.#outboxes = ports.outbound.map((channel) => channel && new Outbox(channel, writing));
    this.#shardOf = Array.from({ length: config.keyGroups }, (_, group) =>
      shardOfKeyGroup(group, config.keyGroups, config.shards),
    );
    const { generation } = config;
    this.#origins = Array.from({ length: config.shards }, (_, sender) => ({ generation, sender }));
    this.#gatewayOrigin = { generation, sender: gatewaySender };
    this.#heldBack = new Array(config.shards).fill(false);
    this.#asyncTurns = new AsyncTurns(ports.clock, ports.wakeSelf);
    this.rows = new Rows(ports.base, restored.overlay, config.epoch, config.limits.recentSlabBytes);
    this.#state = new StateAccess(this.registry, this.rows, this.codec, config, () => this.entries.now());
    this.#mailbox = new Mailbox(this.#state);
    this.entries = new EntryRows(this);
    this.#parts.push(this.entries);
    this.#failures = new Failures(this, {
      mailbox: this.#mailbox,
      state: this.#state,
      finish: (message) => this.#finish(message),
      answer: (message, error) => this.#answerWith(message, error),
      givenUp: (message) => this.#asks.forgetUnanswered(message),
      retried: (message) => this.#trial?.acquit(message),
      cancel: (instance, reason) => this.#cancel(instance, reason),
    });
    this.#parts.push(this.#failures);
    this.#gatewayConsumed = restored.gatewayConsumed;
    this.#gatewayCaptured = restored.gatewayConsumed;
    this.#orphans = restored.orphans;
    this.#frames = ports.inbound.map((channel) => channel && new FrameReader(this.codec));
    ports.capture.attach(this.#frames);
    this.operations = new Operations(this);
    this.#parts.push(this.operations);
    this.#requests = new Requests(this);
    this.#asks = new Asks(this);
    this.#parts.push(this.#requests, this.#asks);
    this.#restore(restored);
    const keyGroups = this.#shardOf.flatMap((shard, group) => (shard === this.index ? [group] : []));
    const time = new EngineTime(this);
    time.restore(keyGroups);
    this.timers = new Timers(this, time, keyGroups);
    this.#parts.push(this.timers, new Schedules(this, time, keyGroups));
    for (const part of this.#parts) part.restore?.();
    for (const { ingress, split } of config.splits) this.#openFeed(ingress, split, restored);
    ports.control.setEpoch(this.index, this.#epoch);
  }

  get epoch(): number {
    return this.#epoch;
  }

  /** Messages of this shard that are neither done nor parked, and operations that will be messages. */
  get inFlight(): number {
    let count = this.#mailbox.count;
    for (const outbox of this.#outboxes) if (outbox !== undefined) count += outbox.length;
    for (const part of this.#parts) count += part.inFlight ?? 0;
    return count - this.#failures.waiting;
  }

  get counts(): ShardCounts {
    return {
      turns: this.#turns,
      ingested: this.#ingested,
      rejected: this.#rejected,
      parked: this.#failures.count,
      orphans: this.#orphans,
      exhausted: this.#exhausted,
      resident: this.#state.resident,
    };
  }

  /** One pass of the loop. Returns the amount of work; zero means that nothing was there to do. */
  step(): number {
    this.rows.beginStep();
    const pressure = this.#ports.control.pressure;
    let work = this.#captureWanted();
    work += this.#drainOutboxes();
    work += this.#receive();
    this.#admitted = this.#admits(pressure);
    if (this.#admitted) work += this.#receiveGateway() + this.#ingest();
    work += this.#complete();
    if (this.#mayTurn(pressure)) work += this.#stepParts() + this.#retry() + this.#runTurns();
    this.#publish();
    work += this.#ports.capture.step();
    this.#mailbox.forgetResolved();
    work += this.#state.evict() + this.rows.settle();
    this.#sayCrowding();
    this.press();
    return work;
  }

  /**
   * Called when the shard is about to sleep, after its parked word was set: true when there is something to do after
   * all. Asks whoever waits for a commit to get one.
   */
  mayWork(): boolean {
    const { control, gateway } = this.#ports;
    this.press();
    this.rows.releaseView();
    if (isLater(control.want, this.#epoch) && !this.#ports.capture.open) return true;
    if (this.#framesWait()) return true;
    if (this.#mayTurn(control.pressure) && (this.#mailbox.runnable || this.#partsDue())) return true;
    if (this.#admits(control.pressure) && (!this.#admitted || !gateway.empty())) return true; // feeds cannot be asked
    if (this.#asyncTurns.settled) return true;
    if (this.#merged()) return true;
    if (this.#drainOutboxes() + this.#publish() > 0) return true; // room made before the wish for it was seen
    return this.#captureMayMove();
  }

  /** Merged before the crowding was seen. */
  #merged(): boolean {
    if (this.#crowding === 0) return false;
    const merged = this.rows.settles || this.#state.mayEvict();
    this.rows.releaseView();
    return merged;
  }

  #stepParts(): number {
    let work = 0;
    for (let i = 0; i < this.#parts.length; i++) work += this.#parts[i].step?.() ?? 0;
    return work;
  }

  /** Turns start unless there is too much that only merges can take out of memory. */
  #mayTurn(pressure: number): boolean {
    if ((pressure & stopTurns) !== 0 || this.#state.outpaced) return false;
    return this.rows.recent <= 2 * this.config.limits.recentRowsMax;
  }

  /** Says whether merges would help. */
  #sayCrowding(): void {
    const { recent } = this.rows;
    const { recentRowsMax } = this.config.limits;
    const some = this.#state.crowded || recent > recentRowsMax;
    const crowding = this.#state.outpaced || recent > 2 * recentRowsMax ? crowdedOut : some ? crowded : 0;
    if (crowding !== this.#crowding) this.#ports.control.setCrowding(this.index, crowding);
    this.#crowding = crowding;
  }

  #partsDue(): boolean {
    return this.#parts.some(({ nextDue }) => nextDue !== undefined && nextDue <= this.clock.now());
  }

  #framesWait(): boolean {
    const { inbound, capture } = this.#ports;
    for (let from = 0; from < inbound.length; from++) {
      if (capture.open && this.#heldBack[from]) continue; // it waits for the other shards, and so do we
      if (inbound[from]?.empty() === false) return true;
    }
    return false;
  }

  /** True when an outbox waits for room in a ring. */
  get wantsRoom(): boolean {
    return this.#outboxes.some((outbox) => outbox !== undefined && outbox.length > 0);
  }

  /** Milliseconds until the shard must step again even if nothing happens; undefined when nothing is due. */
  dueIn(): number | undefined {
    let due = this.#asyncTurns.nextDeadline;
    if (this.#mayTurn(this.#ports.control.pressure)) {
      for (const part of this.#parts) due = Math.min(due, part.nextDue ?? Number.POSITIVE_INFINITY);
    }
    return due === Number.POSITIVE_INFINITY ? undefined : Math.max(0, due - this.#ports.clock.now());
  }

  isCommitted(epoch: number): boolean {
    return !isLater(epoch, this.#ports.control.committed);
  }

  get clock(): Clock {
    return this.#ports.clock;
  }

  get random(): Random {
    return this.#ports.random;
  }

  get admissionOpen(): boolean {
    return this.#admissionOpen && !this.#feedsClosed; // at the end nothing new begins
  }

  keyGroupOf(id: string): number {
    return keyGroupOf(id, this.config.keyGroups);
  }

  owns(keyGroup: number): boolean {
    return this.#shardOf[keyGroup] === this.index;
  }

  wakeSelf(): void {
    this.#ports.wakeSelf();
  }

  offload(module: string, name: string, input: TaskInput, signal: AbortSignal): Promise<unknown> {
    return this.#ports.offload(module, name, input, signal);
  }

  closeAddress(instance: Instance): void {
    this.#mailbox.close(instance);
  }

  openAddress(instance: Instance): void {
    this.#mailbox.open(instance);
  }

  /** Ends what goes on in the background. */
  close(): void {
    this.closeFeeds();
    this.#asyncTurns.abandon(new HoldfastError("HF_STOPPED", "the application stops; the message stays accepted"));
    for (const part of this.#parts) part.close?.();
  }

  report(event: ShardEvent): void {
    this.#ports.report(event);
  }

  /** Runs what somebody outside asks for, between turns. Its effects are part of the next commit. */
  command(name: string, args: readonly unknown[]): unknown {
    for (const { commands } of this.#parts) {
      const run = commands?.[name] as ((...given: readonly unknown[]) => unknown) | undefined;
      if (run !== undefined) return run(...args);
    }
    return invariant(false, "a command has a part that runs it");
  }

  /** Takes no more from ingresses; what was accepted goes on. */
  closeFeeds(): void {
    for (const feed of this.#feeds) feed.close();
    this.#feedsClosed = true;
  }

  // --- capture ------------------------------------------------------------------------------------------------------

  #captureWanted(): number {
    if (!isLater(this.#ports.control.want, this.#epoch) || this.#ports.capture.open) return 0;
    this.capture(this.#epoch + 1);
    return 1;
  }

  /** Swaps everything collected since the last capture for empty collections, publishes the tails, enters the epoch. */
  capture(epoch: number): void {
    invariant(epoch === this.#epoch + 1, "epochs are captured one by one");
    invariant(!this.#ports.capture.open, "one capture at a time");
    const { control, capture, outbound } = this.#ports;
    const effects = this.captureEffects(epoch);
    for (let to = 0; to < outbound.length; to++) {
      const channel = outbound[to];
      if (channel === undefined) continue;
      this.#publishTo(to);
      control.setTail(epoch, this.index, to, channel.sent);
    }
    this.#epoch = epoch;
    control.setEpoch(this.index, epoch);
    capture.begin(effects);
    for (let to = 0; to < outbound.length; to++) if (to !== this.index) this.#ports.wakeShard(to);
  }

  captureEffects(epoch: number): CapturedEffects {
    const inFlight = this.inFlight;
    this.#state.fitInto(this.#ports.roomFor(this.#state.resident));
    const effects: CapturedEffects = {
      epoch,
      cells: this.#state.takeDirty(epoch),
      messages: this.captureMessages(),
      outboxes: this.captureOutboxes(),
      rows: this.rows.takeJournal(),
      positions: this.#capturePositions(),
      gateway: this.#captureGateway(),
      output: this.output,
      counts: this.counts,
      inFlight,
    };
    this.output = new OutputWriter();
    this.#dirty = false;
    this.#pressed = false;
    this.#ports.control.setDirty(this.index, false);
    return effects;
  }

  /** Accepted messages without a row: queued ones, and inputs of async turns that have not finished. */
  captureMessages(): Message[] {
    return this.#mailbox.takeUnrowed();
  }

  captureOutboxes(): OutboxEntry[][] {
    return this.#outboxes.map((outbox) => (outbox === undefined ? [] : outbox.takeUnrowed()));
  }

  #capturePositions(): { name: string; bytes: Uint8Array }[] {
    const moved = this.#feeds.filter((feed) => feed.moved);
    return moved.map((feed) => {
      feed.moved = false;
      return { name: feed.key, bytes: this.codec.encode(feed.position).slice() };
    });
  }

  #captureGateway(): CapturedEffects["gateway"] {
    if (this.#gatewayCaptured === this.#gatewayConsumed) return undefined;
    this.#gatewayCaptured = this.#gatewayConsumed;
    return { session: this.config.session, consumed: this.#gatewayConsumed };
  }

  #captureMayMove(): boolean {
    if (!this.#ports.capture.open) return false;
    for (let other = 0; other < this.config.shards; other++) {
      if (isLater(this.#epoch, this.#ports.control.epoch(other))) return false;
    }
    return true;
  }

  // --- frames -------------------------------------------------------------------------------------------------------

  #drainOutboxes(): number {
    let moved = 0;
    for (const outbox of this.#outboxes) {
      if (outbox !== undefined && outbox.length > 0) moved += outbox.drain(this.#epoch, this.#leftOutbox);
    }
    if (moved > 0) this.touch();
    return moved;
  }

  readonly #leftOutbox = (entry: OutboxEntry): void => {
    this.#deleteRow(entry.keyGroup, this.#origins[this.index], entry.sequence);
  };

  #receive(): number {
    let taken = 0;
    const { inbound } = this.#ports;
    for (let from = 0; from < inbound.length; from++) {
      const channel = inbound[from];
      if (channel === undefined) continue;
      const count = this.#receiveFrom(from, channel);
      if (channel.release()) this.#ports.wakeForRoom(from);
      taken += count;
    }
    return taken;
  }

  #receiveFrom(from: number, channel: Inbound): number {
    const { capture } = this.#ports;
    const most = this.config.limits.receivePerStepMax;
    let taken = 0;
    while (taken < most && channel.poll()) {
      this.#heldBack[from] = isLater(channel.epoch, this.#epoch) && !this.enterEpochOf(channel); // H2
      if (this.#heldBack[from]) break;
      const rowed = capture.frameHasRow(from, channel); // H3
      this.#take(channel, from, channel.received + 1, rowed);
      channel.take();
      taken++;
    }
    if (taken > 0) this.touch();
    return taken;
  }

  /** Captures the epoch of a frame that is ahead of this shard; false when the frame must wait for the open capture. */
  enterEpochOf(channel: Inbound): boolean {
    if (this.#ports.capture.open) return false;
    invariant(((channel.epoch - this.#epoch) | 0) === 1, "a frame is at most one epoch ahead");
    this.capture(this.#epoch + 1);
    return true;
  }

  #take(channel: Inbound, from: number, sequence: number, rowed: boolean): void {
    const { body, offset, length } = channel;
    const origin = this.#origins[from];
    const frames = this.#frames[from];
    if (frames === undefined || !isCompact(body, offset)) {
      this.#reader.read(body, offset, length);
      this.#enqueue(this.#reader, origin, sequence, length, rowed);
      return;
    }
    frames.read(body, offset, length);
    const payload = frames.payload();
    const entry = this.registry.coded(frames.targetCode);
    invariant(entry !== undefined, "a message is for a known function type");
    const hash = frames.targetHash;
    const keyGroup = keyGroupOfHash(hash, this.config.keyGroups);
    invariant(this.#shardOf[keyGroup] === this.index, "a message arrives at the shard of its key group");
    const message = new Message(
      entry,
      frames.targetId,
      hash,
      keyGroup,
      payload,
      frames.shape,
      origin,
      sequence,
      frames.idHi,
      frames.idLo,
      frames.caller,
      undefined,
      messageBytesEstimate + length,
      rowed,
      undefined,
    );
    this.#mailbox.accept(message);
  }

  #enqueue(reader: MessageReader, origin: Origin, sequence: number, length: number, rowed: boolean): void {
    const { targetCode, targetId, idHi, idLo, caller, ask, targetType, extras } = reader;
    const hash = hashId32(targetId);
    this.#admit(
      targetCode,
      targetId,
      hash,
      reader.payload(),
      undefined,
      origin,
      sequence,
      idHi,
      idLo,
      caller,
      ask,
      length,
      rowed,
      targetType,
      extras,
    );
  }

  /** Puts a message that came from outside the shard into the mailbox. */
  #admit(
    code: number,
    id: string,
    hash: number,
    payload: unknown,
    shape: Shape | undefined,
    origin: Origin,
    sequence: number,
    idHi: number,
    idLo: number,
    caller: Peer | undefined,
    ask: Ask | undefined,
    length: number,
    rowed: boolean,
    type: string | undefined,
    extras: Extras | undefined,
  ): void {
    const entry = type === undefined ? this.registry.coded(code) : this.registry.restored(type);
    invariant(entry !== undefined, "a message is for a known function type");
    const keyGroup = keyGroupOfHash(hash, this.config.keyGroups);
    invariant(this.#shardOf[keyGroup] === this.index, "a message arrives at the shard of its key group");
    const weight = messageBytesEstimate + length;
    const message = new Message(
      entry,
      id,
      hash,
      keyGroup,
      payload,
      shape,
      origin,
      sequence,
      idHi,
      idLo,
      caller,
      ask,
      weight,
      rowed,
      extras,
    );
    if (extras === undefined || !this.#settledAtDoor(message, extras)) this.#accept(message);
  }

  #accept(message: Message): void {
    this.#mailbox.accept(message);
    this.touch();
  }

  #receiveGateway(): number {
    const channel = this.#ports.gateway;
    const reader = this.#reader;
    const most = this.config.limits.receivePerStepMax;
    let taken = 0;
    while (taken < most && channel.poll()) {
      reader.read(channel.body, channel.offset, channel.length);
      if (this.isNextOfGateway(reader.gatewaySequence)) {
        this.#gatewayConsumed = reader.gatewaySequence;
        this.#enqueue(reader, this.#gatewayOrigin, reader.gatewaySequence, channel.length, false);
      }
      channel.take();
      taken++;
    }
    if (channel.release()) this.#ports.wakeForRoom(gatewaySender);
    return taken;
  }

  /** H6: a resent message that was consumed before is skipped. */
  isNextOfGateway(sequence: number): boolean {
    if (sequence <= this.#gatewayConsumed) return false;
    invariant(sequence === this.#gatewayConsumed + 1, "gateway messages come without a gap");
    return true;
  }

  /** Shows the others what was offered to their rings; how many of them got something new. */
  #publish(): number {
    let published = 0;
    for (let to = 0; to < this.#outboxes.length; to++) if (to !== this.index && this.#publishTo(to)) published++;
    return published;
  }

  #publishTo(to: number): boolean {
    if (!this.#ports.outbound[to]?.publish()) return false;
    this.#ports.wakeShard(to);
    return true;
  }

  // --- admission ----------------------------------------------------------------------------------------------------

  /** Ingress and gateway are admitted by bytes in flight: closed above the mark, open again below half. */
  #admits(pressure: number): boolean {
    const { admissionBytesMax, overloadBytesMax } = this.config.limits;
    let bytes = this.#mailbox.bytes;
    for (const outbox of this.#outboxes) if (outbox !== undefined) bytes += outbox.bytes;
    if (bytes > overloadBytesMax) throw overload(bytes);
    bytes -= this.#mailbox.parkedBytes; // a parked address must not stop the others
    bytes -= Math.min(this.#mailbox.fullBytes, fullAddressBytesMax); // nor one that waits for its operations
    this.#admissionOpen = bytes < (this.#admissionOpen ? admissionBytesMax : admissionBytesMax / 2);
    return this.#admissionOpen && pressure === 0;
  }

  #ingest(): number {
    if (this.#feedsClosed) return 0;
    let taken = 0;
    const most = this.#ingestPerSplit();
    for (const feed of this.#feeds) {
      for (let budget = most; budget > 0; budget--) {
        const kind = feed.advance();
        if (kind === undefined) break;
        this.#ingested++;
        if (kind === "bad") this.#rejected++;
        taken++;
      }
    }
    if (taken > 0) this.touch();
    this.#noticeExhaustion();
    return taken;
  }

  /**
   * Records are taken as turns take their messages. What waits in a queue or an outbox costs a row in each epoch and
   * memory that has left the caches; what waits in the file costs nothing. Never none: others may keep the queue full (H5).
   */
  #ingestPerSplit(): number {
    const room = this.wantsRoom ? 0 : ingestPerStepMax - this.#mailbox.queued;
    return Math.max(ingestBehindPerStep, Math.ceil(room / this.#feeds.length));
  }

  /** The end of the last split is news for who waits for it, though it changes nothing else. */
  #noticeExhaustion(): void {
    if (this.#exhausted || !this.#feeds.every((feed) => feed.exhausted)) return;
    this.#exhausted = true;
    this.touch();
  }

  #openFeed(ingressName: string, split: string, restored: RestoredShard): void {
    const ingress = this.config.app.ingresses.find((candidate) => candidate.name === ingressName);
    invariant(ingress !== undefined, "a dealt split belongs to an ingress of the application");
    const known = restored.positions.get(splitKey(ingressName, split));
    const position = known === undefined ? undefined : this.codec.decode(known.bytes);
    const moved = known !== undefined && !known.rowed;
    this.#feeds.push(new IngressFeed(ingress, split, position, moved, this.#ports.wakeSelf, this));
  }

  sendRouted(
    idHi: number,
    idLo: number,
    index: number,
    entry: FunctionEntry,
    id: string,
    payload: unknown,
    weight: number,
  ): void {
    this.dispatch(entry, id, payload, weight, idHi, idLo, index, undefined);
  }

  reject(ingress: string, reject: Reject, error: unknown): void {
    const code = this.registry.egressCodes.get(rejectsName(ingress));
    invariant(code !== undefined, "every ingress has its rejects");
    this.output.record(code, this.encode(reject, "reject"));
    this.#ports.report({ kind: "rejected", ingress, split: reject.split, where: reject.where, error });
  }

  // --- turns --------------------------------------------------------------------------------------------------------

  cell(instance: Instance, column: Column): StateCell {
    return this.#state.cell(instance, column);
  }

  /** After everything else that the turn did. */
  destroy(instance: Instance): void {
    const { entry, id, hash } = instance;
    for (const column of entry.columns) {
      const cell = this.#state.cell(instance, column);
      if (cell.value !== ABSENT) this.#state.write(cell, ABSENT, false, this.#epoch);
    }
    for (const part of this.#parts) part.destroy?.(entry, id, keyGroupOfHash(hash, this.config.keyGroups));
  }

  encode(value: unknown, what: string): Uint8Array {
    return this.codec.encode(copyPlain(value, what)).slice();
  }

  #runTurns(): number {
    const most = this.#trial === undefined ? this.config.limits.turnsPerStepMax : 1; // T2 of trial.ts
    const { parkedBytes } = this.#mailbox;
    let count = 0;
    while (count < most) {
      const message = this.#mailbox.next();
      if (message === undefined) break;
      this.#runTurn(message);
      count++;
    }
    if (count > 0) this.#ports.control.setTurn(this.index, 0);
    if (this.#mailbox.parkedBytes !== parkedBytes) this.touch(); // who waits for `drained` hears how much is left from commits
    return count;
  }

  #runTurn(message: Message): void {
    const { entry } = message;
    if (message.extras !== undefined && this.#settledBefore(message, message.extras)) return;
    if (this.#trial !== undefined && !this.#tries(message, this.#trial)) return;
    entry.context ??= new TurnContext(this, entry);
    const { context } = entry;
    context.begin(message);
    this.#ports.control.setTurn(this.index, entry.code32);
    this.#turns++;
    let outcome: void | PromiseLike<void>;
    try {
      outcome = entry.definition.options.receive(context, copyAgain(message.payload, message.shape, "message"));
    } catch (error) {
      this.#trial?.ended(message);
      this.#fail(context, message, error);
      return;
    }
    if (typeof outcome === "object" && typeof outcome?.then === "function") this.#pend(context, message, outcome);
    else {
      this.#trial?.ended(message);
      this.#apply(context, message);
    }
  }

  /** With a suspicion: true when the message may run now, which is then written down. */
  #tries(message: Message, trial: Trial): boolean {
    if (trial.over) {
      this.#trial = undefined;
      return true;
    }
    const sentence = trial.sentence(message);
    if (sentence === undefined && !trial.mustWait(message)) {
      trial.begins(message);
      return true;
    }
    this.#mailbox.hold(message);
    if (sentence === undefined) this.#failures.postpone(message, aloneRetryMs);
    else {
      this.#failures.condemned(message, trial.diedDuring(message), sentence);
      trial.acquit(message);
    }
    return false;
  }

  /** Makes everything the turn did real (H1). */
  #apply(context: TurnContext, message: Message): void {
    const { handles } = context;
    for (let i = 0; i < handles.length; i++) {
      const handle = handles[i];
      if (handle.touched) this.#state.write(handle.cell, handle.staged, handle.stagedMutable, this.#epoch);
    }
    for (let i = 0; i < context.sendCount; i++) {
      const { entry, id, payload, shape, weight } = context.sends[i];
      this.dispatch(entry, id, payload, weight, message.idHi, message.idLo, i, message.target, undefined, shape);
    }
    if (context.records.length > 0)
      for (const { egressCode, bytes } of context.records) this.output.record(egressCode, bytes);
    if (message.ask !== undefined) for (const bytes of context.replies) this.output.reply(message.ask, false, bytes);
    context.applyStaged();
    if (message.extras !== undefined) this.#concludeRequest(message, context.replies[0]);
    context.end();
    this.#finish(message);
  }

  #finish(message: Message): void {
    this.#mailbox.finish(message);
    if (message.rowed) {
      this.#deleteRow(message.keyGroup, message.origin, message.sequence);
    }
    this.touch();
  }

  /** Sends one message: into the mailbox when it stays here, else towards its shard (H4). */
  dispatch(
    entry: FunctionEntry,
    id: string,
    payload: unknown,
    payloadWeight: number,
    parentHi: number,
    parentLo: number,
    index: number,
    caller: Peer | undefined,
    extras: Extras | undefined = undefined,
    payloadShape: Shape | undefined = undefined,
  ): void {
    const hash = hashId32(id);
    const keyGroup = keyGroupOfHash(hash, this.config.keyGroups);
    const shard = this.#shardOf[keyGroup];
    const lo = childLo(parentLo, index);
    const hi = childHi(parentHi, lo, index);
    if (shard === this.index) {
      const weight = messageBytesEstimate + payloadWeight;
      const origin = this.#origins[shard];
      const sequence = ++this.#localSequence;
      const message = new Message(
        entry,
        id,
        hash,
        keyGroup,
        payload,
        payloadShape,
        origin,
        sequence,
        hi,
        lo,
        caller,
        undefined,
        weight,
        false,
        extras,
      );
      if (extras === undefined || !this.#settledAtDoor(message, extras)) this.#mailbox.accept(message);
      return;
    }
    const outbox = this.#outboxes[shard];
    invariant(outbox !== undefined, "another shard has an outbox");
    if (entry.dynamic || extras !== undefined || caller?.dynamicType !== undefined) {
      const type = entry.dynamic ? entry.type : undefined;
      outbox.sendWhole(entry.code, id, hi, lo, caller, payload, this.#epoch, keyGroup, type, extras);
      return;
    }
    if (caller instanceof Instance && caller.number === 0) this.#number(caller);
    outbox.send(entry.code32, id, hash, hi, lo, caller, payload, this.#epoch, keyGroup, payloadShape);
  }

  /** Gives an instance a number as a caller, as long as there are any. */
  #number(caller: Instance): void {
    if (this.#callers < channelCallersMax) caller.number = ++this.#callers;
  }

  // --- requests -----------------------------------------------------------------------------------------------------

  ask(
    context: TurnContext,
    entry: FunctionEntry,
    id: string,
    payload: unknown,
    index: number,
    timeoutMs: number,
  ): Promise<unknown> {
    const { message, target: asker } = context;
    const target = `${entry.type}@${id}`;
    const chain = [...(message.extras?.question?.chain ?? []), asker.toString()];
    if (chain.includes(target)) throw askCycle(target, chain); // K3 of asks.ts
    const key = `ask ${context.messageId} ${index} ${asker}`;
    const { number, reply } = this.#asks.wait(asker.toString(), target, timeoutMs);
    const forget = (): void =>
      this.#dispatchWhole(entry, id, undefined, message, forgetIndex + index, { key, forget: true });
    reply.catch((error: unknown) => {
      if (isHoldfastError(error, "HF_NO_REPLY")) this.#asks.unanswered(message, index, forget);
    });
    context.stage({
      apply: () => {
        this.#asks.abandon(number);
        forget();
      },
      discard: () => this.#asks.abandon(number),
    });
    const { generation } = this.config;
    const question = { type: asker.entry.type, id: asker.id, generation, number, chain };
    this.#dispatchWhole(entry, id, payload, message, askIndex + index, { key, question });
    this.touch();
    this.wakeSelf();
    return reply;
  }

  /** An answer goes to the promise that waits for it, past the mailbox: its address is locked. A cycle is refused. */
  #settledAtDoor(message: Message, extras: Extras): boolean {
    const { answer, question } = extras;
    if (answer !== undefined) this.#asks.settle(answer, message.payload);
    else if (question !== undefined) {
      const target = `${message.entry.type}@${message.id}`;
      if (!this.#asks.closesCycle(target, question)) return false;
      this.#answerFailure(message, askCycle(target, question.chain));
    } else return false;
    if (message.rowed) {
      this.#deleteRow(message.keyGroup, message.origin, message.sequence);
      this.touch();
    }
    return true;
  }

  /** A message whose key was applied before gets the reply of that time; true when there is nothing to run. */
  #settledBefore(message: Message, extras: Extras): boolean {
    if (extras.key === undefined) return false;
    if (extras.forget === true) this.#requests.forget(message);
    else {
      const applied = this.#requests.find(message);
      if (applied === undefined) return false;
      if (message.ask !== undefined && applied.reply !== undefined)
        this.output.reply(message.ask, false, applied.reply);
      this.#answer(message, applied.reply);
    }
    this.#finish(message);
    return true;
  }

  #concludeRequest(message: Message, reply: Uint8Array | undefined): void {
    this.#requests.remember(message, reply);
    this.#answer(message, reply);
  }

  #answer(message: Message, reply: Uint8Array | undefined): void {
    if (message.extras?.question === undefined) return;
    if (reply !== undefined) this.#reply(message, false, this.codec.decode(reply));
    else {
      const { target } = message;
      const error = new HoldfastError("HF_NO_REPLY", `${target} took the message and did not call ctx.reply`, {
        address: target.toString(),
      });
      this.#answerFailure(message, error);
    }
  }

  /** Tells whoever waits for a reply, from outside or in a turn, that none will come. */
  #answerFailure(message: Message, failure: HoldfastError): void {
    this.#answerWith(message, toPlain(failure));
  }

  #answerWith(message: Message, error: unknown): void {
    if (message.ask !== undefined) this.output.reply(message.ask, true, this.encode(error, "failure"));
    if (message.extras?.question !== undefined) this.#reply(message, true, error);
  }

  #reply(message: Message, failed: boolean, payload: unknown): void {
    const question = message.extras?.question;
    const entry = question === undefined ? undefined : this.registry.restored(question.type);
    if (question === undefined || entry === undefined) return;
    const { generation, number } = question;
    this.#dispatchWhole(entry, question.id, payload, message, answerIndex, { answer: { generation, number, failed } });
  }

  /** Sends a message with extras. Its id comes from that of another message. */
  #dispatchWhole(
    entry: FunctionEntry,
    id: string,
    payload: unknown,
    { idHi, idLo, instance }: Message,
    index: number,
    extras: Extras,
  ): void {
    const sized = extras.question !== undefined && (typeof payload === "object" || typeof payload === "string");
    this.dispatch(entry, id, payload, sized ? estimateBytes() : 0, idHi, idLo, index, instance, extras);
  }

  // --- async turns and failures -------------------------------------------------------------------------------------

  /** The turn goes on in the background: the address is locked, the context belongs to the turn. */
  #pend(context: TurnContext, message: Message, outcome: PromiseLike<void>): void {
    message.entry.context = undefined;
    message.target.state = "running";
    this.#mailbox.hold(message);
    this.#trial?.pends(message);
    this.#asyncTurns.add(context, message, outcome, this.#failures.policyOf(message.entry).turnTimeoutMs);
  }

  #complete(): number {
    let count = 0;
    for (let turn = this.#asyncTurns.next(); turn !== undefined; turn = this.#asyncTurns.next()) {
      this.#completeTurn(turn);
      count++;
    }
    return count;
  }

  #completeTurn({ context, message, failure }: PendingTurn): void {
    message.target.state = "ready";
    this.#trial?.ended(message);
    if (failure === undefined) this.#apply(context, message);
    else this.#fail(context, message, failure.error);
    this.#mailbox.resume(message.target);
  }

  #cancel(instance: Instance, reason: HoldfastError): boolean {
    const turn = this.#asyncTurns.cancel(instance, reason);
    if (turn !== undefined) this.#completeTurn(turn);
    return turn !== undefined;
  }

  #retry(): number {
    let count = 0;
    for (let message = this.#failures.nextRetry(); message !== undefined; message = this.#failures.nextRetry()) {
      message.target.state = "ready";
      this.#runTurn(message);
      this.#mailbox.resume(message.target);
      count++;
    }
    return count;
  }

  /** A turn threw: nothing of it applies; its failure policy says what becomes of its message. */
  #fail(context: TurnContext, message: Message, error: unknown): void {
    context.discardStaged();
    context.end();
    if (isHoldfastError(error) && notTheFunctions.has(error.code)) throw error;
    this.#mailbox.hold(message);
    this.#failures.failed(message, error);
  }

  // --- the rest -----------------------------------------------------------------------------------------------------

  #restore(restored: RestoredShard): void {
    for (const key of restored.tombstones) this.rows.forget(key);
    for (const { generation, sender, sequence, body, rowed } of restored.messages) {
      this.#reader.read(body, 0, body.length);
      this.#enqueue(this.#reader, { generation, sender }, sequence, body.length, rowed);
    }
    if (restored.tombstones.length > 0) this.touch();
  }

  #deleteRow(keyGroup: number, { generation, sender }: Origin, sequence: number): void {
    writeInflightKey(inflightKeyScratch, 0, keyGroup, generation, sender, sequence);
    this.rows.forget(inflightKeyScratch);
  }

  /** There is something new to commit (H7). */
  touch(): void {
    if (this.#dirty) return;
    this.#dirty = true;
    this.#ports.control.setDirty(this.index, true);
    if (this.#ports.control.endAwaited) this.#ports.wakeStorage(); // it may have nothing to look for yet
  }

  /** Somebody outside waits for what was done here: asks for a commit, once per epoch. */
  press(): void {
    if (this.#pressed || !this.#dirty) return;
    if (this.#gatewayConsumed === this.#gatewayCaptured && this.output.empty) return;
    this.#pressed = true;
    this.#ports.control.waiting = true;
    this.#ports.wakeStorage();
  }
}

/** Places of a question, of what forgets it and of an answer among what a message sends, behind all of its sends. */
const askIndex = 2 ** 28;
const forgetIndex = 2 ** 29;
const answerIndex = 2 ** 30;

const inflightKeyScratch = new Uint8Array(inflightKeyBytes);

/** Failures that a turn only met: they are the engine's, and end the shard. */
const notTheFunctions: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "HF_STATE_DAMAGED",
  "HF_FORMAT",
  "HF_INVARIANT",
  "HF_IO",
]);

function overload(bytes: number): HoldfastError {
  return new HoldfastError(
    "HF_OVERLOAD",
    `${bytes} bytes of messages are in flight in one shard: functions send more than they consume, without end. Nothing is lost; stop the amplification and start again`,
  );
}

/** A wire error as plain data. */
function toPlain(error: HoldfastError): unknown {
  return JSON.parse(JSON.stringify(toWire(error)));
}
