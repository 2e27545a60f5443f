/**
 * One simulated world: a machine with a disk, processes on it that crash, callers and a sink outside. The engine's own
 * classes run in it unchanged; threads, clock, disk, bases and the messages between threads are the scheduler's.
 *
 * O1. What leaves is committed: a recovery finds every epoch whose output was seen outside, with the same output.
 * O2. A chain in the sink has no gap, no link twice, and at the end every link.
 * O3. A caller is answered at most once, and at the end exactly once.
 * O4. With faults off everything drains.
 * O5. When nothing else is left to do, every message in flight is for a quarantined address.
 * O6. A message that kills its thread does so a few times only, unless something else ends the shards in between, the end
 *     of the process included, or somebody tries it again.
 */

import { crc32 } from "node:zlib";
import { GatewaySession } from "../../lib/app/gateway-session.js";
import { ByteWriter } from "../../lib/base/bytes.js";
import { HoldfastError, isHoldfastError } from "../../lib/base/errors.js";
import { invariant } from "../../lib/base/invariant.js";
import { deathsMax, epochIdleIntervalMs, suspiciousStarts } from "../../lib/base/limits.js";
import type { Random } from "../../lib/base/random.js";
import { egressPressure, logPressure, stopTurns } from "../../lib/channel/control-words.js";
import { Doorbell } from "../../lib/channel/doorbell.js";
import type { Extras } from "../../lib/codec/extras.js";
import { writeMessageHead } from "../../lib/codec/message-codec.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { LogWriter } from "../../lib/log/log-writer.js";
import { writeManifest } from "../../lib/log/manifest.js";
import type { Notes } from "../../lib/log/notes.js";
import type { Address } from "../../lib/model/address.js";
import { namespaceOf } from "../../lib/model/function-type.js";
import type { Reject } from "../../lib/model/ingress.js";
import { hashId, hashName, hashName32 } from "../../lib/partition/hash.js";
import { shardOfKeyGroup } from "../../lib/partition/key-groups.js";
import { type OutputEntry, readOutput } from "../../lib/shard/output.js";
import type { TaskInput } from "../../lib/shard/ports.js";
import { egressCode } from "../../lib/shard/registry.js";
import { keyText } from "../../lib/shard/rows.js";
import type { CommitNotice } from "../../lib/snapshot/coordinator.js";
import { type Delta, joinDelta, noCells } from "../../lib/snapshot/delta.js";
import { EpochLog } from "../../lib/snapshot/epoch-log.js";
import type { Recovered, RecoveryConfig } from "../../lib/snapshot/recovery.js";
import { Storage } from "../../lib/snapshot/storage.js";
import { Suspects, turnsNoteName } from "../../lib/snapshot/suspects.js";
import type { BaseWriter, Row } from "../../lib/store/base.js";
import type { FeatureWorld, SimFeature, SimSendOptions } from "./feature.js";
import { features } from "./features.js";
import { Generation, type GenerationPort } from "./generation.js";
import { Ledger, type Rows } from "./ledger.js";
import { actionNames, type Overrides, type Params, paramsOf, streamOf } from "./params.js";
import { SimBase } from "./sim-base.js";
import { SimDisk, SimulatedCrash } from "./sim-disk.js";
import { SimSink } from "./sim-sink.js";
import { rule, Violation } from "./violation.js";
import { outCode, rejectsCode, type SimLink, type SimMessage, Workload } from "./workload.js";

const dataDir = "data";
/** Calls that a crash may be waiting for. */
const crashCalls = ["base sync", "base apply", "datasync", "rename", "syncDirectory", "remove"] as const;
/** Features whose oracles tell expiry by the world's one clock: in their worlds nobody sets the wall clock. */
const oneClock: ReadonlySet<string> = new Set(["state", "requests"]);
/** Shards that a world has at most. */
const shardsMax = 6;
const drainRoundsMax = 4_000;
const storageNapMaxMs = epochIdleIntervalMs;

/** How often things happened in a world. */
interface WorldStatistics {
  crashes: number;
  commits: number;
  turns: number;
  workerRestarts: number;
  processCrashes: number;
  powerLosses: number;
  crashesInCalls: number;
  crashesInRecovery: number;
  relayouts: number;
  ioErrors: number;
  parked: number;
  /** Threads and processes that died of a message. */
  deaths: number;
  /** Shards that were started with a suspicion. */
  trials: number;
  /** Ends of the application by a failure policy. */
  stopped: number;
  /** Quarantined addresses that were tried again because nothing else was left. */
  mended: number;
  rejected: number;
  asks: number;
  lateDeltas: number;
  restored: number;
  /** Times that others went on while the storage thread waited for a sync. */
  syncs: number;
}

/** What a world that broke no rule says of itself. */
export interface WorldReport {
  /** Of all that happened: the same for the same seed. */
  readonly hash: number;
  /** How often things happened; those of a feature begin with its name. */
  readonly counts: ReadonlyMap<string, number>;
}

/** How often a message may kill its thread: before there is a suspicion, and until it is found. */
const killsMax = suspiciousStarts - 1 + deathsMax;

type CrashKind = "worker" | "process" | "os";

interface Ask {
  readonly number: number;
  answers: number;
}

export class World {
  readonly params: Params;
  readonly #statistics: WorldStatistics;
  readonly #met = new Map<string, number>();
  #hash: number;
  readonly #random: Random;
  readonly #rooms: Random;
  readonly #features: SimFeature[] = [];
  readonly #workload: Workload;
  readonly #disk: SimDisk;
  readonly #bases = new Map<string, SimBase>();
  readonly #ledger: Ledger;
  readonly #codec = new PayloadCodec();
  readonly #writer = new ByteWriter(512);
  readonly #sink: SimSink<SimLink>;
  readonly #rejects: SimSink<Reject>;
  /** Last link of each chain in the sink. */
  #ends = new Map<string, SimLink>();
  /** Output seen outside, by epoch (O1). */
  readonly #seenOutside = new Map<number, string>();
  #storage: Storage;
  #generation: Generation | undefined;
  #session = 0;
  #gateway: GatewaySession | undefined;
  readonly #sessions = new Set<number>();
  readonly #numbers = new Map<string, number>();
  readonly #asks = new Map<number, Ask>();
  readonly #featureAsks = new Map<number, NonNullable<SimSendOptions["answered"]>>();
  #asked = 0;
  /** Commands that main waits for, with the epoch that makes them durable. */
  #commands: { readonly epoch: number; readonly done: (durable: boolean) => void }[] = [];
  #shards: number;
  #now = 1_000;
  #wallAhead = 0;
  #deltas: Delta[][] = [];
  #lateDeltas: Delta[] = [];
  /** Deltas that storage has been given, by epoch and shard. */
  #given = new Map<number, Delta[]>();
  #notices: CommitNotice[] = [];
  /** The last epoch that main has heard of. */
  #heard = 0;
  #acknowledgements: { code: number; epoch: number; length: number }[] = [];
  #roomFor = new Set<number>();
  /** Consumed numbers of a new generation that main hears of later than of its channels. */
  #consumedLater: { readonly shard: number; readonly consumed: number }[] = [];
  #pauses: (() => void)[] = [];
  #asyncTicks = 0;
  #faulty = true;
  #brokenRule: string | undefined;
  readonly #notes = new SimNotes();
  readonly #suspects = new Suspects(this.#notes);
  /** What has just died of a message, and is to be ended. */
  #dying: { readonly kind: "worker" | "process"; readonly shard: number } | undefined;
  /** Threads that died since the last start. */
  #died: { readonly shard: number; readonly reason: string }[] = [];
  /** Threads killed by each message since something else ended the shards (O6). */
  #kills = new Map<string, number>();
  /** Restarts of the shards in this process. */
  #restarts = 0;
  /** Calls until the next crash inside one; 0 for none. */
  #crashIn = 0;
  /** Which calls count; undefined for all. */
  #crashCall: string | undefined;
  /** A power loss that follows soon, in scheduler steps; 0 for none. */
  #aftershockIn = 0;
  #crashKind: "process" | "os" = "process";
  #storageAsleepUntil = 0;
  #storageRung = false;
  #storageBell: Doorbell | undefined;
  /** The storage thread waits for a sync. */
  #syncing = false;
  #pressed = false;
  #parkedSeen = false;
  #lastGeneration = 0;
  #layout = 0;

  constructor(seed: number, overrides: Overrides = {}) {
    const random = streamOf(seed, "scheduler");
    this.#random = random;
    this.#rooms = streamOf(seed, "rooms");
    this.#hash = seed | 0;
    this.params = paramsOf(seed, overrides);
    this.#statistics = {
      crashes: 0,
      commits: 0,
      turns: 0,
      workerRestarts: 0,
      processCrashes: 0,
      powerLosses: 0,
      crashesInCalls: 0,
      crashesInRecovery: 0,
      relayouts: 0,
      ioErrors: 0,
      parked: 0,
      deaths: 0,
      trials: 0,
      stopped: 0,
      mended: 0,
      rejected: 0,
      asks: 0,
      lateDeltas: 0,
      restored: 0,
      syncs: 0,
    };
    this.#chooseFeatures(seed, overrides);
    this.#workload = new Workload(
      this.params,
      this.#port("workload", streamOf(seed, "workload")),
      this.#features,
      hashName32,
    );
    this.#shards = this.params.shards;
    this.#ledger = new Ledger(this.#workload, this.#shards, this.params.keyGroups);
    this.#disk = new SimDisk(streamOf(seed, "disk"));
    this.#disk.mkdir(dataDir);
    this.#disk.syncDirectory("");
    this.#disk.onCall = (call) => {
      if (call !== "read" && call !== "size") this.#touchDisk(call);
      if (call === "datasync") this.#waitForSync();
    };
    this.#sink = new SimSink(
      "the sink",
      (record) => this.#linked(record),
      (records) => {
        this.#ends = new Map();
        for (const record of records) this.#linked(record);
      },
    );
    this.#rejects = new SimSink(
      "the rejects",
      () => {},
      () => {},
    );
    this.#storage = this.#newStorage();
    if (this.params.firstEpoch > 0) this.#age();
  }

  /** Names of the features that this world has. */
  get features(): readonly string[] {
    return this.#features.map(({ name }) => name);
  }

  /** Each feature with one chance in two, and numbers of its own: what it does depends on no other. */
  #chooseFeatures(seed: number, { features: chosen, without = [] }: Overrides): void {
    for (const [name, make] of Object.entries(features)) {
      const random = streamOf(seed, `feature ${name}`);
      const drawn = random.below(2) === 0;
      const taken = (chosen?.includes(name) ?? drawn) && !without.includes(name);
      this.#met.set(`worlds with ${name}`, taken ? 1 : 0);
      if (!taken) continue;
      const feature = make(this.#port(name, random));
      this.#features.push(feature);
      for (const what of feature.meets) this.#met.set(`${name}: ${what}`, 0);
    }
  }

  #port(name: string, random: Random): FeatureWorld {
    const world = this;
    return {
      random,
      get faulty() {
        return world.#faulty;
      },
      met: (what) => {
        const times = world.#met.get(`${name}: ${what}`);
        invariant(times !== undefined, `${name} says that it meets ${what}`);
        world.#met.set(`${name}: ${what}`, times + 1);
      },
      now: () => world.#now,
      setWall: (aheadMs) => {
        if (world.#features.some((feature) => oneClock.has(feature.name))) return;
        world.#wallAhead = aheadMs;
      },
      pause: () => new Promise((resolve) => world.#pauses.push(resolve)),
      asynchronous: () => {
        world.#asyncTicks = 8;
      },
      broken: (what) => {
        world.#brokenRule ??= what;
      },
      die: (kind, id, message) => world.#dies(kind, id, message),
      send: (to, message, options) => world.#sendFeature(to, message, options),
      command: (command, args, id, done) => world.#command(command, args, id, done),
    };
  }

  /** Runs the world to its end. @throws what breaks a rule */
  async run(): Promise<WorldReport> {
    await this.#start("process");
    await this.#beUnsafe();
    await this.#drain();
    const counts = new Map<string, number>([...Object.entries(this.#statistics), ...this.#met]);
    return { hash: this.#hash, counts };
  }

  /** The safety phase: whatever goes wrong, no rule is broken. */
  async #beUnsafe(): Promise<void> {
    const { steps } = this.params;
    const crashAt = new Set(this.params.crashesAt);
    for (let step = 0; step < steps; step++) {
      if (this.#aftershockIn > 0 && --this.#aftershockIn === 0) await this.#restart("os");
      else if (crashAt.has(step)) await this.#plannedCrash();
      else await this.#guarded(() => this.#act());
      if (this.#asyncTicks > 0) await this.#drainMicrotasks();
      if (this.#dying !== undefined) await this.#bury();
      this.#checkBroken();
    }
  }

  // --- the scheduler ------------------------------------------------------------------------------------------------

  #advanceSomeShard(): void {
    const shard = this.#random.below(this.#shards);
    const { lagP } = this.params;
    if (shard > 0 || lagP === 0 || this.#random.next() >= lagP) this.#advanceShard(shard);
  }

  #act(): void {
    const { weights } = this.params;
    let total = 0;
    for (const weight of weights) total += weight;
    let at = this.#random.next() * total;
    let action = 0;
    while (action < weights.length - 1 && at >= weights[action]) at -= weights[action++];
    const name = actionNames[action];
    this.#note(action);
    switch (name) {
      case "shard":
        this.#advanceSomeShard();
        return;
      case "storage":
        this.#advanceStorage();
        return;
      case "delta":
        this.#deliverDelta();
        return;
      case "notice":
        this.#deliverNotice();
        return;
      case "promise":
        this.#settle(this.#random.below(Math.max(1, this.#pauses.length)));
        return;
      case "send":
        for (let count = this.#random.next() < this.params.burstP ? this.#burst : 1; count > 0; count--) this.#send();
        return;
      case "flush":
        this.#flushGateway();
        return;
      case "feed":
        this.#workload.feed(1 + this.#random.below(5));
        return;
      case "sink":
        this.#syncSink();
        return;
      case "clock":
        this.#now += this.#random.below(8);
        return;
      case "pressure":
        this.#press(!this.#pressed);
        return;
      case "request":
        this.#storage.coordinator?.request();
        this.#storageRung = true;
        if (this.#generation !== undefined) {
          const { control } = this.#generation;
          control.endAwaited = !control.endAwaited; // who waits for the end asks first, too
        }
        return;
      case "feature":
        if (this.#features.length > 0) this.#features[this.#random.below(this.#features.length)].act?.();
        return;
    }
  }

  /** What main asks of shards, which then step, once they run. `done` says whether main hears that it is durable. */
  #command(name: string, args: readonly unknown[], id?: string, done?: (durable: boolean) => void): unknown[] {
    const generation = this.#generation;
    if (name === "quarantine.retry") this.#kills.clear(); // O6: somebody wants it to run once more
    const { coordinator } = this.#storage;
    if (generation === undefined || coordinator === undefined) return [];
    const { shards } = generation;
    const { keyGroups } = this.params;
    const asked =
      id === undefined ? [...shards.keys()] : [shardOfKeyGroup(hashId(id) % keyGroups, keyGroups, this.#shards)];
    if (asked.some((index) => shards[index] === undefined)) return [];
    const results = asked.map((index) => generation.command(index, name, args));
    if (done !== undefined) {
      this.#commands.push({ epoch: coordinator.request(), done });
      this.#storageRung = true;
    }
    return results;
  }

  #advanceShard(index: number): number {
    const work = this.#generation?.advance(index) ?? 0;
    this.#note(work);
    return work;
  }

  /** What the storage thread's loop does: steps, parks, sleeps. */
  #advanceStorage(): boolean {
    const { coordinator } = this.#storage;
    const bell = this.#storageBell;
    if (coordinator === undefined || bell === undefined || this.#syncing) return false;
    if (this.params.parking && !this.#storageRung && this.#now < this.#storageAsleepUntil) return false;
    this.#storageRung = false;
    bell.unpark();
    let dueIn = coordinator.step();
    if (dueIn > 0) {
      bell.park();
      dueIn = coordinator.step();
      if (dueIn <= 0) bell.unpark();
      else if (dueIn === Number.POSITIVE_INFINITY) coordinator.rest();
    }
    this.#storageAsleepUntil = dueIn <= 0 ? 0 : this.#now + Math.min(Math.max(1, dueIn), storageNapMaxMs);
    return dueIn <= 0;
  }

  #deliverDelta(): boolean {
    if (this.#syncing) return false;
    if (this.#lateDeltas.length > 0 && this.#random.below(2) === 0) {
      this.#statistics.lateDeltas++;
      this.#storage.onDelta(this.#lateDeltas.shift() as Delta);
      return true;
    }
    const waiting = this.#deltas.filter((queue) => queue.length > 0);
    if (waiting.length === 0) return false;
    const delta = waiting[this.#random.below(waiting.length)].shift() as Delta;
    const given = this.#given.get(delta.epoch) ?? [];
    given[delta.shard] = delta;
    this.#given.set(delta.epoch, given);
    this.#storage.onDelta(delta);
    this.#storageRung = true;
    return true;
  }

  #settle(index: number): boolean {
    const [resolve] = this.#pauses.splice(index, 1);
    if (resolve === undefined) return false;
    resolve();
    this.#asyncTicks = 8;
    return true;
  }

  /** Makes a data directory that has nothing but a past. */
  #age(): void {
    const committed = this.params.firstEpoch;
    const { functions } = this.#workload;
    for (let shard = 0; shard < this.#shards; shard++) {
      const base = this.#openBase(Storage.basePath(dataDir, 1, shard));
      base.apply([], committed);
      base.sync();
      base.close();
    }
    const empty = joinDelta(new Uint8Array(0), noCells, new Uint8Array(0));
    const { segmentBytes, zeroAheadBytes } = this.params;
    const sizes = { segmentBytes, zeroAheadBytes };
    const writer = new LogWriter(this.#disk, `${dataDir}/log`, { generation: 1, firstSegment: 1, ...sizes });
    const deltas = Array.from({ length: this.#shards }, (_, shard) => ({ shard, payload: empty }));
    new EpochLog(writer, committed).append(committed, deltas, new Map());
    writer.flush();
    writer.close();
    const parts = { format: 1, application: "sim", hash: hashName, egresses: {}, functions } as const;
    const places = {
      generation: 1,
      keyGroups: this.params.keyGroups,
      shards: this.#shards,
      layout: 1,
      firstSegment: 1,
    };
    writeManifest(this.#disk, dataDir, { ...parts, ...places, committed });
    this.#layout = 1;
    this.#ledger.epoch = committed;
    for (const sink of [this.#sink, this.#rejects]) sink.epoch = committed;
  }

  async #drainMicrotasks(): Promise<void> {
    for (let ticks = this.#asyncTicks; ticks > 0; ticks--) await undefined;
    this.#asyncTicks = 0;
  }

  #press(raised: boolean): void {
    const generation = this.#generation;
    if (generation === undefined) return;
    this.#pressed = raised;
    if (raised)
      generation.control.raisePressure(this.#random.below(2) === 0 ? egressPressure : logPressure | stopTurns);
    else {
      generation.control.releasePressure(egressPressure | logPressure | stopTurns);
      for (const bell of generation.bells) bell.ringIfParked();
    }
  }

  // --- main: gateway, sink, callers ---------------------------------------------------------------------------------

  #send(): void {
    const gateway = this.#gateway;
    const sendsMax = this.params.crowded ? 2 * this.#burst : this.params.sends;
    if (gateway === undefined || this.#sent >= sendsMax) return;
    this.#sent++;
    const to = this.#workload.addresses[this.#workload.target()];
    const shard = shardOfKeyGroup(hashId(to.id) % this.params.keyGroups, this.params.keyGroups, this.#shards);
    const sequence = gateway.nextSequence(shard);
    const from = `g${this.#session}`;
    const pair = `${from} ${to}`;
    const n = (this.#numbers.get(pair) ?? 0) + 1;
    this.#numbers.set(pair, n);
    const ask = this.#random.next() < this.params.askP ? ++this.#asked : 0;
    if (ask !== 0) {
      this.#asks.set(ask, { number: ask, answers: 0 });
      this.#statistics.asks++;
    }
    const tokens = 1 + this.#random.below(4);
    const message: SimMessage = { from, n, tokens, ttl: this.#random.below(6), ask, pad: this.#workload.pad() };
    this.#enter(gateway, shard, sequence, to, message, tokens, ask, undefined);
    if (this.#random.below(3) === 0) this.#flushGateway();
  }
  #sent = 0;

  get #burst(): number {
    return this.params.crowded ? 40 : 10;
  }

  #sendFeature(to: Address<never, unknown>, message: unknown, { extras, answered }: SimSendOptions = {}): boolean {
    const gateway = this.#gateway;
    if (gateway === undefined) return false;
    const shard = shardOfKeyGroup(hashId(to.id) % this.params.keyGroups, this.params.keyGroups, this.#shards);
    const ask = answered === undefined ? 0 : ++this.#asked;
    if (answered !== undefined) this.#featureAsks.set(ask, answered);
    this.#enter(gateway, shard, gateway.nextSequence(shard), to, message, 0, ask, extras);
    return true;
  }

  #enter(
    gateway: GatewaySession,
    shard: number,
    sequence: number,
    to: Address<never, unknown>,
    message: unknown,
    tokens: number,
    ask: number,
    extras: Extras | undefined,
  ): void {
    const writer = this.#writer;
    writer.reset();
    writeMessageHead(
      writer,
      hashName32(to.type),
      to.id,
      sequence,
      this.#session * 64 + shard,
      undefined,
      ask === 0 ? undefined : { session: this.#session, number: ask },
      sequence,
      this.#workload.namespaces.includes(namespaceOf(to.type)) ? to.type : undefined,
      extras,
    );
    writer.bytes(this.#codec.encode(message));
    const name = `${this.#session}/${shard}`;
    let lane = this.#ledger.lanes.get(name);
    if (lane === undefined) {
      lane = { tokens: [0], acknowledged: 0 };
      this.#ledger.lanes.set(name, lane);
    }
    lane.tokens.push((lane.tokens.at(-1) as number) + tokens);
    const own = lane;
    gateway.add(shard, writer.take(), () => {
      rule(own.acknowledged === sequence - 1, "sends are acknowledged in order, once");
      own.acknowledged = sequence;
    });
  }

  #flushGateway(): boolean {
    let moved = false;
    for (let shard = 0; shard < this.#shards; shard++) moved = this.#flushLane(shard) || moved;
    return moved;
  }

  /** As the gateway does it: the wish for room is stored before the ring is tried once more. */
  #flushLane(shard: number): boolean {
    const gateway = this.#gateway;
    const generation = this.#generation;
    if (gateway === undefined || generation === undefined) return false;
    let moved = gateway.flush(shard);
    const wanted = gateway.wantsRoom(shard);
    generation.control.setGatewayRoomWanted(shard, wanted);
    if (wanted) moved = gateway.flush(shard) || moved;
    if (moved) generation.bells[shard].ringIfParked();
    return moved;
  }

  /** `slowly`: the gateway learns of it after it has resent. */
  #deliverNotice(slowly = false): boolean {
    const notice = this.#notices.shift();
    if (notice === undefined) {
      const at = this.#consumedLater.findIndex(({ shard }) => this.#gateway?.wantsRoom(shard) === false);
      const [later] = this.#consumedLater.splice(at, at < 0 ? 0 : 1);
      if (later !== undefined) this.#gateway?.committed(later.shard, later.consumed);
      return later !== undefined;
    }
    this.#hear(notice.epoch, notice.outputs);
    for (const [shard, sequence] of notice.gatewayConsumed.entries()) {
      if (sequence === undefined) continue;
      if (slowly) this.#consumedLater.push({ shard, consumed: sequence });
      else this.#gateway?.committed(shard, sequence);
    }
    return true;
  }

  /** Main learns of a committed epoch: everything in it leaves. */
  #hear(epoch: number, outputs: readonly Uint8Array[]): void {
    rule(epoch > this.#heard, () => `main hears of epoch ${epoch} after ${this.#heard}`);
    this.#heard = epoch;
    this.#leave(epoch, outputs, true);
    const durable = this.#commands.filter((command) => command.epoch <= epoch);
    this.#commands = this.#commands.filter((command) => command.epoch > epoch);
    for (const { done } of durable) done(true);
  }

  #leave(epoch: number, outputs: readonly Uint8Array[], replies: boolean): void {
    const seen = outputs.map((output) => Buffer.from(output).toString("latin1")).join("|");
    const before = this.#seenOutside.get(epoch);
    rule(before === undefined || before === seen, () => `epoch ${epoch} leaves again with other output`); // O1
    this.#seenOutside.set(epoch, seen);
    const links: SimLink[] = [];
    const rejects: Reject[] = [];
    for (const output of outputs) {
      for (const entry of readOutput(output)) {
        if (entry.kind !== "record") {
          if (replies && entry.session === this.#session) this.#answered(entry);
        } else if (entry.egressCode === outCode) links.push(this.#codec.decode(entry.payload) as SimLink);
        else if (entry.egressCode === rejectsCode) rejects.push(this.#codec.decode(entry.payload) as Reject);
        else this.#leftFeature(entry, epoch);
      }
    }
    if (epoch > this.#sink.epoch) this.#sink.write(epoch, links);
    if (epoch > this.#rejects.epoch) this.#rejects.write(epoch, rejects);
  }

  #leftFeature({ egressCode: code, payload }: Extract<OutputEntry, { kind: "record" }>, epoch: number): void {
    for (const feature of this.#features) {
      const egress = feature.egresses?.find(({ name }) => egressCode(name) === code);
      if (egress === undefined) continue;
      feature.left?.(egress.name, this.#codec.decode(payload), epoch);
      return;
    }
    throw new Violation("a record is for an unknown egress");
  }

  /** O2 */
  #linked(record: SimLink): void {
    const { count, chain } = this.#ends.get(record.at) ?? { count: 0, chain: 0 };
    rule(
      record.count === count + 1 && record.before === chain,
      () => `the chain of ${record.at} goes from link ${count} to ${record.count}`,
    );
    this.#ends.set(record.at, record);
  }

  /** O3: an answer of a turn that failed for good may be followed by one of a later start of it; main takes the first. */
  #answered({ kind, number, payload }: Extract<OutputEntry, { readonly number: number }>): void {
    const featureAsk = this.#featureAsks.get(number);
    if (featureAsk !== undefined) {
      featureAsk(this.#codec.decode(payload), kind === "failure");
      return;
    }
    const ask = this.#asks.get(number);
    rule(ask !== undefined, () => `answer ${number} was not asked for`);
    if (kind === "failure") rule(this.#parkedSeen, () => `ask ${number} failed for no reason`);
    else {
      const answer = this.#codec.decode(payload) as { ask: number };
      rule(answer.ask === number, () => `ask ${number} gets the answer of ${answer.ask}`);
    }
    ask.answers++;
    rule(ask.answers === 1 || this.#parkedSeen, () => `ask ${number} is answered twice`);
  }

  #syncSink(): void {
    if (this.#acknowledgements.length > 0 && this.#random.below(2) === 0) {
      const { code, epoch, length } = this.#acknowledgements.shift() as { code: number; epoch: number; length: number };
      this.#storage.acknowledge(code, { epoch, position: this.#codec.encode(length).slice() });
      return;
    }
    for (const [code, sink] of [
      [outCode, this.#sink],
      [rejectsCode, this.#rejects],
    ] as const) {
      if (this.#workload.egressCodes.includes(code)) this.#acknowledgements.push({ code, ...sink.sync() });
    }
    if (this.#heard === 0) return;
    for (const code of this.#workload.featureCodes)
      this.#acknowledgements.push({ code, epoch: this.#heard, length: 0 }); // features remember what they were given
  }

  // --- commits ------------------------------------------------------------------------------------------------------

  #committed(generation: Generation, notice: CommitNotice): void {
    rule(generation === this.#generation && generation.alive, "a generation that has ended commits");
    rule(notice.generation === generation.number, "a notice says its generation");
    const committed = this.#storage.coordinator?.committed ?? 0;
    rule(notice.epoch <= committed, () => `epoch ${notice.epoch} leaves, but ${committed} is committed`); // O1
    this.#commit(notice.epoch);
    for (const merge of this.#storage.coordinator?.merges ?? []) {
      rule(
        merge.base.epoch <= notice.epoch,
        () => `a base is at epoch ${merge.base.epoch}, committed is ${notice.epoch}`,
      );
    }
    this.#statistics.commits++;
    this.#note(notice.epoch);
    this.#notices.push(notice);
  }

  #commit(epoch: number): void {
    const deltas = this.#given.get(epoch) ?? [];
    for (const { rows, cells } of deltas) this.#note(crc32(cells.rows, crc32(rows)));
    this.#ledger.apply(epoch, deltas);
    for (const feature of this.#features) feature.committed?.(this.#ledger.view);
    for (const old of this.#given.keys()) if (old <= epoch) this.#given.delete(old);
  }

  // --- crashes and starts -------------------------------------------------------------------------------------------

  async #plannedCrash(): Promise<void> {
    const kind = (["worker", "worker", "process", "os", "os"] as const)[this.#random.below(5)];
    if (this.#random.next() < this.params.ioErrorP) {
      const failing = (["write", "datasync", "datasync", "rename"] as const)[this.#random.below(4)];
      this.#disk.failNext("EIO", (call, path) => call === failing && (call === "rename" || path.includes("/log/")));
      return;
    }
    if (this.#random.next() < this.params.diskFullP) {
      this.#disk.full = !this.#disk.full;
      return;
    }
    if (this.params.crashCall !== undefined && this.#random.below(4) > 0) {
      this.#armCrash("process", 1);
      return;
    }
    if (kind !== "worker" && this.#random.next() < this.params.callCrashP) {
      this.#armCrash(kind, 12);
      return;
    }
    await this.#restart(kind);
  }

  /** The machine will stop inside a call. */
  #armCrash(kind: "process" | "os", callsMax: number): void {
    const drawn = ([undefined, undefined, ...crashCalls] as const)[this.#random.below(2 + crashCalls.length)];
    this.#crashCall = this.params.crashCall ?? drawn;
    this.#crashIn = 1 + this.#random.below(this.#crashCall === undefined ? callsMax : Math.min(callsMax, 2));
    this.#crashKind = kind;
  }

  /** A call that reaches disk or base: the machine may stop in it. */
  #touchDisk(call: string): void {
    if (this.#crashIn === 0 || (this.#crashCall !== undefined && this.#crashCall !== call) || --this.#crashIn > 0)
      return;
    throw new SimulatedCrash();
  }

  /** A sync takes its time. The shards go on meanwhile, the storage thread does not. */
  #waitForSync(): void {
    const { syncMsMax } = this.params;
    if (syncMsMax === 0 || this.#syncing) return;
    this.#now += this.#random.below(syncMsMax + 1);
    if (this.#generation === undefined) return;
    this.#syncing = true;
    this.#statistics.syncs++;
    this.#generation.meanwhile();
    this.#syncing = false;
  }

  async #guarded(act: () => void): Promise<void> {
    try {
      act();
      const error = this.#generation?.takeError();
      if (error !== undefined) throw error;
    } catch (error) {
      await this.#failed(error);
    }
  }

  /** A crash inside a call stops the process, a disk error ends the generation; everything else is a violation. */
  async #failed(error: unknown): Promise<void> {
    if (this.#dying !== undefined) await this.#bury();
    else if (error instanceof SimulatedCrash) {
      this.#statistics.crashesInCalls++;
      await this.#restart(this.#crashKind);
    } else if (isHoldfastError(error, "HF_IO") || isHoldfastError(error, "HF_DISK_FULL")) {
      this.#statistics.ioErrors++;
      await this.#restart("worker");
    } else if (isHoldfastError(error, "HF_FUNCTION_FAILED")) {
      await this.#stopByPolicy();
    } else throw error;
  }

  /** A policy ends the application; somebody starts it again. */
  async #stopByPolicy(): Promise<void> {
    this.#statistics.stopped++;
    this.#suspects.stopped();
    await this.#restart("process");
  }

  /** A message kills the thread or the process that runs it: from now on nothing of it is written down. */
  #dies(kind: "worker" | "process", id: string, message: string): void {
    const shard = shardOfKeyGroup(hashId(id) % this.params.keyGroups, this.params.keyGroups, this.#shards);
    this.#statistics.deaths++;
    if (this.#dying !== undefined) return; // something else ends the shards (O6)
    this.#dying = { kind, shard };
    if (kind === "process") return; // a process may be ended by anybody: what it says about the message depends on commits
    const kills = (this.#kills.get(message) ?? 0) + 1;
    this.#kills.set(message, kills);
    if (kills > killsMax) this.#brokenRule ??= `O6: ${message} kills for the ${kills}th time`;
  }

  /** What died of a message ends and starts again. */
  async #bury(): Promise<void> {
    const { kind, shard } = this.#dying as { readonly kind: "worker" | "process"; readonly shard: number };
    if (kind === "worker") this.#died.push({ shard, reason: "killed by a message" });
    const kills = this.#kills;
    this.#stop(kind);
    if (kind === "worker") this.#kills = kills; // O6
    await this.#start(kind);
  }

  /** Ends what runs, as a crash of this kind does. */
  #stop(kind: CrashKind): void {
    const generation = this.#generation;
    if (generation !== undefined) generation.alive = false;
    this.#generation = undefined;
    this.#dying = undefined;
    this.#kills = new Map();
    this.#restarts = kind === "worker" ? this.#restarts + 1 : 0;
    if (kind === "os") this.#notes.lose();
    this.#statistics.crashes++;
    this.#note(kind.length);
    for (const shard of generation?.shards ?? []) this.#statistics.turns += shard?.counts.turns ?? 0;
    this.#workload.forgetReaders();
    this.#pauses = []; // code of threads that are gone does not go on
    this.#roomFor.clear();
    this.#pressed = false;
    this.#consumedLater = [];
    if (kind === "worker") {
      this.#statistics.workerRestarts++;
      for (const queue of this.#deltas) this.#lateDeltas.push(...queue);
      this.#deltas = [];
      while (this.#notices.length > 0) this.#deliverNotice(this.#random.below(2) === 0); // sent before the answer to the next call
      this.#gateway?.disconnect();
      this.#storage.end();
      this.#loseCommands();
      return;
    }
    if (kind === "process") this.#statistics.processCrashes++;
    else this.#statistics.powerLosses++;
    const shaken = kind === "process" && this.#random.below(this.params.crashCall === undefined ? 2 : 8) > 0;
    this.#aftershockIn = shaken ? 1 + this.#random.below(this.params.crashCall === undefined ? 30 : 5) : 0;
    this.#crashIn = 0;
    this.#deltas = [];
    this.#lateDeltas = [];
    this.#notices = [];
    this.#acknowledgements = [];
    this.#gateway = undefined;
    this.#loseCommands();
    this.#asks.clear();
    this.#featureAsks.clear();
    this.#disk.crash(kind);
    for (const base of this.#bases.values()) base.crash(kind, this.#random);
    this.#sink.crash(kind, this.#random);
    this.#rejects.crash(kind, this.#random);
    this.#disk.clearFaults();
    this.#disk.full = false;
    this.#storage = this.#newStorage();
  }

  /** Nobody knows whether they had their effect. */
  #loseCommands(): void {
    for (const { done } of this.#commands.splice(0)) done(false);
  }

  async #restart(kind: CrashKind): Promise<void> {
    this.#stop(kind);
    await this.#start(kind);
  }

  async #start(how: CrashKind): Promise<void> {
    let kind = how;
    for (;;) {
      if (kind !== "worker") this.#newProcess();
      try {
        if (this.#faulty && this.#crashIn === 0 && this.#random.next() < this.params.callCrashP / 3) {
          this.#armCrash(this.#random.below(2) === 0 ? "process" : "os", 40);
        }
        const recovered = this.#storage.recover(this.#recoveryConfig(kind));
        this.#begin(recovered, kind);
        return;
      } catch (error) {
        if (error instanceof SimulatedCrash) {
          this.#statistics.crashesInRecovery++;
          kind = this.#crashKind;
        } else if (isHoldfastError(error, "HF_IO") || isHoldfastError(error, "HF_DISK_FULL")) {
          this.#statistics.ioErrors++;
          this.#disk.full = false;
          if (kind !== "worker") kind = "process"; // a start that fails ends the process
        } else throw error;
        this.#stop(kind);
      }
    }
  }

  #newProcess(): void {
    if (this.#random.next() < this.params.rescaleP) this.#shards = 1 + this.#random.below(shardsMax);
    if (this.#random.below(4) === 0) this.#workload.splits.reverse();
  }

  #recoveryConfig(kind: CrashKind): RecoveryConfig {
    return {
      dataDir,
      application: "sim",
      functions: this.#workload.functions,
      namespaces: this.#workload.namespaces,
      egressCodes: this.#workload.egressCodes,
      shards: this.#shards,
      keyGroups: this.params.keyGroups,
      splits: this.#workload.splits,
      session: kind === "worker" ? this.#session : undefined,
      segmentBytes: this.params.segmentBytes,
      zeroAheadBytes: this.params.zeroAheadBytes,
    };
  }

  #begin(recovered: Recovered, kind: CrashKind): void {
    const { manifest } = recovered;
    rule(manifest.generation > this.#lastGeneration, "generations grow");
    this.#lastGeneration = manifest.generation;
    for (const restored of recovered.shards) this.#statistics.restored += restored.messages.length;
    this.#note(manifest.committed);
    if (manifest.committed === this.#ledger.epoch + 1) this.#commit(manifest.committed); // durable, but nobody was told
    const moved = manifest.layout !== this.#layout || this.#ledger.shards.length !== this.#shards;
    this.#layout = manifest.layout;
    if (moved) this.#statistics.relayouts++;
    this.#ledger.recovered(manifest.committed, this.#durableRows(recovered), moved);
    for (const feature of this.#features) feature.committed?.(this.#ledger.view);
    this.#given.clear();
    if (kind !== "worker") this.#openOutside(recovered);
    this.#resend(recovered);
    const { suspects } = this.#suspects.begin(manifest.committed, this.#shards, {
      restarts: this.#restarts,
      died: this.#restarts > 0 ? this.#died : [],
    });
    this.#died = [];
    if (suspects !== undefined) this.#statistics.trials++;
    const generation = new Generation(
      this.params,
      this.#shards,
      this.#workload,
      recovered,
      suspects,
      this.#generationPort(manifest.layout),
    );
    this.#deltas = Array.from({ length: this.#shards }, () => []);
    this.#generation = generation;
    const { control } = generation;
    this.#storageBell = new Doorbell(control.words, control.storageParkedIndex, {
      postMessage: () => {
        this.#storageRung = true;
      },
    });
    this.#storageAsleepUntil = 0;
    this.#storage.begin(
      {
        control,
        wakeShard: (shard) => generation.bells[shard].ringIfParked(),
        committed: (notice) => this.#committed(generation, notice),
      },
      {
        pace: { intervalMs: this.params.intervalMs, idleIntervalMs: this.params.idleIntervalMs },
        mergeIntervalMs: this.params.mergeIntervalMs,
        mergeSliceRowsMax: this.params.mergeSliceRowsMax,
      },
    );
    this.#connect(generation, recovered);
  }

  /** A new process opens its sinks and a new gateway session. */
  #openOutside(recovered: Recovered): void {
    this.#session = recovered.session;
    this.#sessions.add(this.#session);
    this.#gateway = new GatewaySession(this.#shards);
    this.#heard = 0;
    this.#parkedSeen = false;
    for (const [code, sink] of [
      [outCode, this.#sink],
      [rejectsCode, this.#rejects],
    ] as const) {
      const mark = recovered.watermarks.get(code);
      sink.open(
        mark === undefined
          ? { epoch: 0, length: 0 }
          : { epoch: mark.epoch, length: this.#codec.decode(mark.position) as number },
      );
    }
  }

  /** The output that recovery found goes to whoever has not had it. */
  #resend(recovered: Recovered): void {
    const epochs = new Map<number, Uint8Array[]>();
    for (const { epoch, shard, output } of recovered.outputs) {
      const outputs = epochs.get(epoch) ?? [];
      outputs[shard] = output;
      epochs.set(epoch, outputs);
    }
    for (const [epoch, outputs] of epochs) {
      this.#leave(epoch, outputs, epoch > this.#heard);
      this.#heard = Math.max(this.#heard, epoch);
    }
    const { committed } = recovered.manifest;
    for (const epoch of this.#seenOutside.keys())
      rule(epoch <= committed, () => `epoch ${epoch} left and is not committed`);
    if (this.params.egress) this.#checkSink();
  }

  /** O2: every link of the committed state is in the sink. */
  #checkSink(): void {
    const chains = this.#ledger.chains();
    for (const [at, { count, chain }] of chains) {
      const end = this.#ends.get(at);
      rule(end?.count === count && end.chain === chain, () => `${at} has ${count} links, the sink ${end?.count}`);
    }
    for (const [at, { count }] of this.#ends)
      rule(chains.get(at)?.count === count, () => `the sink has links of ${at} too many`);
  }

  #connect(generation: Generation, recovered: Recovered): void {
    const gateway = this.#gateway as GatewaySession;
    for (const [shard, channel] of generation.gatewayChannels.entries()) {
      const consumed = recovered.shards[shard].gatewayConsumed;
      if (this.#random.below(2) === 0) gateway.connect(shard, channel, consumed);
      else {
        gateway.connect(shard, channel, 0); // it resends what the shard has to skip
        this.#consumedLater.push({ shard, consumed });
      }
    }
    this.#flushGateway();
  }

  #durableRows(recovered: Recovered): Rows[] {
    return recovered.merges.map((merge, shard) => {
      const rows: Rows = new Map();
      const base = this.#bases.get(Storage.basePath(dataDir, recovered.manifest.layout, shard)) as SimBase;
      const reader = base.openReader();
      for (const { key, value } of reader.scan(new Uint8Array(0), Uint8Array.of(0xff, 0xff, 0xff)))
        rows.set(keyText(key), value);
      reader.close();
      for (const [key, value] of merge.overlay) {
        if (value === null) rows.delete(key);
        else rows.set(key, value);
      }
      return rows;
    });
  }

  // --- ports --------------------------------------------------------------------------------------------------------

  #generationPort(layout: number): GenerationPort {
    return {
      random: this.#random,
      rooms: this.#rooms,
      clock: this.#clock,
      advanceStorage: () => {
        if (this.#random.below(2) === 0) this.#advanceStorage();
        else this.#deliverDelta();
      },
      openReader: (shard) => (this.#bases.get(Storage.basePath(dataDir, layout, shard)) as SimBase).openReader(),
      asynchronous: () => {
        this.#asyncTicks = 8;
      },
      handOver: (delta) => this.#deltas[delta.shard].push(delta),
      wakeStorage: () => this.#storageBell?.ringIfParked(),
      gatewayRoom: (shard) => this.#roomFor.add(shard),
      offload: (module, name, input, signal) => this.#offloaded(module, name, input, signal),
      noteTurns: (shard, note) => {
        if (this.#dying === undefined) this.#notes.write(turnsNoteName(shard), note);
      },
      report: (event) => {
        if (event.kind === "parked") {
          this.#parkedSeen = true;
          this.#statistics.parked++;
        } else this.#statistics.rejected++;
      },
    };
  }

  /** Tasks of the simulator: `echo` gives its input, `throw` fails; both take their time. */
  async #offloaded(_module: string, name: string, input: TaskInput, signal: AbortSignal): Promise<unknown> {
    this.#asyncTicks = 8;
    await new Promise<void>((resolve) => this.#pauses.push(resolve));
    signal.throwIfAborted();
    if (name === "throw") throw new Error("this task does not like its input");
    return "bytes" in input ? this.#codec.decode(input.bytes) : input.value;
  }

  get #clock(): { now(): number; wall(): number } {
    return { now: () => this.#now, wall: () => this.#now + this.#wallAhead };
  }

  #newStorage(): Storage {
    return new Storage({
      clock: this.#clock,
      disk: this.#disk,
      openBase: (path) => this.#openBase(path),
      destroyBase: (path) => this.#disk.remove(path),
    });
  }

  /** A base exists as long as its directory does. */
  #openBase(path: string): BaseWriter {
    if (!this.#disk.exists(path)) {
      this.#disk.mkdir(path);
      this.#bases.delete(path);
    }
    const parts = path.split("/");
    for (let length = parts.length - 1; length > 0; length--)
      this.#disk.syncDirectory(parts.slice(0, length).join("/")); // at each opening, as the one before may have ended between
    let base = this.#bases.get(path);
    if (base === undefined) {
      base = new SimBase();
      this.#bases.set(path, base);
    }
    return new CrashingWriter(base.openWriter(), (call) => this.#touchDisk(call));
  }

  // --- liveness -----------------------------------------------------------------------------------------------------

  /** The liveness phase: no more faults, and in a bounded number of rounds everything is done (O4). */
  async #drain(): Promise<void> {
    this.#faulty = false;
    this.#crashIn = 0;
    this.#aftershockIn = 0;
    this.#disk.clearFaults();
    this.#disk.full = false;
    if (this.#random.below(4) === 0) await this.#restart("process");
    this.#workload.feedAll();
    const pressedUntil = this.#random.below(40);
    if (this.#random.below(2) === 0) this.#press(true);
    let idleRounds = 0;
    let stopped = false;
    for (let round = 0; ; round++) {
      rule(round < drainRoundsMax, () => `no progress: ${this.#unfinished()} (${this.#generation?.describe()})`);
      if (round === pressedUntil) this.#press(false);
      let busy = this.#advanceStorage();
      try {
        for (let shard = 0; shard < this.#shards; shard++) busy = this.#advanceShard(shard) > 0 || busy;
        const error = this.#generation?.takeError();
        if (error !== undefined) throw error;
      } catch (error) {
        if (stopped || !isHoldfastError(error, "HF_FUNCTION_FAILED")) throw error;
        stopped = true;
        await this.#stopByPolicy(); // a turn had begun while turns still failed
      }
      for (const feature of this.#features) feature.settle?.();
      while (this.#deliverDelta()) busy = true;
      while (this.#deliverNotice()) busy = true;
      while (this.#settle(0)) busy = true;
      if (round === 0 || !this.params.parking) busy = this.#flushGateway() || busy;
      for (const shard of this.#roomFor) busy = this.#flushLane(shard) || busy;
      this.#roomFor.clear();
      if (round % 8 === 0) this.#syncSink();
      if (this.#asyncTicks > 0) await this.#drainMicrotasks();
      this.#checkBroken();
      if (round > pressedUntil && this.#unfinished() === undefined) break;
      idleRounds = busy ? 0 : idleRounds + 1;
      if (idleRounds > 2) this.#now += 5 * (idleRounds - 2);
      if (idleRounds > 10 && this.#onlyQuarantined()) {
        if (this.#random.below(6) === 0) await this.#restart("process");
        else this.#mend();
        idleRounds = 0;
      }
    }
    this.#finalChecks();
  }

  /** Everything that is left waits for commands; the others have run. */
  #onlyQuarantined(): boolean {
    const shards = this.#generation?.shards ?? [];
    const settled = shards.every(
      (shard, index) =>
        shard?.inFlight === 0 &&
        shard.epoch === this.#ledger.epoch && // no commit is under way
        this.#generation?.control.dirty(index) === false,
    );
    return settled && shards.some((shard) => shard !== undefined && shard.counts.parked > 0);
  }

  /** O5: features say what becomes of what their addresses wait with; the rest is tried again, now that no turn throws. */
  #mend(): void {
    this.#ledger.checkQuarantine();
    for (const feature of this.#features) feature.mend?.(this.#ledger.view);
    for (const { type, id } of this.#command("quarantine.list", []).flat() as { type: string; id: string }[]) {
      this.#statistics.mended++;
      this.#command("quarantine.retry", [type, id], id);
    }
  }

  #unfinished(): string | undefined {
    const unconsumed = this.#ledger.unconsumed(new Set([this.#session]));
    if (unconsumed !== undefined) return `${unconsumed} is not consumed`;
    if (this.#ledger.inFlight > 0) return `${this.#ledger.inFlight} messages are in flight`;
    for (const [index, shard] of (this.#generation?.shards ?? []).entries()) {
      if (shard === undefined) return `shard ${index} has not started`;
      if (shard.inFlight > 0) return `shard ${index} has ${shard.inFlight} messages`;
      if (!shard.counts.exhausted) return `shard ${index} has splits to read`;
      if (this.#generation?.control.dirty(index)) return `shard ${index} has effects that are not committed`;
    }
    for (const feature of this.#features) {
      const unfinished = feature.unfinished?.(this.#ledger.view);
      if (unfinished !== undefined) return unfinished;
    }
    const unanswered = [...this.#asks.values()].find(({ answers }) => answers === 0);
    if (unanswered !== undefined) return `ask ${unanswered.number} is not answered`;
    if ((this.#gateway?.bytes ?? 0) > 0) return "sends are not acknowledged";
    if (this.#heard < this.#ledger.epoch && this.#notices.length > 0) return "main has not heard of the last epoch";
    return undefined;
  }

  #finalChecks(): void {
    for (const shard of this.#generation?.shards ?? []) this.#statistics.turns += shard?.counts.turns ?? 0;
    this.#ledger.checkPairs();
    for (const feature of this.#features) feature.ended?.(this.#ledger.view);
    if (this.params.egress) this.#checkSink();
    const bad = [...this.#workload.records.values()].flat().filter((record) => record.bad).length;
    rule(this.#rejects.records.length === bad, () => `${this.#rejects.records.length} rejects, ${bad} bad records`);
  }

  #checkBroken(): void {
    rule(this.#brokenRule === undefined, () => this.#brokenRule as string);
  }

  #note(event: number): void {
    this.#hash = Math.imul(this.#hash ^ event, 0x01000193) ^ (this.#hash >>> 13);
  }
}

/** Notes that outlive processes, and not the machine. */
class SimNotes implements Notes {
  readonly #texts = new Map<string, string>();

  read(name: string): string | undefined {
    return this.#texts.get(name);
  }

  write(name: string, text: string): void {
    this.#texts.set(name, text);
  }

  remove(name: string): void {
    this.#texts.delete(name);
  }

  lose(): void {
    this.#texts.clear();
  }
}

/** A writer in whose calls the machine may stop, before they take effect. */
class CrashingWriter implements BaseWriter {
  readonly #writer: BaseWriter;
  readonly #touch: (call: (typeof crashCalls)[number]) => void;

  constructor(writer: BaseWriter, touch: (call: (typeof crashCalls)[number]) => void) {
    this.#writer = writer;
    this.#touch = touch;
  }

  get epoch(): number {
    return this.#writer.epoch;
  }

  apply(rows: readonly Row[], epoch?: number): void {
    this.#touch("base apply");
    if (epoch === undefined) this.#writer.apply(rows);
    else this.#writer.apply(rows, epoch);
  }

  sync(): void {
    this.#touch("base sync");
    this.#writer.sync();
  }

  scan(from: Uint8Array, to: Uint8Array): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }> {
    return this.#writer.scan(from, to);
  }

  close(): void {
    this.#writer.close();
  }
}

/** Runs one seed. @throws what breaks a rule */
export async function runSeed(seed: number, overrides: Overrides = {}): Promise<WorldReport> {
  return new World(seed, overrides).run();
}

/** Which rule a failure breaks: the place where it is written, and what it says without the names and numbers in it. */
export function ruleOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const places = error.stack?.split("\n").filter((line) => /^ +at /.test(line) && !line.includes("at rule ")) ?? [];
  const words = error.message.split(/\s+/).filter((word) => /^[a-z,:]+$/i.test(word));
  return [error.name, places[0]?.trim(), ...words].join(" ");
}

/** What a failure says in one line. */
export function describeFailure(error: unknown): string {
  if (error instanceof Violation) return error.message;
  if (error instanceof HoldfastError) return `unexpected ${error.message}`;
  return `unexpected ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
}
