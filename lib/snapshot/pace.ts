/**
 * When the next epoch begins. Busy shards: the epoch's own work stays a share of a core, a small one when nobody outside
 * waits for what they do, a larger one when somebody does. Idle shards with somebody waiting: at once. Nobody waiting: a
 * slow interval. Nothing new: no epoch.
 *
 * Who waits for the end of all work does not make busy shards commit more often, but idle ones, as often as if somebody
 * waited for what they do. Nobody says when they are idle, as busy ones are for moments all the time: whoever asks is told
 * to look again soon.
 */
import {
  epochAwaitedShareMax,
  epochEndLookMs,
  epochIdleIntervalMs,
  epochIntervalMaxMs,
  epochIntervalMinMs,
  epochUnawaitedIntervalMaxMs,
  epochWorkShareMax,
} from "../base/limits.js";

export interface PaceOptions {
  /** A fixed interval in place of the adaptive one. */
  readonly intervalMs: number | undefined;
  /** The interval when shards are idle and nobody waits. */
  readonly idleIntervalMs: number;
}

export const defaultPace: PaceOptions = { intervalMs: undefined, idleIntervalMs: epochIdleIntervalMs };

/** What the coordinator sees of the shards. */
export interface Demand {
  readonly dirty: boolean;
  readonly waiting: boolean;
  readonly allIdle: boolean;
  /** Somebody outside waits for the commit after which nothing is left to do. */
  readonly endAwaited: boolean;
  /** Somebody asked for a checkpoint. */
  readonly requested: boolean;
}

export class Pace {
  readonly #options: PaceOptions;
  #workMs = 0;
  #began: number;

  constructor(options: PaceOptions, now: number) {
    this.#options = options;
    this.#began = now;
  }

  /** Milliseconds until an epoch is due; infinite when none is wanted. */
  dueIn(now: number, demand: Demand): number {
    if (demand.requested) return 0;
    if (!demand.dirty) return Number.POSITIVE_INFINITY;
    if (demand.waiting && demand.allIdle) return 0;
    const dueIn = Math.max(0, this.#began + this.#intervalMs(demand) - now);
    return demand.endAwaited ? Math.min(dueIn, epochEndLookMs) : dueIn;
  }

  #intervalMs({ allIdle, waiting, endAwaited }: Demand): number {
    if (!allIdle) return this.busyIntervalMs(waiting);
    const { idleIntervalMs } = this.#options;
    return endAwaited ? Math.min(idleIntervalMs, this.#awaitedIntervalMs) : idleIntervalMs;
  }

  /** The interval of busy shards. */
  busyIntervalMs(waiting: boolean): number {
    if (this.#options.intervalMs !== undefined) return this.#options.intervalMs;
    if (waiting) return this.#awaitedIntervalMs;
    return Math.min(epochUnawaitedIntervalMaxMs, Math.max(epochIntervalMinMs, this.#workMs / epochWorkShareMax));
  }

  get #awaitedIntervalMs(): number {
    return Math.min(epochIntervalMaxMs, Math.max(epochIntervalMinMs, this.#workMs / epochAwaitedShareMax));
  }

  begin(now: number): void {
    this.#began = now;
  }

  /** Notes what an epoch cost, all threads together. */
  spent(workMs: number): void {
    this.#workMs = this.#workMs === 0 ? workMs : 0.8 * this.#workMs + 0.2 * workMs;
  }
}
