/**
 * Notices a shard whose loop has stopped turning: a turn that never returns.
 *
 * Owner and thread: the supervisor, main.
 */
import { HoldfastError } from "../base/errors.js";
import type { ControlWords } from "../channel/control-words.js";

export class Watchdog {
  readonly #control: ControlWords;
  readonly #timeoutMs: number;
  readonly #stuck: (shard: number, reason: Error) => void;
  readonly #seen: { beat: number; at: number }[];
  #timer: NodeJS.Timeout | undefined;

  constructor(control: ControlWords, timeoutMs: number, stuck: (shard: number, reason: Error) => void) {
    this.#control = control;
    this.#timeoutMs = timeoutMs;
    this.#stuck = stuck;
    this.#seen = Array.from({ length: control.shards }, () => ({ beat: 0, at: 0 }));
  }

  start(): void {
    const now = performance.now();
    for (const seen of this.#seen) seen.at = now;
    this.#timer = setInterval(() => this.#look(), Math.min(1_000, this.#timeoutMs / 4));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const now = performance.now();
    for (const [shard, seen] of this.#seen.entries()) {
      const beat = this.#control.heartbeat(shard);
      if (beat !== seen.beat || this.#control.parked(shard)) {
        seen.beat = beat;
        seen.at = now;
      } else if (now - seen.at > this.#timeoutMs) {
        seen.at = now;
        const waited = this.#timeoutMs < 1_000 ? `${this.#timeoutMs} ms` : `${Math.round(this.#timeoutMs / 1_000)} s`;
        this.#stuck(
          shard,
          new HoldfastError(
            "HF_WORKER_FAILED",
            `shard ${shard}: a turn has not returned for ${waited}; its thread is replaced. Give long work to another thread, or make it asynchronous`,
          ),
        );
      }
    }
  }
}
