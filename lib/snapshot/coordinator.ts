/**
 * The coordinator of one generation: begins epochs, commits them, merges committed rows into the bases, trims the log.
 *
 * Owner:  the storage. Thread: the storage thread's, which alone writes log and bases.
 * K1. At most one epoch is being captured; the next begins after all deltas of this one have arrived.
 * K2. Deltas of another generation are ignored: after `close` nothing of this generation is committed any more.
 * K3. An epoch becomes `committed` only when its deltas and its commit record are durable; only then do its output and
 *     acknowledgements leave, and only then are its rows folded.
 * K4. The log is trimmed below the oldest base epoch known durable and below what every sink has durably taken, as a
 *     durable commit record says it, but never the last commit record itself. The manifest names the new first segment
 *     before that.
 * K5. Every base gets its merges: none is merged again while another one has waited longer.
 */
import type { Clock } from "../base/clock.js";
import { invariant } from "../base/invariant.js";
import { logBytesMax, mergeBytesCrowdedMax, mergeBytesMax, mergeSliceRowsBehindMax } from "../base/limits.js";
import { type ControlWords, crowded, crowdedOut, logPressure, stopTurns } from "../channel/control-words.js";
import type { ShardCounts } from "../shard/ports.js";
import type { EncodedWatermark, Watermarks } from "./commit-record.js";
import { type Delta, joinDelta } from "./delta.js";
import type { EpochLog } from "./epoch-log.js";
import type { Merge } from "./merge.js";
import { type Demand, Pace, type PaceOptions } from "./pace.js";

/** What main learns of a commit. */
export interface CommitNotice {
  readonly generation: number;
  readonly epoch: number;
  /** Output bytes by shard. */
  readonly outputs: readonly Uint8Array[];
  /** Last gateway sequence consumed, by shard; undefined where none was in this epoch. */
  readonly gatewayConsumed: readonly (number | undefined)[];
  readonly counts: readonly ShardCounts[];
  /** Messages in flight in this cut, parked ones excepted. */
  readonly inFlight: number;
}

export interface CoordinatorPorts {
  readonly clock: Clock;
  readonly control: ControlWords;
  wakeShard(shard: number): void;
  committed(notice: CommitNotice): void;
  /** Makes the manifest name another first segment. */
  firstSegmentMoves(segment: number): void;
}

export interface CoordinatorConfig {
  readonly generation: number;
  readonly epoch: number;
  readonly pace: PaceOptions;
  readonly mergeIntervalMs: number;
  /** Rows of one slice of a merge, unless merges lag behind. */
  readonly mergeSliceRowsMax: number;
  /** Egresses of the application: each holds back the log until its sink has taken what is in it. */
  readonly egressCodes: readonly number[];
}

/** What recovery found and the coordinator goes on with. */
export interface RecoveredLog {
  readonly log: EpochLog;
  readonly merges: readonly Merge[];
  readonly watermarks: Watermarks;
}

export class Coordinator {
  readonly #config: CoordinatorConfig;
  readonly #ports: CoordinatorPorts;
  readonly #log: EpochLog;
  readonly merges: readonly Merge[];
  readonly #pace: Pace;
  /** Watermarks as sinks reported them, and as the last durable commit record says them (K4). */
  readonly #watermarks: Map<number, EncodedWatermark>;
  #durableWatermarks: Watermarks;
  #arrived: (Delta | undefined)[];
  #arrivedCount = 0;
  #capturing = false;
  #requested = false;
  #watermarksMoved = false;
  #full = false;
  #closed = false;

  constructor(config: CoordinatorConfig, ports: CoordinatorPorts, recovered: RecoveredLog) {
    this.#config = config;
    this.#ports = ports;
    this.#log = recovered.log;
    this.merges = recovered.merges;
    for (const merge of this.merges) merge.startedAt = ports.clock.now(); // their first interval begins
    this.#watermarks = new Map(recovered.watermarks);
    this.#durableWatermarks = new Map(recovered.watermarks);
    this.#pace = new Pace(config.pace, ports.clock.now());
    this.#arrived = new Array(this.merges.length).fill(undefined);
    invariant(recovered.log.durable === config.epoch, "the log ends at the committed epoch");
    ports.control.want = config.epoch;
    ports.control.committed = config.epoch;
  }

  /** The last durable epoch. */
  get committed(): number {
    return this.#log.durable;
  }

  /** Asks for an epoch that begins after this call, and returns it. */
  request(): number {
    this.#requested = true;
    return this.#log.durable + (this.#capturing ? 2 : 1);
  }

  /** A sink has durably taken everything up to a watermark; a later commit says so. */
  acknowledge(egressCode: number, watermark: EncodedWatermark): void {
    this.#watermarks.set(egressCode, watermark);
    this.#watermarksMoved = true;
  }

  /**
   * Does what is due. Returns milliseconds until it wants to be called again, 0 for soon, infinite when only a delta,
   * `waiting` or a request can bring new work.
   */
  step(): number {
    if (this.#closed) return Number.POSITIVE_INFINITY;
    const now = this.#ports.clock.now();
    const dueIn = this.#capturing ? Number.POSITIVE_INFINITY : this.#pace.dueIn(now, this.#demand());
    if (dueIn <= 0) {
      this.#begin(now);
      return 0;
    }
    if (this.#work(now)) return 0;
    return Math.min(
      dueIn,
      this.merges.some((merge) => merge.pending) ? this.#config.mergeIntervalMs : Number.POSITIVE_INFINITY,
    );
  }

  /** True when it may be that nobody calls `step` for a while: writes down what is durable. */
  rest(): boolean {
    return !this.#closed && this.#log.saySynced();
  }

  /** One shard's part of the epoch has arrived. */
  onDelta(delta: Delta): void {
    if (!this.isCurrent(delta)) return; // K2
    invariant(this.#capturing && delta.epoch === this.#log.durable + 1, "a delta belongs to the epoch being captured");
    invariant(this.#arrived[delta.shard] === undefined, "a shard has one delta per epoch");
    this.#arrived[delta.shard] = delta;
    this.#arrivedCount++;
    if (this.#arrivedCount === this.merges.length) this.commit(this.#arrived as Delta[]);
  }

  isCurrent(delta: Delta): boolean {
    return !this.#closed && delta.generation === this.#config.generation;
  }

  /** K2: what is not committed by now never will be. */
  close(): void {
    this.#closed = true;
  }

  commit(deltas: readonly Delta[]): void {
    const began = this.#ports.clock.now();
    const { epoch } = deltas[0];
    const watermarks = new Map(this.#watermarks);
    this.#log.commit(epoch, deltas.map(toPayload), watermarks);
    this.#durableWatermarks = watermarks;
    this.#watermarksMoved = false;
    this.#arrived = new Array(this.merges.length).fill(undefined);
    this.#arrivedCount = 0;
    this.#capturing = false;
    this.#ports.control.committed = epoch;
    this.release(deltas);
    this.fold(deltas);
    let workMs = this.#ports.clock.now() - began;
    for (const delta of deltas) workMs += delta.workMs;
    this.#pace.spent(workMs);
  }

  /** K3: output, replies and acknowledgements of an epoch leave. */
  release(deltas: readonly Delta[]): void {
    this.#ports.committed({
      generation: this.#config.generation,
      epoch: deltas[0].epoch,
      outputs: deltas.map((delta) => delta.output),
      gatewayConsumed: deltas.map((delta) => delta.gatewayConsumed),
      counts: deltas.map((delta) => delta.counts),
      inFlight: deltas.reduce((sum, delta) => sum + delta.inFlight, 0),
    });
  }

  /** K3 */
  fold(deltas: readonly Delta[]): void {
    for (const { shard, epoch, rows, cells } of deltas) this.merges[shard].fold(epoch, rows, cells);
  }

  /** The oldest epoch that every base has durably reached. */
  durableBaseEpoch(): number {
    for (const merge of this.merges) merge.base.sync();
    return Math.min(...this.merges.map((merge) => merge.base.epoch));
  }

  trim(): void {
    let epoch = Math.min(this.durableBaseEpoch(), this.committed - 1); // the last commit says where the sinks are
    for (const code of this.#config.egressCodes) epoch = Math.min(epoch, this.#durableWatermarks.get(code)?.epoch ?? 0);
    const { log } = this.#log;
    const first = log.firstSegmentAfterTrim(epoch);
    if (first === log.firstSegment) return;
    this.#ports.firstSegmentMoves(first); // K4
    log.trim(epoch);
  }

  #demand(): Demand {
    const { control } = this.#ports;
    let dirty = this.#watermarksMoved && this.#log.log.liveBytes > mergeBytesMax;
    let allIdle = true;
    for (let shard = 0; shard < control.shards; shard++) {
      dirty ||= control.dirty(shard);
      allIdle &&= control.idle(shard);
    }
    const waiting = control.waiting || this.#crowding === crowdedOut; // turns wait for a merge, and that for a commit
    return { dirty, waiting, allIdle, endAwaited: control.endAwaited, requested: this.#requested };
  }

  #begin(now: number): void {
    const { control } = this.#ports;
    this.#requested = false;
    this.#capturing = true;
    this.#pace.begin(now);
    control.waiting = false;
    control.want = this.#log.durable + 1;
    for (let shard = 0; shard < control.shards; shard++) this.#ports.wakeShard(shard);
  }

  /** One slice of merging or of preparing the log. */
  #work(now: number): boolean {
    this.#press();
    const running = this.merges.find((merge) => merge.running);
    if (running !== undefined) {
      const isBehind = this.#lagsBehind || this.#crowding > 0;
      if (running.slice(isBehind ? mergeSliceRowsBehindMax : this.#config.mergeSliceRowsMax)) {
        this.trim();
        this.#wakeCrowded();
      }
      return true;
    }
    const due = this.dueMerge(now);
    if (due === undefined) return this.#log.log.prepare();
    due.start(now);
    return true;
  }

  /** The merge to start: of those that have something to do the one that has waited longest (K5). */
  dueMerge(now: number): Merge | undefined {
    let oldest: Merge | undefined;
    for (const merge of this.merges) {
      if (merge.pending && (oldest === undefined || merge.startedAt < oldest.startedAt)) oldest = merge;
    }
    if (oldest === undefined || this.#lagsBehind) return oldest;
    return now - oldest.startedAt >= this.#config.mergeIntervalMs ? oldest : undefined;
  }

  /** Bytes folded and in no merge yet. */
  get #unmergedBytes(): number {
    return this.merges.reduce((sum, merge) => sum + merge.bytes, 0);
  }

  /** Unmerged bytes that start a merge before its time. */
  get #mergeBytes(): number {
    const crowding = this.#crowding;
    return crowding === crowdedOut ? 0 : crowding === crowded ? mergeBytesCrowdedMax : mergeBytesMax;
  }

  /** What came while a merge runs would already start the next one. */
  get #lagsBehind(): boolean {
    return this.#unmergedBytes >= this.#mergeBytes;
  }

  /** How much the shards want merges, to let go of what is merged. */
  get #crowding(): number {
    const { control } = this.#ports;
    let most = 0;
    for (let shard = 0; shard < control.shards; shard++) most = Math.max(most, control.crowding(shard));
    return most;
  }

  /** A shard that sleeps lets go of nothing: now it can. */
  #wakeCrowded(): void {
    const { control } = this.#ports;
    for (let shard = 0; shard < control.shards; shard++) if (control.crowding(shard) > 0) this.#ports.wakeShard(shard);
  }

  /** Backpressure by the size of the live log, and by a full disk. */
  #press(): void {
    const { control } = this.#ports;
    const { log } = this.#log;
    const full = log.liveBytes > logBytesMax || log.diskFull;
    if (full === this.#full) return;
    this.#full = full;
    if (full) control.raisePressure(logPressure | (log.diskFull ? 0 : stopTurns));
    else {
      control.releasePressure(logPressure | stopTurns);
      for (let shard = 0; shard < control.shards; shard++) this.#ports.wakeShard(shard);
    }
  }
}

function toPayload({ shard, rows, cells, output }: Delta): { shard: number; payload: Uint8Array } {
  return { shard, payload: joinDelta(rows, cells, output) };
}
