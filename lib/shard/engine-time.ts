/**
 * The time that timers and schedules go by: milliseconds since 1970, never going back.
 *
 * Owner and thread: the shard.
 * E1. At the start it is the wall clock, or the time stored last when that is later: a clock that was set back repeats
 *     nothing and makes nothing early.
 * E2. Then it goes as the monotonic clock does. A wall clock that is set back is ignored; one that is ahead by more than
 *     `clockStepMs` (it was set, or the machine slept) is followed, so instants come when a calendar says so.
 * E3. It is stored, to the second, with every epoch in which a timer was set or fired. A new layout gives the latest time
 *     of all shards to each.
 * E4. A wall clock that is behind by no more than that (two clocks drift) is waited for: nothing comes early by the wall.
 */
import { clockLookMs, clockStepMs } from "../base/limits.js";
import type { PartPort } from "./part.js";
import { clockKey, decodeClock, encodeClock, timerBucket } from "./timer-rows.js";

export class EngineTime {
  readonly #port: PartPort;
  /** Engine time minus the monotonic clock. */
  #offset = 0;
  /** What was told last: time does not go back. */
  #last = 0;
  #stored = 0;
  /** Where the time is stored: in the first of the shard's key groups. */
  #keyGroup: number | undefined;
  /** When the wall clock was looked at last, on the monotonic clock. */
  #looked = 0;

  constructor(port: PartPort) {
    this.#port = port;
  }

  /** E1. `keyGroups` are the shard's. */
  restore(keyGroups: readonly number[]): void {
    const { clock, rows } = this.#port;
    this.#keyGroup = keyGroups[0];
    let stored = 0;
    for (const group of keyGroups) {
      const value = rows.get(timerBucket(group), clockKey(group));
      if (value !== undefined) stored = Math.max(stored, decodeClock(value));
    }
    this.#looked = clock.now();
    this.#last = Math.max(clock.wall(), stored);
    this.#offset = this.#last - this.#looked;
  }

  /** Milliseconds since 1970, with fractions. */
  now(): number {
    const { clock } = this.#port;
    this.#looked = clock.now();
    let now = this.#looked + this.#offset;
    const wall = clock.wall();
    const ahead = now - wall;
    if (ahead < -clockStepMs)
      now = wall; // E2
    else if (ahead > 0 && ahead <= clockStepMs) now = Math.max(this.#last, wall); // E4
    this.#offset = now - this.#looked;
    this.#last = now;
    return now;
  }

  /** An instant on the monotonic clock, or when to look at the wall clock again, whatever comes first. */
  wakeAt(instant: number): number {
    return Math.min(instant - this.#offset, this.#looked + clockLookMs);
  }

  /** E3 */
  store(now: number): void {
    if (this.#keyGroup === undefined || now < this.#stored + clockStepMs) return;
    this.#stored = Math.floor(now);
    const value = encodeClock(this.#stored);
    this.#port.rows.put(timerBucket(this.#keyGroup), clockKey(this.#keyGroup), value, this.#port.epoch);
  }
}
