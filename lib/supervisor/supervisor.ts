/**
 * Owner of the threads: brings a data directory up, replaces all shards when one dies, takes everything down.
 *
 *     new ── start ──▶ running ◀──▶ restarting         every state ──▶ failed
 *                         └── stop ──▶ stopping ──▶ stopped
 *
 * Thread: main.
 * U1. At most one generation is up. A new one begins after every thread of the old one is gone and storage has ended it.
 * U2. Any end of a shard thread outside `stop` restarts all shards from the last commit, with growing pauses, at most
 *     `restartsMax` times in `restartWindowMs`; errors that a restart cannot mend fail at once. An end that said which
 *     message may be to blame does not count for that limit, but for one of its own: it leads to an end of the ends.
 * U3. The storage thread is never replaced: when it dies the application has failed.
 * U4. Storage knows where every sink is before the first commit of a generation. Otherwise a crash between a first write
 *     and its watermark would leave records in the sink that no watermark tells apart from what was there before.
 * U5. Shard threads load while the storage thread recovers the data directory, as loading takes as long as a small
 *     recovery. They are given what was recovered when their generation begins, and end when there is none.
 */
import { availableParallelism } from "node:os";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { type ErrorCode, fromWire, HoldfastError, isHoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import {
  restartBackoffBaseMs,
  restartBackoffMaxMs,
  restartsLearnedMax,
  restartsMax,
  restartWindowMs,
  ringBytesDefault,
} from "../base/limits.js";
import { ControlWords, drainPressure, stopTurns } from "../channel/control-words.js";
import { Doorbell } from "../channel/doorbell.js";
import { Outbound } from "../channel/outbound.js";
import { acquireLock, type Lock } from "../log/lock.js";
import { NodeDisk } from "../log/node-disk.js";
import { allocateRing } from "../ring/ring-memory.js";
import { RingProducer } from "../ring/ring-producer.js";
import type { ShardLimits } from "../shard/ports.js";
import type { CommitNotice } from "../snapshot/coordinator.js";
import type { RecoveryConfig } from "../snapshot/recovery.js";
import { type GenerationOptions, shardsOf } from "../snapshot/storage.js";
import type { Ending } from "../snapshot/suspects.js";
import { beginInside, closeGate, closeGateOfEnded, type Gate } from "../store/lmdb-base.js";
import { tuneCollector } from "./collector.js";
import { Remote } from "./control-plane.js";
import { OffloadPool } from "./offload-pool.js";
import { ShardWorker } from "./shard-worker.js";
import type { RecoveryReport, StorageControl } from "./storage-thread.js";
import {
  type LogState,
  notesDirectory,
  type ShardNotice,
  type StorageThreadData,
  type StorageToMain,
  storageGate,
} from "./thread-protocol.js";
import { Watchdog } from "./watchdog.js";

export interface SupervisorConfig {
  readonly moduleUrl: string;
  readonly recovery: Omit<RecoveryConfig, "session">;
  readonly limits: ShardLimits;
  /** Heap of a shard's thread in MiB; undefined for what Node gives it. */
  readonly shardHeapMb: number | undefined;
  /** Shards take nothing in and start no turns. */
  readonly paused: boolean;
  readonly generation: GenerationOptions;
  readonly watchdogTimeoutMs: number;
}

/** How far the sink of an egress is, for storage. */
export interface EgressWatermark {
  readonly egressCode: number;
  readonly epoch: number;
  readonly position: Uint8Array;
}

/** What the floor above does with what happens. */
export interface SupervisorEvents {
  /** A generation was recovered; nothing runs yet. Returns where every sink is: its first commit says so (U4). */
  recovered(report: RecoveryReport): Promise<readonly EgressWatermark[]>;
  /** Its shards run; these are the gateway's channels to them. */
  connected(channels: readonly Outbound[], report: RecoveryReport): void;
  /** Its shards are gone. */
  disconnected(reason: Error, attempt: number): void;
  committed(notice: CommitNotice): void;
  /** The log cannot grow any more, or can again. */
  log(state: LogState): void;
  shardSaid(shard: number, message: ShardNotice): void;
  failed(error: Error): void;
}

/** What a command came to, and what has to be committed, by which generation, for it to last. */
export interface CommandOutcome {
  /** By shard. */
  readonly results: unknown[];
  readonly generation: number;
  readonly epoch: number;
}

/** Everything that lives as long as one generation. */
interface Generation {
  readonly number: number;
  readonly control: ControlWords;
  readonly workers: readonly ShardWorker[];
  readonly bells: readonly Doorbell[];
  readonly watchdog: Watchdog;
}

type State = "new" | "running" | "restarting" | "stopping" | "stopped" | "failed";

/** Errors that come again however often the shards are restarted. */
const lasting: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "HF_BAD_MODULE",
  "HF_BAD_APP",
  "HF_BAD_NAME",
  "HF_BAD_OPTIONS",
  "HF_BAD_SCHEMA",
  "HF_BAD_RECORD",
  "HF_INGRESS_FAILED",
  "HF_OVERLOAD",
  "HF_FUNCTION_FAILED",
  "HF_FENCED",
  "HF_OTHER_APP",
  "HF_FORMAT",
  "HF_LOG_DAMAGED",
  "HF_STATE_DAMAGED",
]);

export class Supervisor {
  readonly #config: SupervisorConfig;
  readonly #events: SupervisorEvents;
  readonly #gates: SharedArrayBuffer;
  readonly #storageGate: Gate;
  #state: State = "new";
  #lock: Lock | undefined;
  #storageWorker: Worker | undefined;
  #storage: Remote<StorageControl> | undefined;
  #session: number | undefined;
  readonly #offload = new OffloadPool();
  #generation: Generation | undefined;
  #restarts: number[] = [];
  /** Times of the restarts that found a message to blame. */
  #learned: number[] = [];
  /** Threads of this or the last generation that died by themselves. */
  #died: { readonly shard: number; readonly reason: string }[] = [];
  #restarting: Promise<void> | undefined;
  /** Why the generation that comes up is of no use already. */
  #spoiled: Error | undefined;
  #failure: Error | undefined;
  #endAwaited = false;
  /** Restarts since the start. */
  restartCount = 0;
  readonly #atExit = (): void => this.#closeGates();

  constructor(config: SupervisorConfig, events: SupervisorEvents) {
    this.#config = config;
    this.#events = events;
    this.#gates = new SharedArrayBuffer((config.recovery.shards + 1) * Int32Array.BYTES_PER_ELEMENT);
    this.#storageGate = { words: new Int32Array(this.#gates), index: storageGate };
  }

  get state(): State {
    return this.#state;
  }

  /** Locks the data directory, recovers it and starts the shards. */
  async start(): Promise<void> {
    invariant(this.#state === "new", "a supervisor starts once");
    try {
      this.#lock = await acquireLock(this.#config.recovery.dataDir);
      process.once("exit", this.#atExit);
      tuneCollector(this.#config.recovery.shards, this.#config.limits.residentInstancesMax);
      this.#startStorage();
      await this.#bringUp();
      if (this.#failure !== undefined) throw this.#failure; // the storage thread ended meanwhile
      this.#state = "running";
    } catch (error) {
      if (isHoldfastError(error, "HF_WORKER_FAILED")) return this.#startAgain(error);
      this.#state = "failed";
      await this.#takeDown();
      throw error;
    }
  }

  /** A message that was in flight may end a thread before all of them are up: like any end of a thread (U2). */
  async #startAgain(reason: Error): Promise<void> {
    await this.#restart(reason);
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Wakes a shard for what the gateway put into its ring. */
  ring(shard: number): void {
    this.#generation?.bells[shard].ringIfParked();
  }

  /** The gateway's rings have no room for what it has for a shard: it wants to be told when there is some. */
  wantRoom(shard: number, wanted: boolean): void {
    this.#generation?.control.setGatewayRoomWanted(shard, wanted);
  }

  /** Raises or releases a reason for backpressure. */
  press(bit: number, raised: boolean): void {
    const generation = this.#generation;
    if (generation === undefined) return;
    if (raised) generation.control.raisePressure(bit);
    else {
      generation.control.releasePressure(bit);
      for (const bell of generation.bells) bell.ringIfParked();
    }
  }

  /** Somebody waits, or does not any more, for the commit after which nothing is left to do. */
  awaitEnd(awaited: boolean): void {
    this.#endAwaited = awaited;
    if (this.#generation !== undefined) this.#generation.control.endAwaited = awaited;
  }

  /** Asks for an epoch that begins after this call, and returns it; waits for a restart to be over. */
  async request(): Promise<number> {
    await this.#restarting;
    if (this.#storage === undefined) throw new HoldfastError("HF_STOPPED", "the application has ended");
    return this.#storage.call("request");
  }

  async acknowledge(egressCode: number, epoch: number, position: Uint8Array): Promise<void> {
    await this.#storage?.call("acknowledge", egressCode, epoch, position);
  }

  /** Runs a command in one shard, or in all of them. Waits for a restart to be over. */
  async command(name: string, args: readonly unknown[], shard?: number): Promise<CommandOutcome> {
    await this.#restarting;
    const generation = this.#generation;
    if (generation === undefined) throw new HoldfastError("HF_STOPPED", "the application has ended");
    const { workers, number } = generation;
    const asked = shard === undefined ? workers : [workers[shard]];
    const outcomes = await Promise.all(asked.map((worker) => worker.control.call("command", name, args)));
    const epoch = Math.max(...outcomes.map((outcome) => outcome.epoch));
    return { results: outcomes.map(({ result }) => result), generation: number, epoch };
  }

  /** No shard takes any more from its ingresses. */
  async closeFeeds(): Promise<void> {
    await this.#restarting;
    if (this.#state !== "running") return;
    this.#state = "stopping";
    await Promise.all((this.#generation?.workers ?? []).map((worker) => worker.control.call("closeFeeds")));
  }

  /** Ends everything; what is not committed by now is done again at the next start. */
  async stop(): Promise<void> {
    if (this.#state === "stopped") return;
    await this.#restarting;
    this.#state = this.#state === "failed" ? "failed" : "stopping";
    await this.#takeDown();
    if (this.#state === "stopping") this.#state = "stopped";
  }

  // --- up -----------------------------------------------------------------------------------------------------------

  #startStorage(): void {
    const control = new MessageChannel();
    const main = new MessageChannel();
    const workerData: StorageThreadData = { gates: this.#gates, controlPort: control.port2, mainPort: main.port2 };
    beginInside(this.#storageGate);
    const worker = new Worker(new URL("./storage-thread.js", import.meta.url), {
      name: "holdfast storage",
      workerData,
      transferList: [control.port2, main.port2],
    });
    const ended = new Promise<never>((_, reject) => {
      const end = (error: unknown): void => {
        const reason = new HoldfastError("HF_STORAGE_FAILED", "the storage thread ended", { cause: error });
        closeGateOfEnded(this.#storageGate);
        reject(reason);
        this.#fail(reason); // U3
      };
      worker.once("error", end);
      worker.once("exit", (code) => end(new Error(`exit code ${code}`)));
    });
    ended.catch(() => {});
    main.port1.on("message", (message: StorageToMain) => this.#storageSaid(message));
    main.port1.unref();
    control.port1.unref();
    this.#storageWorker = worker;
    this.#storage = new Remote(control.port1, ended);
  }

  async #bringUp(): Promise<void> {
    const storage = this.#storage;
    invariant(storage !== undefined && this.#generation === undefined, "storage is up, shards are not"); // U1
    const ending: Ending = { restarts: this.#restarts.length, died: this.#died };
    this.#died = [];
    this.#spoiled = undefined;
    const workers: ShardWorker[] = [];
    try {
      this.#startThreads(workers);
      const report = await storage.call("recover", { ...this.#config.recovery, session: this.#session }, ending);
      this.#session = report.session;
      if (report.learned) this.#learned.push(Date.now());
      const watermarks = await this.#events.recovered(report);
      await this.#startShards(storage, workers, report, watermarks);
    } catch (error) {
      if (this.#generation === undefined) await Promise.all(workers.map((worker) => worker.terminate()));
      throw error;
    }
  }

  /** U5 */
  #startThreads(workers: ShardWorker[]): void {
    const entry = new URL("./shard-thread.js", import.meta.url);
    for (let index = 0; index < this.#config.recovery.shards; index++) {
      const worker = new ShardWorker(entry, index, this.#gates, this.#config.shardHeapMb, {
        message: (message) => this.#events.shardSaid(index, message),
        ended: (reason) => {
          if (!isHoldfastError(reason, "HF_IO")) this.#died.push({ shard: index, reason: reason.message });
          this.#generationEnded(reason);
        },
      });
      workers.push(worker);
    }
  }

  async #startShards(
    storage: Remote<StorageControl>,
    workers: readonly ShardWorker[],
    report: RecoveryReport,
    watermarks: readonly EgressWatermark[],
  ): Promise<void> {
    const { shards } = this.#config.recovery;
    const memory = ControlWords.allocate(shards, true) as SharedArrayBuffer;
    const control = new ControlWords(memory, shards);
    control.want = report.epoch;
    control.committed = report.epoch;
    control.endAwaited = this.#endAwaited;
    if (this.#config.paused) control.raisePressure(drainPressure | stopTurns);
    const rings = matrix(shards, () => allocateRing({ capacity: ringBytesDefault, shared: true }) as SharedArrayBuffer);
    const pairs = matrix(shards, () => new MessageChannel());
    const gatewayRings = Array.from(
      { length: shards },
      () => allocateRing({ capacity: ringBytesDefault, shared: true }) as SharedArrayBuffer,
    );
    const storageChannels = Array.from({ length: shards }, () => new MessageChannel());
    for (const { offloadPort } of workers) this.#offload.serve(offloadPort);
    const bells = workers.map((worker, index) => new Doorbell(control.words, control.parkedIndex(index), worker.port));
    const watchdog = new Watchdog(control, this.#config.watchdogTimeoutMs, (shard, reason) =>
      workers[shard].giveUp(reason),
    );
    this.#generation = { number: report.generation, control, workers, bells, watchdog };
    const shardPorts = storageChannels.map(({ port1 }) => port1);
    await storage.call("begin", { control: memory, shards, shardPorts } as never, this.#config.generation);
    for (const { egressCode, epoch, position } of watermarks) {
      await storage.call("acknowledge", egressCode, epoch, position); // U4
    }
    const { moduleUrl, limits, recovery } = this.#config;
    const starts = workers.map((worker, index) =>
      worker.control.call("start", {
        moduleUrl,
        shards,
        keyGroups: report.keyGroups,
        generation: report.generation,
        session: report.session,
        epoch: report.epoch,
        splits: recovery.splits.filter((_, place) => place % shards === index),
        limits,
        suspects: report.suspects,
        notesDirectory: notesDirectory(recovery.dataDir),
        basePath: report.basePaths[index],
        restored: report.restored[index],
        control: memory,
        outboundRings: rings.map((_, other) => (other === index ? undefined : rings[index][other])),
        inboundRings: rings.map((_, other) => (other === index ? undefined : rings[other][index])),
        gatewayRing: gatewayRings[index],
        shardPorts: pairs.map((_, other) => portBetween(pairs, index, other)),
        storagePort: storageChannels[index].port2,
      }),
    );
    await Promise.allSettled(starts); // whatever fails, none is ended while it loads what may be a native addon
    await Promise.all(starts);
    if (this.#spoiled !== undefined) throw this.#spoiled;
    watchdog.start();
    const channels = gatewayRings.map((ring) => new Outbound(new RingProducer(ring)));
    this.#events.connected(channels, report);
  }

  // --- down ---------------------------------------------------------------------------------------------------------

  #storageSaid(message: StorageToMain): void {
    if (message.kind === "committed") this.#events.committed(message.notice);
    else if (message.kind === "log") this.#events.log(message.state);
    else this.#generationEnded(fromWire(message.error)); // a disk error ends the generation like a dead shard does
  }

  #generationEnded(reason: Error): void {
    if (this.#state !== "running") {
      this.#spoiled ??= reason; // starting, restarting: who brings the threads up sees it
      return;
    }
    if (isHoldfastError(reason) && lasting.has(reason.code)) this.#fail(reason);
    else {
      this.#restarting = this.#restart(reason).finally(() => {
        this.#restarting = undefined;
      });
    }
  }

  /** U2 */
  async #restart(reason: Error): Promise<void> {
    this.#state = "restarting";
    let cause = reason;
    for (;;) {
      const now = Date.now();
      const inWindow = (at: number): boolean => now - at < restartWindowMs;
      this.#restarts = [...this.#restarts.filter(inWindow), now];
      this.#learned = this.#learned.filter(inWindow);
      const attempt = this.#restarts.length;
      const inVain = Math.max(1, attempt - Math.min(restartsLearnedMax, this.#learned.length));
      this.restartCount++;
      this.#events.disconnected(cause, attempt);
      if (inVain > restartsMax) {
        this.#fail(tooManyRestarts(cause));
        return;
      }
      try {
        await this.#endGeneration();
        await new Promise((resolve) =>
          setTimeout(resolve, Math.min(restartBackoffMaxMs, restartBackoffBaseMs * 2 ** (inVain - 1))),
        );
        if ((this.#state as State) !== "restarting") return;
        await this.#bringUp();
        this.#state = "running";
        return;
      } catch (error) {
        cause = error instanceof Error ? error : new Error(String(error));
        if ((this.#state as State) !== "restarting") return;
        if (isHoldfastError(error) && lasting.has(error.code)) {
          this.#fail(error);
          return;
        }
      }
    }
  }

  #fail(error: Error): void {
    if (this.#state === "stopping" || this.#state === "stopped" || this.#state === "failed") return;
    const starting = this.#state === "new";
    this.#state = "failed";
    this.#failure = error;
    if (starting) return; // `start` rejects
    void this.#takeDown().then(
      () => this.#events.failed(error),
      () => this.#events.failed(error),
    );
  }

  async #endGeneration(): Promise<void> {
    const generation = this.#generation;
    this.#generation = undefined;
    generation?.watchdog.stop();
    await Promise.all((generation?.workers ?? []).map((worker) => worker.terminate()));
    await this.#storage?.call("end");
  }

  async #takeDown(): Promise<void> {
    const generation = this.#generation;
    this.#generation = undefined;
    generation?.watchdog.stop();
    const stopping = this.#state === "stopping";
    await Promise.allSettled(
      (generation?.workers ?? []).map((worker) => (stopping ? worker.close() : worker.terminate())),
    );
    await this.#offload.close();
    // An end that a failure policy asks for blames nobody: once the function is corrected its message is to run.
    const wanted = stopping || isHoldfastError(this.#failure, "HF_FUNCTION_FAILED");
    await this.#storage?.call("close", wanted).catch(() => {}); // a storage thread that died has nothing to close
    this.#storage = undefined;
    const worker = this.#storageWorker;
    this.#storageWorker = undefined;
    if (worker !== undefined) {
      closeGate(this.#storageGate, 1_000);
      await worker.terminate(); // what was called and not answered fails with its end
    }
    process.removeListener("exit", this.#atExit);
    await this.#lock?.release();
    this.#lock = undefined;
  }

  /** A process that exits inside an lmdb call hangs or aborts. */
  #closeGates(): void {
    const words = new Int32Array(this.#gates);
    for (let index = 0; index < words.length; index++) closeGate({ words, index }, 1_000);
  }
}

/** The shard count for a data directory when nobody chose one: what it has, or one per core. */
export function defaultShards(dataDir: string): number {
  return shardsOf(new NodeDisk(), dataDir) ?? availableParallelism();
}

function matrix<T>(size: number, make: () => T): T[][] {
  return Array.from({ length: size }, () => Array.from({ length: size }, make));
}

/** One channel per pair of shards: the lower index has port1. */
function portBetween(
  pairs: readonly (readonly MessageChannel[])[],
  index: number,
  other: number,
): MessagePort | undefined {
  if (index === other) return undefined;
  const { port1, port2 } = pairs[Math.min(index, other)][Math.max(index, other)];
  return index < other ? port1 : port2;
}

function tooManyRestarts(cause: Error): Error {
  if (isHoldfastError(cause) && cause.code !== "HF_WORKER_FAILED") return cause;
  return new HoldfastError(
    "HF_WORKER_FAILED",
    `the shards were restarted ${restartsMax} times within ${restartWindowMs / 1000} s and failed again (${cause.message}). Nothing committed is lost; mend the cause and start again`,
    { cause },
  );
}
