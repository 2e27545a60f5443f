/**
 * The protocol as a model: N shards, rings, outboxes, a coordinator, a log, bases, a gateway and a sink, driven by one
 * seeded scheduler that also kills the workers, the process and the machine, and lets the disk fail. Small enough to read
 * in one sitting, and independent of the engine: what it proves is the protocol.
 *
 * Tokens are the currency. An input brings some, a message or timer carries them, an address keeps them in the end; so
 * on every cut, tokens let in = tokens kept + tokens in flight. Checked at every commit, every recovery and the end:
 *
 * M1. Conservation, and no message twice, on the cut (`checkCut`).
 * M2. FIFO per pair of addresses, and per gateway session and address (`checkOrder`).
 * M3. The sink holds, per address, a prefix of what the committed state says was emitted, hash chain included.
 * M4. No acknowledged gateway message is missing from the committed state.
 * M5. A base never holds more than was committed; the log always reaches back to what a base lacks.
 * M6. With faults off, everything drains.
 * M7. What was committed once is found by every recovery.
 *
 * Values are never changed once they are shared (messages, rows, captured cells), so that images of the past are cheap.
 */
import { type Random, seededRandom } from "../../lib/base/random.js";
import { DiskFailure, ModelLog } from "./model-log.js";
import type { Mutant } from "./mutants.js";

/** A rule was broken: by a mutant, or by the protocol. */
export class ModelViolation extends Error {
  override readonly name = "ModelViolation";
}

/** How often the interesting things happened in a run. */
export interface ModelStatistics {
  crashes: number;
  workerRestarts: number;
  powerLosses: number;
  appendsFailed: number;
  syncsFailed: number;
  rescales: number;
  epochs: number;
  recorded: number;
  forced: number;
  fragments: number;
  tombstones: number;
  slices: number;
  resent: number;
  duplicates: number;
  emitted: number;
}

/** Runs one seed to the end. @throws ModelViolation */
export function runModel(seed: number, mutant?: Mutant, steps = 600): ModelStatistics {
  return new EpochModel(seed, mutant, steps).run();
}

interface Message {
  readonly kind: "ingress" | "direct" | "timer" | "gateway";
  readonly from: number;
  readonly to: number;
  /** Position among the messages of its pair (direct) or of its session (gateway). */
  readonly order: number;
  readonly session: number;
  readonly tokens: number;
  readonly hops: number;
  readonly fragments: number;
}

/** One key for life: generation, sender shard, channel sequence; with the address it names one message. */
interface Row {
  readonly generation: number;
  readonly sender: number;
  readonly sequence: number;
  readonly name: string;
  readonly message: Message;
}

/** A message in memory: in an outbox, a ring, a mailbox or a turn. */
interface Envelope {
  readonly row: Row;
  /** Its sequence in the ring it travels on; 0 when it never did in this generation. */
  readonly sequence: number;
  /** The sender's epoch when it entered the ring. */
  epoch: number;
  /** Whether the table of the shard that holds this envelope has its row. */
  hasRow: boolean;
  /** Only for `fragdrop`. */
  hidden: boolean;
}

type Frame = Envelope | "fragment";

interface Timer {
  readonly due: number;
  readonly message: Message;
}

interface EgressRow {
  readonly address: number;
  readonly order: number;
  readonly hash: number;
  readonly epoch: number;
}

/** The state of an address. */
interface Cell {
  tokens: number;
  turns: number;
  emitted: number;
  hash: number;
  readonly received: Map<string, number>;
  readonly sent: Map<number, number>;
}

/** What a shard adds to every delta as a whole. */
interface Meta {
  readonly offsets: ReadonlyMap<number, number>;
  readonly consumed: ReadonlyMap<string, number>;
  readonly timers: readonly Timer[];
  readonly egress: readonly EgressRow[];
}

interface Delta {
  readonly cells: ReadonlyMap<number, Cell>;
  readonly put: Map<string, Row>;
  readonly deleted: readonly string[];
  readonly meta: Meta;
}

/** A shard at an epoch: a base, or what recovery makes of a base and deltas. */
interface Image {
  epoch: number;
  cells: Map<number, Cell>;
  table: Map<string, Row>;
  meta: Meta;
}

interface Base {
  current: Image;
  durable: Image;
  /** The epoch that the engine takes to be durable. */
  believed: number;
}

interface Capture {
  readonly epoch: number;
  readonly delta: Delta;
  readonly done: boolean[];
}

interface Merge {
  readonly epoch: number;
  readonly meta: Meta;
  readonly changes: Change[];
}
type Change = { readonly cell: number; readonly to: Cell } | { readonly row: string; readonly to: Row | undefined };

interface Announcement {
  readonly session: number;
  /** Per shard, the last sequence consumed in a committed epoch. */
  readonly consumed: ReadonlyMap<number, number>;
}

type CrashKind = "worker" | "process" | "os";

const gatewaySender = 0xffff;
/** In the place of a shard: the record that commits an epoch. */
const commitRecord = -1;

class Shard {
  readonly index: number;
  epoch = 0;
  cells = new Map<number, Cell>();
  dirty = new Set<number>();
  mailbox: Envelope[] = [];
  locked = new Set<number>();
  running: Envelope[] = [];
  timers: Timer[] = [];
  egress: EgressRow[] = [];
  readonly outboxes: Envelope[][];
  readonly fragmentsSent: number[];
  readonly sent: number[];
  /** Sequence of the last whole message in each outgoing ring. */
  readonly tail: number[];
  /** Sequence up to which each incoming ring was copied into a capture. */
  readonly copied: number[];
  offsets = new Map<number, number>();
  consumed = new Map<string, number>();
  tombstones: string[] = [];
  capture: Capture | undefined;

  constructor(index: number, shards: number) {
    this.index = index;
    this.outboxes = Array.from({ length: shards }, () => []);
    this.fragmentsSent = new Array(shards).fill(0);
    this.sent = new Array(shards).fill(0);
    this.tail = new Array(shards).fill(0);
    this.copied = new Array(shards).fill(0);
  }

  meta(): Meta {
    return {
      offsets: new Map(this.offsets),
      consumed: new Map(this.consumed),
      timers: [...this.timers],
      egress: [...this.egress],
    };
  }
}

/** The storage thread's side; lives as long as the process. */
class Coordinator {
  want: number;
  capturing: number | undefined;
  arrived = new Set<number>();
  queue: number[] = [];
  syncing: number | undefined;
  /** Per epoch, what each shard had consumed from the gateway when it captured. */
  readonly consumed = new Map<number, Map<number, number>>();
  merges = new Map<number, Merge>();

  constructor(committed: number) {
    this.want = committed;
  }
}

/** The gateway: outside the cut, lives as long as the process. */
class Gateway {
  readonly session: number;
  readonly next = new Map<number, number>();
  readonly unacknowledged = new Map<number, Message[]>();
  /** Commits that it has not heard of yet: the news travels between threads. */
  announcements: Announcement[] = [];

  constructor(session: number) {
    this.session = session;
  }
}

class EpochModel {
  readonly #random: Random;
  readonly #mutant: Mutant | undefined;
  readonly #steps: number;
  readonly #swarm: ReturnType<typeof drawSwarm>;
  readonly #statistics: ModelStatistics = freshStatistics();

  // what the outside world holds, for ever
  readonly #inputs: Message[][];
  readonly #gatewayTokens = new Map<string, number[]>();
  readonly #acknowledged = new Map<string, number>();
  readonly #sink = new Map<number, EgressRow[]>();

  // what is on disk
  readonly #log: ModelLog<Delta>;
  #bases: Base[] = [];
  #generation = 0;

  // what the process holds
  #committed = 0;
  #coordinator = new Coordinator(0);
  #gateway = new Gateway(0);
  #gatewayLeft: number;

  // what the workers hold
  #shardCount: number;
  #shards: Shard[] = [];
  #rings: Frame[][][] = [];
  #gatewayRings: Message[][] = [];
  #marks = new Map<number, (number[] | undefined)[]>();

  /** The last epoch that was committed, whatever happened since. */
  #promised = 0;
  /** The committed state of each shard, kept beside the engine's own to check every commit. */
  #truth: Image[] = [];
  #quiet = false;

  constructor(seed: number, mutant: Mutant | undefined, steps: number) {
    this.#random = seededRandom(seed);
    this.#log = new ModelLog(this.#random);
    this.#mutant = mutant;
    this.#steps = steps;
    this.#swarm = drawSwarm(this.#random);
    this.#shardCount = this.#swarm.shards;
    this.#gatewayLeft = this.#swarm.gatewayMessages;
    this.#inputs = Array.from({ length: this.#swarm.shards }, () =>
      Array.from({ length: this.#swarm.inputs }, () => this.#freshMessage("ingress", 0, 0)),
    );
  }

  run(): ModelStatistics {
    this.#startFirst();
    for (let step = 0; !(this.#quiet && this.#isDrained()); step++) {
      if (step > this.#steps * 200) throw new ModelViolation("no progress"); // M6
      this.#quiet = step > this.#steps;
      this.#step();
    }
    this.#checkCut(this.#shards.map((shard) => imageOf(shard)));
    return this.#statistics;
  }

  #step(): void {
    try {
      if (!this.#quiet && this.#chance(this.#swarm.crash)) this.#crash();
      else this.#act();
    } catch (thrown) {
      if (!(thrown instanceof DiskFailure)) throw thrown;
      this.#restartGeneration();
    }
  }

  #is(mutant: Mutant): boolean {
    return this.#mutant === mutant;
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }

  #shardOf(address: number): number {
    return address % this.#shardCount;
  }

  #act(): void {
    const shard = this.#shards[this.#random.below(this.#shardCount)]!;
    const actions = [
      this.#ingest,
      this.#consume,
      this.#consume,
      this.#startTurn,
      this.#startTurn,
      this.#endAsyncTurn,
      this.#drainAll,
      this.#fireTimer,
      this.#coordinate,
      this.#merge,
      this.#callGateway,
      this.#takeFromGateway,
      this.#releaseEgress,
      this.#hearOfCommit,
    ];
    actions[this.#random.below(actions.length)]!.call(this, shard);
  }

  // ── turns ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #freshMessage(kind: "ingress" | "gateway", order: number, session: number): Message {
    const to = this.#random.below(this.#swarm.addresses);
    return {
      kind,
      from: -1,
      to,
      order,
      session,
      tokens: 1 + this.#random.below(5),
      hops: this.#swarm.hops,
      fragments: 1,
    };
  }

  #ingest(shard: Shard): void {
    const splits = [...shard.offsets.keys()];
    if (splits.length === 0) return;
    const split = splits[this.#random.below(splits.length)]!;
    const offset = shard.offsets.get(split)!;
    const message = this.#inputs[split]![offset];
    if (message === undefined || !(this.#quiet || this.#chance(0.5))) return;
    shard.offsets.set(split, offset + 1);
    this.#send(shard, message);
  }

  #startTurn(shard: Shard): void {
    if (this.#swarm.hot && !this.#quiet && !this.#chance(0.35)) return;
    const index = firstRunnable(shard);
    if (index < 0) return;
    const [envelope] = shard.mailbox.splice(index, 1) as [Envelope];
    if (this.#chance(this.#swarm.async)) {
      shard.locked.add(envelope.row.message.to);
      shard.running.push(envelope);
    } else this.#turn(shard, envelope);
  }

  #endAsyncTurn(shard: Shard): void {
    if (shard.running.length === 0) return;
    const [envelope] = shard.running.splice(this.#random.below(shard.running.length), 1) as [Envelope];
    shard.locked.delete(envelope.row.message.to);
    this.#turn(shard, envelope);
  }

  /** Applies a turn as a whole: keep the tokens, send them on, or put them into a timer; perhaps emit. */
  #turn(shard: Shard, envelope: Envelope): void {
    const { message } = envelope.row;
    const cell = cellAt(shard, message.to);
    shard.dirty.add(message.to);
    if (!this.#is("keeprow")) this.#deleteRow(shard, envelope);
    checkOrder(cell, message);
    cell.turns++;
    const choice = this.#random.next();
    if (message.hops <= 0 || choice >= this.#swarm.timer + 0.6) cell.tokens += message.tokens;
    else if (choice < this.#swarm.timer) this.#schedule(shard, message);
    else this.#sendOn(shard, cell, message);
    if (this.#chance(this.#swarm.emit)) this.#emit(shard, cell, message);
  }

  #sendOn(shard: Shard, cell: Cell, message: Message): void {
    const to = this.#random.below(this.#swarm.addresses);
    const order = (cell.sent.get(to) ?? 0) + 1;
    cell.sent.set(to, order);
    const fragments = this.#chance(this.#swarm.fragment) ? 1 + this.#random.below(4) : 1;
    const { tokens, hops } = message;
    this.#send(shard, { kind: "direct", from: message.to, to, order, session: 0, tokens, hops: hops - 1, fragments });
  }

  #schedule(shard: Shard, { to, tokens, hops }: Message): void {
    const message: Message = {
      kind: "timer",
      from: to,
      to,
      order: 0,
      session: 0,
      tokens,
      hops: hops - 1,
      fragments: 1,
    };
    shard.timers.push({ due: this.#random.below(3), message });
  }

  #fireTimer(shard: Shard): void {
    if (shard.timers.length === 0) return;
    const index = this.#random.below(shard.timers.length);
    const timer = shard.timers[index]!;
    if (timer.due > 0) shard.timers[index] = { due: timer.due - 1, message: timer.message };
    else {
      shard.timers.splice(index, 1);
      this.#send(shard, timer.message);
    }
  }

  #emit(shard: Shard, cell: Cell, message: Message): void {
    cell.emitted++;
    cell.hash = (Math.imul(cell.hash, 31) + cell.turns * 7 + message.tokens) | 0;
    const row: EgressRow = { address: message.to, order: cell.emitted, hash: cell.hash, epoch: shard.epoch };
    this.#statistics.emitted++;
    if (this.#is("earlyegress")) this.#intoSink(row);
    shard.egress.push(row);
  }

  // ── channels ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #send(shard: Shard, message: Message): void {
    const target = this.#shardOf(message.to);
    const sequence = ++shard.sent[target]!;
    const row = rowOf(this.#generation, shard.index, sequence, message);
    if (target === shard.index) shard.mailbox.push(envelopeOf(row, 0, shard.epoch));
    else {
      shard.outboxes[target]!.push(envelopeOf(row, sequence, shard.epoch));
      this.#drain(shard, target);
    }
  }

  #drainAll(shard: Shard): void {
    for (let target = 0; target < this.#shardCount; target++) this.#drain(shard, target);
  }

  #drain(shard: Shard, target: number): void {
    const outbox = shard.outboxes[target]!;
    const ring = this.#rings[shard.index]![target]!;
    while (outbox.length > 0 && ring.length < this.#swarm.ringSlots) {
      const envelope = outbox[0]!;
      const fragment = ++shard.fragmentsSent[target]!;
      if (this.#is("fragtag") && fragment === 1) envelope.epoch = shard.epoch;
      if (fragment < envelope.row.message.fragments) {
        this.#statistics.fragments++;
        if (this.#is("fragdrop")) envelope.hidden = true;
        ring.push("fragment");
      } else this.#finishFrame(shard, target, ring);
    }
  }

  /** The last fragment enters the ring: only now the message leaves the sender's state and gets its epoch. */
  #finishFrame(shard: Shard, target: number, ring: Frame[]): void {
    const envelope = shard.outboxes[target]!.shift()!;
    if (!this.#is("noretag") && !this.#is("fragtag")) envelope.epoch = shard.epoch;
    shard.fragmentsSent[target] = 0;
    if (!this.#is("keepoutbox")) this.#deleteRow(shard, envelope);
    envelope.hasRow = false;
    ring.push(envelope);
    shard.tail[target] = envelope.sequence;
  }

  /** A message that no capture has met has no row, and costs nothing. */
  #deleteRow(shard: Shard, envelope: Envelope): void {
    if (!envelope.hasRow) return;
    shard.tombstones.push(envelope.row.name);
    this.#statistics.tombstones++;
  }

  #consume(shard: Shard): void {
    const from = this.#random.below(this.#shardCount);
    const ring = this.#rings[from]![shard.index]!;
    const frame = ring[0];
    if (frame === undefined) return;
    if (frame !== "fragment") {
      if (frame.epoch > shard.epoch && !this.#is("noforce")) {
        if (shard.capture !== undefined) return;
        this.#statistics.forced++;
        this.#capture(shard, frame.epoch);
      }
      if (frame.sequence <= shard.copied[from]! && !this.#is("doublerec")) frame.hasRow = true;
      this.#record(shard, from, frame);
      shard.mailbox.push(frame);
    }
    ring.shift();
  }

  /** While a capture is open, a frame from before the sender's own capture belongs to the channel state. */
  #record(shard: Shard, from: number, frame: Envelope): void {
    const { capture } = shard;
    if (capture === undefined || capture.done[from] || this.#is("norecord")) return;
    const mark = this.#marks.get(capture.epoch)?.[from];
    const isOlder = mark === undefined ? frame.epoch < capture.epoch : frame.sequence <= mark[shard.index]!;
    if (!isOlder) return;
    capture.delta.put.set(frame.row.name, frame.row);
    frame.hasRow = true;
    this.#statistics.recorded++;
  }

  // ── capture, finish, commit, merge ─────────────────────────────────────────────────────────────────────────────────

  #capture(shard: Shard, epoch: number): void {
    if (shard.epoch >= epoch) return;
    if (shard.capture !== undefined) throw new ModelViolation("a capture begins while one is open");
    shard.epoch = epoch;
    const cells = new Map([...shard.dirty].map((address) => [address, copyCell(shard.cells.get(address)!)]));
    shard.dirty = new Set();
    const put = this.#captureRows(shard);
    const delta: Delta = { cells, put, deleted: shard.tombstones, meta: shard.meta() };
    shard.tombstones = [];
    shard.capture = { epoch, delta, done: this.#shards.map((other) => other === shard) };
    this.#publish(shard, epoch);
  }

  #captureRows(shard: Shard): Map<string, Row> {
    const put = new Map<string, Row>();
    const captured = this.#is("loseinflight") ? [...shard.mailbox] : [...shard.running, ...shard.mailbox];
    if (!this.#is("nooverflow")) for (const outbox of shard.outboxes) captured.push(...outbox);
    for (const envelope of captured) {
      if (envelope.hasRow || envelope.hidden) continue;
      put.set(envelope.row.name, envelope.row);
      envelope.hasRow = true;
    }
    return put;
  }

  #publish(shard: Shard, epoch: number): void {
    const marks = this.#marks.get(epoch) ?? [];
    marks[shard.index] = [...shard.tail];
    this.#marks.set(epoch, marks);
    const consumed = this.#coordinator.consumed.get(epoch) ?? new Map<number, number>();
    consumed.set(shard.index, shard.consumed.get(sessionKey(this.#gateway.session, shard.index)) ?? 0);
    this.#coordinator.consumed.set(epoch, consumed);
  }

  #finish(shard: Shard): void {
    const { capture } = shard;
    if (capture === undefined) return;
    for (let from = 0; from < this.#shardCount; from++) {
      const mark = this.#marks.get(capture.epoch)?.[from];
      if (capture.done[from] || mark === undefined) continue;
      if (!this.#is("nocopy")) this.#copyRing(shard, from, mark[shard.index]!);
      capture.done[from] = true;
    }
    if (capture.done.includes(false)) return;
    this.#append(capture.epoch, shard.index, capture.delta);
    this.#coordinator.arrived.add(shard.index);
    shard.capture = undefined;
  }

  #copyRing(shard: Shard, from: number, mark: number): void {
    for (const frame of this.#rings[from]![shard.index]!) {
      if (frame === "fragment" || frame.sequence > mark || frame.sequence <= shard.copied[from]!) continue;
      shard.capture!.delta.put.set(frame.row.name, frame.row);
      shard.copied[from] = frame.sequence;
      this.#statistics.recorded++;
    }
  }

  #coordinate(shard: Shard): void {
    const coordinator = this.#coordinator;
    // A commit of an older generation can only end late when the newer one does not queue behind it.
    const depth = this.#is("latecommit") ? 1 : 2;
    const busy = coordinator.queue.length >= depth || (this.#is("latecommit") && coordinator.syncing !== undefined);
    if (coordinator.capturing === undefined && !busy && this.#chance(0.5)) {
      coordinator.capturing = ++coordinator.want;
      coordinator.arrived = new Set();
    }
    const { capturing } = coordinator;
    if (capturing !== undefined && shard.epoch < capturing && shard.capture === undefined && this.#chance(0.7)) {
      this.#capture(shard, capturing);
    }
    this.#finish(shard);
    if (capturing !== undefined && coordinator.arrived.size === this.#shardCount) {
      this.#append(capturing, commitRecord, undefined);
      coordinator.queue.push(capturing);
      coordinator.capturing = undefined;
    }
    if (coordinator.syncing === undefined) coordinator.syncing = coordinator.queue.shift();
    else if (this.#chance(0.4)) this.#endCommit();
  }

  #append(epoch: number, shard: number, delta: Delta | undefined): void {
    if (this.#diskFails(this.#swarm.appendFailure)) {
      this.#statistics.appendsFailed++;
      if (!this.#is("eioquiet")) throw new DiskFailure();
    } else this.#log.append({ epoch, shard, delta });
  }

  #sync(epoch: number): void {
    if (this.#diskFails(this.#swarm.syncFailure)) {
      this.#statistics.syncsFailed++;
      this.#log.failSync();
      if (!this.#is("eioretry")) throw new DiskFailure();
    }
    this.#log.sync(epoch);
  }

  #diskFails(probability: number): boolean {
    return !this.#quiet && this.#chance(probability);
  }

  #endCommit(): void {
    const epoch = this.#coordinator.syncing;
    if (epoch === undefined) return;
    this.#coordinator.syncing = undefined;
    this.#sync(epoch);
    this.#committed = epoch;
    this.#promised = Math.max(this.#promised, epoch);
    this.#statistics.epochs++;
    const consumed = this.#coordinator.consumed.get(epoch) ?? new Map<number, number>();
    this.#gateway.announcements.push({ session: this.#gateway.session, consumed });
    for (const [index, image] of this.#truth.entries()) {
      const delta = this.#deltaOf(epoch, index);
      if (delta === undefined) throw new ModelViolation("a commit lacks a delta");
      applyDelta(image, epoch, delta);
    }
    this.#checkCut(this.#truth);
  }

  #merge(shard: Shard): void {
    const base = this.#bases[shard.index]!;
    const merge = this.#coordinator.merges.get(shard.index) ?? this.#startMerge(shard.index, base);
    if (merge !== undefined) this.#mergeSlice(shard.index, base, merge);
    else if (this.#chance(0.3)) makeDurable(base);
    if (this.#chance(0.3) && this.#coordinator.syncing === undefined) this.#trimLog();
  }

  #startMerge(index: number, base: Base): Merge | undefined {
    const limit = this.#is("mergeearly") ? Number.POSITIVE_INFINITY : this.#committed;
    const cells = new Map<number, Cell>();
    const rows = new Map<string, Row | undefined>();
    let epoch = base.current.epoch;
    let meta: Meta | undefined;
    for (
      let delta = this.#deltaOf(epoch + 1, index);
      delta !== undefined && epoch < limit;
      delta = this.#deltaOf(epoch + 1, index)
    ) {
      for (const [address, cell] of delta.cells) cells.set(address, cell);
      for (const [name, row] of delta.put) rows.set(name, row);
      for (const name of delta.deleted) rows.set(name, undefined);
      meta = delta.meta;
      epoch++;
    }
    if (meta === undefined) return undefined;
    const changes: Change[] = [
      ...[...cells].map(([cell, to]) => ({ cell, to })),
      ...[...rows].map(([row, to]) => ({ row, to })),
    ];
    const merge: Merge = { epoch, meta, changes };
    this.#coordinator.merges.set(index, merge);
    if (this.#is("epochfirst")) base.current = { ...base.current, epoch };
    return merge;
  }

  #mergeSlice(index: number, base: Base, merge: Merge): void {
    this.#statistics.slices++;
    const image = copyImage(base.current);
    for (let left = 1 + this.#random.below(6); left > 0 && merge.changes.length > 0; left--) {
      applyChange(image, merge.changes.splice(this.#random.below(merge.changes.length), 1)[0]!);
    }
    if (merge.changes.length === 0) {
      image.epoch = merge.epoch;
      image.meta = merge.meta;
      this.#coordinator.merges.delete(index);
    }
    base.current = image;
    if (this.#chance(0.5)) makeDurable(base);
  }

  #trimLog(): void {
    const kept = this.#bases.map((base) => (this.#is("trunccur") ? base.current.epoch : base.believed));
    const oldest = Math.min(...kept);
    this.#log.keep((record) => record.epoch > oldest);
  }

  #deltaOf(epoch: number, shard: number): Delta | undefined {
    return this.#log.find(epoch, shard)?.delta;
  }

  // ── gateway and sink ───────────────────────────────────────────────────────────────────────────────────────────────

  #callGateway(): void {
    if (this.#gatewayLeft === 0 || !(this.#quiet || this.#chance(0.6))) return;
    this.#gatewayLeft--;
    const draft = this.#freshMessage("gateway", 0, this.#gateway.session);
    const index = this.#shardOf(draft.to);
    const order = (this.#gateway.next.get(index) ?? 0) + 1;
    this.#gateway.next.set(index, order);
    const message = { ...draft, order };
    listAt(this.#gatewayTokens, sessionKey(this.#gateway.session, index)).push(message.tokens);
    listAt(this.#gateway.unacknowledged, index).push(message);
    this.#gatewayRings[index]!.push(message);
  }

  #takeFromGateway(shard: Shard): void {
    const message = this.#gatewayRings[shard.index]!.shift();
    if (message === undefined) return;
    const key = sessionKey(message.session, shard.index);
    const last = shard.consumed.get(key) ?? 0;
    if (message.order > last + 1) throw new ModelViolation("a gap in what the gateway sent");
    if (message.order <= last) this.#statistics.duplicates++;
    if (message.order <= last && !this.#is("gwdup")) return;
    shard.consumed.set(key, Math.max(last, message.order));
    const row = rowOf(this.#generation, gatewaySender, message.order, message);
    shard.mailbox.push(envelopeOf(row, 0, shard.epoch));
  }

  #hearOfCommit(): void {
    if (!this.#quiet && this.#chance(0.6)) return; // late news make resends that were consumed
    const announcement = this.#gateway.announcements.shift();
    if (announcement === undefined) return;
    for (const [index, consumed] of announcement.consumed) {
      const waiting = this.#gateway.unacknowledged.get(index) ?? [];
      for (const message of waiting) if (message.order <= consumed) this.#acknowledge(index, message);
      this.#gateway.unacknowledged.set(
        index,
        waiting.filter((message) => message.order > consumed),
      );
    }
  }

  #acknowledge(index: number, message: Message): void {
    this.#acknowledged.set(sessionKey(message.session, index), message.order);
  }

  /** The gateway knows only of the commits it has heard of, so some of what it sends again was consumed: the shard must tell. */
  #resend(): void {
    if (this.#is("gwskip")) return;
    for (const [index, messages] of this.#gateway.unacknowledged) {
      this.#gatewayRings[index]!.push(...messages);
      this.#statistics.resent += messages.length;
    }
  }

  #releaseEgress(shard: Shard): void {
    const isOut = (row: EgressRow): boolean => row.epoch < this.#committed;
    for (const row of shard.egress) if (isOut(row)) this.#intoSink(row);
    shard.egress = shard.egress.filter((row) => !isOut(row));
  }

  #intoSink(row: EgressRow): void {
    const rows = listAt(this.#sink, row.address);
    const known = rows[row.order - 1];
    if (known !== undefined && known.hash !== row.hash)
      throw new ModelViolation("an egress row came again with other content");
    if (row.order > rows.length + 1) throw new ModelViolation("a gap in the egress");
    if (known === undefined) rows.push(row);
  }

  // ── crashes and recovery ───────────────────────────────────────────────────────────────────────────────────────────

  #startFirst(): void {
    this.#gateway = new Gateway(1);
    this.#generation = 1;
    this.#freshWorkers();
    for (const [split] of this.#inputs.entries()) this.#shards[split % this.#shardCount]!.offsets.set(split, 0);
    this.#bases = this.#shards.map((shard) => baseOf(imageOf(shard)));
    this.#truth = this.#shards.map((shard) => imageOf(shard));
  }

  #freshWorkers(): void {
    const count = this.#shardCount;
    this.#shards = Array.from({ length: count }, (_, index) => new Shard(index, count));
    this.#rings = Array.from({ length: count }, () => Array.from({ length: count }, () => []));
    this.#gatewayRings = Array.from({ length: count }, () => []);
    this.#marks = new Map();
    for (const shard of this.#shards) shard.epoch = this.#committed;
  }

  #crash(): void {
    const kind: CrashKind = this.#chance(this.#swarm.powerLoss)
      ? "os"
      : this.#chance(this.#swarm.workerCrash)
        ? "worker"
        : "process";
    this.#statistics.crashes++;
    if (kind === "worker") this.#statistics.workerRestarts++;
    if (kind === "os") this.#losePower();
    if (kind === "worker") this.#closeGeneration();
    else this.#startProcess();
    this.#recover(kind);
  }

  #losePower(): void {
    this.#statistics.powerLosses++;
    this.#log.losePower();
    for (const base of this.#bases) base.current = base.durable;
  }

  /** The storage thread lives on: it ends the commit in flight, then drops what the dead workers left. */
  #closeGeneration(): void {
    const coordinator = this.#coordinator;
    const late = this.#is("latecommit") ? coordinator.syncing : undefined;
    if (late === undefined) {
      this.#endCommit();
      coordinator.queue = [];
    }
    coordinator.capturing = undefined;
    this.#log.keep((record) => record.epoch <= (late ?? this.#committed));
    coordinator.merges.clear();
    coordinator.want = this.#committed;
  }

  #startProcess(): void {
    this.#recoverDisk();
    this.#gateway = new Gateway(this.#gateway.session + 1);
  }

  /** The disk failed, the process lives: the commit in flight is there or not, which only the disk can tell. */
  #restartGeneration(): void {
    this.#recoverDisk();
    this.#recover("worker");
  }

  /** Finds the longest contiguous run of whole commits, and makes what it relies on durable. */
  #recoverDisk(): void {
    let committed = this.#scanLog();
    while (!this.#rewriteTail(committed)) committed = this.#scanLog();
    if (committed < this.#promised) throw new ModelViolation("what was committed is gone"); // M7
    for (const base of this.#bases) {
      if (!this.#is("nobasesync")) base.durable = base.current;
      base.believed = base.current.epoch;
    }
    this.#committed = committed;
    this.#log.keep((record) => record.epoch <= committed);
    this.#coordinator = new Coordinator(committed);
  }

  #scanLog(): number {
    this.#log.evict();
    let committed = Math.max(...this.#bases.map((base) => base.current.epoch));
    while (this.#isWhole(committed + 1)) committed++;
    return committed;
  }

  /** Into a new segment; when that cannot be synced, nothing refers to it, and the log is as it was. */
  #rewriteTail(committed: number): boolean {
    if (this.#is("trustcache")) return true;
    if (this.#is("eioresync")) this.#log.sync(committed);
    else if (this.#diskFails(this.#swarm.syncFailure)) return false;
    else this.#log.rewrite(committed);
    return true;
  }

  #isWhole(epoch: number): boolean {
    if (this.#log.find(epoch, commitRecord) === undefined) return false;
    return this.#is("nolistcheck") || this.#shards.every((shard) => this.#deltaOf(epoch, shard.index) !== undefined);
  }

  #recover(kind: CrashKind): void {
    this.#generation++;
    const images = this.#bases.map((base, index) => this.#rebuild(base, index));
    this.#checkCut(images);
    const rescales = kind !== "worker" && this.#chance(this.#swarm.rescale);
    this.#truth = rescales ? this.#rescale(images) : this.#restore(images);
    this.#checkCut(this.#truth);
    if (kind === "worker") this.#resend();
  }

  #rebuild(base: Base, index: number): Image {
    const image = copyImage(base.current);
    if (image.epoch > this.#committed) throw new ModelViolation("a base is ahead of the last commit"); // M5
    for (let epoch = image.epoch + 1; epoch <= this.#committed; epoch++) {
      const delta = this.#deltaOf(epoch, index);
      if (delta === undefined) throw new ModelViolation("a delta that a base lacks is gone"); // M5
      applyDelta(image, epoch, delta);
    }
    return image;
  }

  /** Same shards: each takes up its image; rows go to the shard of their target, in key order. */
  #restore(images: Image[]): Image[] {
    this.#freshWorkers();
    const rows: { row: Row; owner: number }[] = [];
    for (const [owner, image] of images.entries()) {
      takeUp(this.#shards[owner]!, image);
      for (const row of image.table.values()) rows.push({ row, owner });
    }
    rows.sort((a, b) => compareRows(a.row, b.row));
    for (const { row, owner } of rows) {
      const shard = this.#shards[this.#shardOf(row.message.to)]!;
      const isAtHome = shard.index === owner;
      if (!isAtHome && !this.#is("norehome")) this.#shards[owner]!.tombstones.push(row.name);
      shard.mailbox.push({ ...envelopeOf(row, 0, shard.epoch), hasRow: isAtHome });
    }
    return images;
  }

  /** Other shards: everything is dealt anew by key, new bases are written, and the log begins again. */
  #rescale(images: readonly Image[]): Image[] {
    this.#statistics.rescales++;
    this.#shardCount = 1 + this.#random.below(5);
    this.#freshWorkers();
    const shards = this.#shards;
    const tables = shards.map(() => new Map<string, Row>());
    const rows = images.flatMap((image) => [...image.table.values()]).sort(compareRows);
    if (this.#is("rescreorder")) rows.reverse();
    for (const image of images) {
      for (const [address, cell] of image.cells) shards[this.#shardOf(address)]!.cells.set(address, copyCell(cell));
      for (const timer of image.meta.timers) shards[this.#shardOf(timer.message.to)]!.timers.push(timer);
      for (const [split, offset] of image.meta.offsets) shards[split % this.#shardCount]!.offsets.set(split, offset);
      for (const [key, order] of image.meta.consumed)
        shards[0]!.consumed.set(key, Math.max(order, shards[0]!.consumed.get(key) ?? 0));
      for (const row of image.meta.egress) shards[this.#shardOf(row.address)]!.egress.push(row);
    }
    for (const row of rows) {
      const shard = shards[this.#shardOf(row.message.to)]!;
      tables[shard.index]!.set(row.name, row);
      shard.mailbox.push({ ...envelopeOf(row, 0, shard.epoch), hasRow: true });
    }
    this.#bases = shards.map((shard, index) => baseOf({ ...imageOf(shard), table: tables[index]! }));
    this.#log.keep(() => false);
    return this.#bases.map((base) => copyImage(base.current));
  }

  #isDrained(): boolean {
    const coordinator = this.#coordinator;
    return (
      this.#gatewayLeft === 0 &&
      coordinator.capturing === undefined &&
      coordinator.syncing === undefined &&
      coordinator.queue.length === 0 &&
      this.#gatewayRings.every((ring) => ring.length === 0) &&
      [...this.#gateway.unacknowledged.values()].every((messages) => messages.length === 0) &&
      this.#rings.every((row) => row.every((ring) => ring.length === 0)) &&
      this.#shards.every((shard) => this.#isIdle(shard))
    );
  }

  #isIdle(shard: Shard): boolean {
    return (
      shard.capture === undefined &&
      shard.mailbox.length + shard.running.length + shard.timers.length + shard.egress.length === 0 &&
      shard.outboxes.every((outbox) => outbox.length === 0) &&
      [...shard.offsets].every(([split, offset]) => offset === this.#inputs[split]!.length)
    );
  }

  // ── checks ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  #checkCut(images: readonly Image[]): void {
    const consumed = new Map<string, number>();
    const names = new Set<string>();
    let letIn = 0;
    let present = 0;
    for (const { cells, table, meta } of images) {
      for (const [split, offset] of meta.offsets)
        letIn += sum(this.#inputs[split]!.slice(0, offset).map((input) => input.tokens));
      for (const [key, order] of meta.consumed) consumed.set(key, Math.max(order, consumed.get(key) ?? 0));
      for (const cell of cells.values()) present += cell.tokens;
      for (const timer of meta.timers) present += timer.message.tokens;
      for (const row of table.values()) {
        if (names.has(row.name)) throw new ModelViolation("a message was captured twice"); // M1
        names.add(row.name);
        present += row.message.tokens;
      }
    }
    for (const [key, order] of consumed) letIn += sum(this.#gatewayTokens.get(key)!.slice(0, order));
    if (letIn !== present) throw new ModelViolation(`tokens: ${letIn} let in, ${present} present`); // M1
    for (const [key, order] of this.#acknowledged) {
      if ((consumed.get(key) ?? 0) < order) throw new ModelViolation("an acknowledged gateway message is lost"); // M4
    }
    for (const image of images) this.#checkEgress(image);
  }

  #checkEgress(image: Image): void {
    const waiting = new Map<number, EgressRow[]>();
    for (const row of image.meta.egress) listAt(waiting, row.address).push(row);
    for (const [address, cell] of image.cells) {
      const rows = this.#sink.get(address) ?? [];
      const left = waiting.get(address) ?? [];
      const last = left.at(-1) ?? rows.at(-1);
      const first = left[0]?.order ?? cell.emitted + 1;
      if (rows.length > cell.emitted) throw new ModelViolation("the sink is ahead of the commit"); // M3
      if (first > rows.length + 1 || (last?.order ?? 0) < cell.emitted)
        throw new ModelViolation("an egress row is lost"); // M3
      if (last !== undefined && last.order === cell.emitted && last.hash !== cell.hash) {
        throw new ModelViolation("the egress hash chain differs from the state"); // M3
      }
    }
  }
}

/** Every seed draws its own mix of load and faults, so that rare combinations are common in some seeds. */
function drawSwarm(random: Random) {
  const shards = 2 + random.below(3);
  const hot = random.next() < 0.25;
  return {
    shards,
    /** Few addresses, long mailboxes. */
    hot,
    addresses: hot ? shards : shards * 2,
    ringSlots: 1 + random.below(4),
    inputs: (hot ? 20 : 8) + random.below(14),
    gatewayMessages: 10 + random.below(25),
    hops: 1 + random.below(5),
    async: random.next() * 0.7,
    timer: random.next() * 0.3,
    emit: random.next() * 0.5,
    fragment: random.next() < 0.3 ? 0.9 : random.next() * 0.5,
    crash: random.next() < 0.85 ? 0.004 + random.next() * 0.03 : 0,
    powerLoss: random.next() * 0.5,
    workerCrash: random.next() * 0.6,
    rescale: random.next() < 0.5 ? random.next() * 0.6 : 0,
    ...drawDiskFailures(random),
  };
}

/** An epoch has many appends and one sync. */
function drawDiskFailures(random: Random) {
  const rate = random.next() < 0.5 ? random.next() : 0;
  return { appendFailure: rate * 0.12, syncFailure: rate * 0.6 };
}

function freshStatistics(): ModelStatistics {
  return {
    crashes: 0,
    workerRestarts: 0,
    powerLosses: 0,
    appendsFailed: 0,
    syncsFailed: 0,
    rescales: 0,
    epochs: 0,
    recorded: 0,
    forced: 0,
    fragments: 0,
    tombstones: 0,
    slices: 0,
    resent: 0,
    duplicates: 0,
    emitted: 0,
  };
}

function rowOf(generation: number, sender: number, sequence: number, message: Message): Row {
  return { generation, sender, sequence, name: `${generation}|${sender}|${sequence}|${message.to}`, message };
}

function envelopeOf(row: Row, sequence: number, epoch: number): Envelope {
  return { row, sequence, epoch, hasRow: false, hidden: false };
}

function compareRows(a: Row, b: Row): number {
  return a.generation - b.generation || a.sender - b.sender || a.sequence - b.sequence;
}

/** The first message of the mailbox whose address is not locked: messages of one address keep their order. */
function firstRunnable(shard: Shard): number {
  return shard.mailbox.findIndex((envelope) => !shard.locked.has(envelope.row.message.to));
}

function checkOrder(cell: Cell, message: Message): void {
  if (message.kind !== "direct" && message.kind !== "gateway") return;
  const key = message.kind === "direct" ? `address ${message.from}` : `session ${message.session}`;
  const last = cell.received.get(key) ?? 0;
  const fits = message.kind === "direct" ? message.order === last + 1 : message.order > last;
  if (!fits) throw new ModelViolation(`order of ${key}: ${message.order} after ${last}`); // M2
  cell.received.set(key, message.order);
}

function cellAt(shard: Shard, address: number): Cell {
  let cell = shard.cells.get(address);
  if (cell === undefined) {
    cell = { tokens: 0, turns: 0, emitted: 0, hash: 0, received: new Map(), sent: new Map() };
    shard.cells.set(address, cell);
  }
  return cell;
}

function copyCell(cell: Cell): Cell {
  return { ...cell, received: new Map(cell.received), sent: new Map(cell.sent) };
}

/** A shard as an image; rows are not looked at: only for a shard that has none, or whose table is added. */
function imageOf(shard: Shard): Image {
  const cells = new Map([...shard.cells].map(([address, cell]) => [address, copyCell(cell)]));
  return { epoch: shard.epoch, cells, table: new Map(), meta: shard.meta() };
}

function takeUp(shard: Shard, image: Image): void {
  for (const [address, cell] of image.cells) shard.cells.set(address, copyCell(cell));
  shard.offsets = new Map(image.meta.offsets);
  shard.consumed = new Map(image.meta.consumed);
  shard.timers = [...image.meta.timers];
  shard.egress = [...image.meta.egress];
}

function copyImage(image: Image): Image {
  return { ...image, cells: new Map(image.cells), table: new Map(image.table) };
}

function applyDelta(image: Image, epoch: number, delta: Delta): void {
  for (const [address, cell] of delta.cells) image.cells.set(address, cell);
  for (const [name, row] of delta.put) image.table.set(name, row);
  for (const name of delta.deleted) image.table.delete(name);
  image.meta = delta.meta;
  image.epoch = epoch;
}

function applyChange(image: Image, change: Change): void {
  if ("cell" in change) image.cells.set(change.cell, change.to);
  else if (change.to === undefined) image.table.delete(change.row);
  else image.table.set(change.row, change.to);
}

function baseOf(image: Image): Base {
  return { current: image, durable: image, believed: image.epoch };
}

function makeDurable(base: Base): void {
  base.durable = base.current;
  base.believed = base.current.epoch;
}

function sessionKey(session: number, shard: number): string {
  return `${session}:${shard}`;
}

function listAt<K, V>(lists: Map<K, V[]>, key: K): V[] {
  let list = lists.get(key);
  if (list === undefined) {
    list = [];
    lists.set(key, list);
  }
  return list;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
