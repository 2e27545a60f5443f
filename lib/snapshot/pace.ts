/**
 * When the next epoch begins. Busy shards: the epoch's own work stays a share of a core, a small one when nobody outside
 * waits for what they do, a larger one when somebody does. Idle shards with somebody waiting: at once. Nobody waiting: a
 * slow interval. Nothing new: no epoch.
 */
import {
  epochAwaitedShareMax,
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
    const interval =
      demand.allIdle && !demand.waiting ? this.#options.idleIntervalMs : this.busyIntervalMs(demand.waiting);
    return Math.max(0, this.#began + interval - now);
  }

  /** The interval of busy shards. */
  busyIntervalMs(waiting: boolean): number {
    if (this.#options.intervalMs !== undefined) return this.#options.intervalMs;
    const wanted = this.#workMs / (waiting ? epochAwaitedShareMax : epochWorkShareMax);
    return Math.min(waiting ? epochIntervalMaxMs : epochUnawaitedIntervalMaxMs, Math.max(epochIntervalMinMs, wanted));
  }

  begin(now: number): void {
    this.#began = now;
  }

  /** Notes what an epoch cost, all threads together. */
  spent(workMs: number): void {
    this.#workMs = this.#workMs === 0 ? workMs : 0.8 * this.#workMs + 0.2 * workMs;
  }
}
