/**
 * One generation of shards in a simulated world: real shards, captures and rings, stepped by the scheduler instead of by
 * threads, with the sleeping and waking of the threads (lib/supervisor/step-loop.ts) played step by step.
 */
import type { Clock } from "../../lib/base/clock.js";
import type { Random } from "../../lib/base/random.js";
import { ControlWords } from "../../lib/channel/control-words.js";
import { Doorbell } from "../../lib/channel/doorbell.js";
import { Inbound } from "../../lib/channel/inbound.js";
import { Outbound } from "../../lib/channel/outbound.js";
import { RingConsumer } from "../../lib/ring/ring-consumer.js";
import { allocateRing } from "../../lib/ring/ring-memory.js";
import { RingProducer } from "../../lib/ring/ring-producer.js";
import type { ShardConfig, ShardEvent, Suspect, TaskInput } from "../../lib/shard/ports.js";
import { Shard } from "../../lib/shard/shard.js";
import { Capture } from "../../lib/snapshot/capture.js";
import type { Delta } from "../../lib/snapshot/delta.js";
import type { Recovered } from "../../lib/snapshot/recovery.js";
import { packRestored, unpackRestored } from "../../lib/snapshot/restored.js";
import type { BaseReader } from "../../lib/store/base.js";
import { gatewaySender } from "../../lib/store/row-key.js";
import type { Params } from "./params.js";
import type { Workload } from "./workload.js";

/** How deep threads may stand in the middle of a step, one inside the other. */
const depthMax = 3;
/** A thread looks at the clock far more often than at what it shares. */
const clockOdds = 0.2;

/** What a generation needs of its world. */
export interface GenerationPort {
  /** The storage thread goes on for a moment, while shards stand in the middle of a step. */
  advanceStorage(): void;
  readonly random: Random;
  /** What memory has room for is drawn from these. */
  readonly rooms: Random;
  readonly clock: Clock;
  openReader(shard: number): BaseReader;
  /** Promises may have been settled: microtasks have to be drained. */
  asynchronous(): void;
  handOver(delta: Delta): void;
  wakeStorage(): void;
  /** A gateway ring has room again. */
  gatewayRoom(shard: number): void;
  noteTurns(shard: number, note: string): void;
  report(event: ShardEvent): void;
  /** Runs a task some time, if at all. */
  offload(module: string, name: string, input: TaskInput, signal: AbortSignal): Promise<unknown>;
}

/** The receiving end of a ring whose thread may lose its core before it looks, and may look just too early. */
class PreemptedInbound extends Inbound {
  readonly #preempt: () => void;
  readonly #tooEarly: () => boolean;
  #atHand = false;

  constructor(consumer: RingConsumer, preempt: () => void, tooEarly: () => boolean) {
    super(consumer);
    this.#preempt = preempt;
    this.#tooEarly = tooEarly;
  }

  override poll(): boolean {
    this.#preempt();
    if (!this.#atHand && this.#tooEarly()) return false;
    this.#atHand = super.poll();
    return this.#atHand;
  }

  override take(): void {
    this.#atHand = false;
    super.take();
  }

  override empty(): boolean {
    this.#preempt();
    return super.empty();
  }
}

type Mode = "starting" | "busy" | "parking" | "asleep";

/** A shard and the state of its loop. */
class Seat {
  shard: Shard | undefined;
  mode: Mode = "starting";
  rung = false;
  due = Number.POSITIVE_INFINITY;
  /** Instances that its memory has room for. */
  room = Number.POSITIVE_INFINITY;
  /** It stands in the middle of something, while others go on. */
  running = false;
}

export class Generation {
  readonly number: number;
  readonly control: ControlWords;
  readonly gatewayChannels: readonly Outbound[];
  /** Rings the doorbell of each shard. */
  readonly bells: readonly Doorbell[];
  alive = true;
  readonly #params: Params;
  readonly #port: GenerationPort;
  readonly #workload: Workload;
  readonly #config: Omit<ShardConfig, "index" | "splits">;
  readonly #recovered: Recovered;
  readonly #seats: readonly Seat[];
  readonly #rings: readonly (readonly (ArrayBufferLike | undefined)[])[];
  readonly #gatewayRings: readonly ArrayBufferLike[];
  #depth = 0;
  #error: unknown;

  constructor(
    params: Params,
    shards: number,
    workload: Workload,
    recovered: Recovered,
    suspects: readonly Suspect[] | undefined,
    port: GenerationPort,
  ) {
    const { manifest, session } = recovered;
    this.number = manifest.generation;
    this.#params = params;
    this.#port = port;
    this.#workload = workload;
    this.#recovered = recovered;
    this.#config = {
      app: workload.app,
      shards,
      keyGroups: manifest.keyGroups,
      generation: manifest.generation,
      session,
      epoch: manifest.committed,
      suspects,
      limits: {
        residentInstancesMax: params.residentInstancesMax,
        admissionBytesMax: params.admissionBytesMax,
        overloadBytesMax: Number.MAX_SAFE_INTEGER,
        turnAttemptsMax: params.turnAttemptsMax,
        turnRetryBaseMs: 3,
        turnTimeoutMs: params.turnTimeoutMs,
        timersResidentMax: [2, 16, 1_000][params.keyGroups % 3],
        recentRowsMax: [4, 40, 1_000_000][params.addresses % 3],
        recentSlabBytes: [512, 8 * 1024][params.addresses % 2],
        unmergedCellsMin: [2, 10, 1_000_000][params.addresses % 3],
        receivePerStepMax: params.receivePerStepMax,
        turnsPerStepMax: params.turnsPerStepMax,
        captureRowsPerStepMax: params.captureRowsPerStepMax,
      },
    };
    this.control = new ControlWords(ControlWords.allocate(shards, false), shards);
    this.control.want = manifest.committed;
    this.control.committed = manifest.committed;
    this.#seats = Array.from({ length: shards }, () => new Seat());
    this.#rings = this.#seats.map((_, from) => this.#seats.map((_, to) => (from === to ? undefined : this.#ring())));
    this.#gatewayRings = this.#seats.map(() => this.#ring());
    this.gatewayChannels = this.#gatewayRings.map((ring) => new Outbound(new RingProducer(ring)));
    this.bells = this.#seats.map(
      (seat, index) =>
        new Doorbell(this.control.words, this.control.parkedIndex(index), {
          postMessage: () => {
            seat.rung = true;
          },
        }),
    );
  }

  get shards(): readonly (Shard | undefined)[] {
    return this.#seats.map(({ shard }) => shard);
  }

  /** True when no shard has anything to do until a clock, a doorbell or a promise says so. */
  get quiet(): boolean {
    return this.#seats.every(({ mode, rung }) => mode === "asleep" && !rung);
  }

  /** When the next sleeping shard wants to be stepped. */
  get nextDue(): number {
    return Math.min(...this.#seats.map(({ due }) => due));
  }

  /** What the shards are doing, for people. */
  describe(): string {
    return this.#seats
      .map(({ mode, shard, rung, due }) => {
        const waits = shard?.wantsRoom ? ", waits for room" : "";
        return `${mode}${rung ? ", rung" : ""}, ${shard?.inFlight} in flight${waits}, due ${due}, epoch ${shard?.epoch}`;
      })
      .join("; ");
  }

  /** What main asks of a shard, which runs between its steps; undefined of one that has not started. */
  command(index: number, name: string, args: readonly unknown[]): unknown {
    const seat = this.#seats[index];
    if (seat.shard === undefined) return undefined;
    seat.running = true;
    const result = seat.shard.command(name, args);
    seat.running = false;
    this.bells[index].ringIfParked();
    return result;
  }

  /** The next thing that happens on a shard's thread: its start, a step, falling asleep, waking up. */
  advance(index: number): number {
    const seat = this.#seats[index];
    if (seat.running) return 0;
    seat.running = true;
    this.#depth++;
    const work = this.#go(seat, index);
    this.#depth--;
    seat.running = false;
    return work;
  }

  /**
   * Threads run at the same time: wherever a shard touches what it shares, others may have gone on. Errors of theirs
   * are kept for `takeError`, as they are none of the shard that stands here.
   */
  preempt(odds = 1): void {
    if (this.#error !== undefined || !this.alive || this.#depth >= depthMax) return;
    if (this.#port.random.next() < this.#params.preemptP * odds) this.#goOn(1 + this.#port.random.below(5));
  }

  /** The shards go on while the storage thread waits for its disk. */
  meanwhile(): void {
    if (this.#error === undefined && this.alive && this.#depth < depthMax) this.#goOn(this.#port.random.below(8));
  }

  #goOn(times: number): void {
    const { random } = this.#port;
    try {
      let who = 0;
      for (let actions = times; actions > 0 && this.#error === undefined; actions--) {
        if (who === 0 || random.below(3) > 0) who = random.below(this.#seats.length + 1);
        if (who < this.#seats.length) this.advance(who);
        else this.#port.advanceStorage();
      }
    } catch (error) {
      this.#error ??= error;
    }
  }

  /** What went wrong on another thread while a shard was in the middle of a step. */
  takeError(): unknown {
    const error = this.#error;
    this.#error = undefined;
    return error;
  }

  #go(seat: Seat, index: number): number {
    switch (seat.mode) {
      case "starting":
        seat.shard = this.#build(index);
        seat.mode = "busy";
        return 1;
      case "busy":
        return this.#step(seat, index);
      case "parking":
        return this.#park(seat, index);
      case "asleep":
        if (!seat.rung && seat.due > this.#port.clock.now()) return 0;
        this.#wake(seat, index);
        return 1;
    }
  }

  #step(seat: Seat, index: number): number {
    const shard = seat.shard as Shard;
    seat.rung = false;
    const work = shard.step();
    this.control.beat(index);
    if (this.#params.parking) {
      if (work === 0) seat.mode = "parking";
    } else this.control.setIdle(index, work === 0 && !shard.mayWork());
    return work;
  }

  #park(seat: Seat, index: number): number {
    const shard = seat.shard as Shard;
    this.bells[index].park();
    this.control.setIdle(index, true);
    this.control.setRoomWanted(index, shard.wantsRoom);
    seat.mode = "asleep";
    const dueIn = shard.mayWork() ? 0 : shard.dueIn();
    seat.due = dueIn === undefined ? Number.POSITIVE_INFINITY : this.#port.clock.now() + dueIn;
    return 0;
  }

  #wake(seat: Seat, index: number): void {
    this.bells[index].unpark();
    this.control.setIdle(index, false);
    seat.rung = false;
    seat.due = Number.POSITIVE_INFINITY;
    seat.mode = "busy";
  }

  #build(index: number): Shard {
    const { shards } = this.#config;
    const seat = this.#seats[index];
    const preempt = (): void => this.preempt();
    const tooEarly = (): boolean => this.#params.preemptP > 0 && this.#port.random.below(16) === 0;
    const inbound = this.#seats.map((_, from) => {
      const ring = this.#rings[from][index];
      return ring === undefined ? undefined : new PreemptedInbound(new RingConsumer(ring), preempt, tooEarly);
    });
    const outbound = this.#seats.map((_, to) => {
      const ring = this.#rings[index][to];
      return ring === undefined ? undefined : new Outbound(new RingProducer(ring));
    });
    const { control } = this;
    const clock: Clock = {
      now: () => {
        this.preempt(clockOdds);
        return this.#port.clock.now();
      },
      wall: () => this.#port.clock.wall(),
    };
    const capture = new Capture(
      { ...this.#config, index },
      { clock, control, inbound, handOver: (delta) => this.#port.handOver(delta) },
    );
    return new Shard(
      { ...this.#config, index, splits: this.#workload.splits.filter((_, place) => place % shards === index) },
      {
        clock,
        random: this.#port.random,
        control,
        inbound,
        outbound,
        gateway: new Inbound(new RingConsumer(this.#gatewayRings[index])),
        base: this.#port.openReader(index),
        capture,
        wakeShard: (shard) => {
          preempt();
          this.bells[shard].ringIfParked();
        },
        wakeStorage: () => {
          preempt();
          this.#port.wakeStorage();
        },
        wakeForRoom: (from) => {
          preempt();
          if (from === gatewaySender) {
            if (control.gatewayRoomWanted(index)) this.#port.gatewayRoom(index);
          } else if (control.roomWanted(from)) this.bells[from].ringIfParked();
        },
        wakeSelf: () => {
          seat.rung = true;
          this.#port.asynchronous();
        },
        roomFor: () => this.#room(seat),
        offload: (module, name, input, signal) => this.#port.offload(module, name, input, signal),
        noteTurns: (note) => this.#port.noteTurns(index, note),
        report: (event) => this.#port.report(event),
      },
      unpackRestored(packRestored(this.#recovered.shards[index])),
    );
  }

  /** Collections of the heap come when they come, and what they find depends on all that lives there. */
  #room(seat: Seat): number {
    const { rooms } = this.#port;
    const { roomP } = this.#params;
    if (roomP > 0 && rooms.next() < roomP) seat.room = [1, 2, Number.POSITIVE_INFINITY][rooms.below(3)];
    return seat.room;
  }

  /** A ring whose positions wrap soon. */
  #ring(): ArrayBufferLike {
    const { random } = this.#port;
    const initialPosition = this.#params.nearWrap ? 2 ** 32 - 8 * random.below(1_000) - 8 : 0;
    return allocateRing({
      capacity: this.#params.crowded ? 4_096 : this.#params.ringBytes,
      shared: false,
      initialPosition,
    });
  }
}
