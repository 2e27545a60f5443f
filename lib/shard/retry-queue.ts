/** Messages whose turn failed and will be tried again, each after twice the time of the attempt before. */
import type { Clock } from "../base/clock.js";
import type { Message } from "./instance.js";

export class RetryQueue {
  readonly #clock: Clock;
  readonly #baseMs: number;
  readonly #waiting: { readonly message: Message; readonly due: number }[] = [];

  constructor(clock: Clock, baseMs: number) {
    this.#clock = clock;
    this.#baseMs = baseMs;
  }

  /** When the next attempt is due; infinite when none is. */
  get nextDue(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const waiting of this.#waiting) due = Math.min(due, waiting.due);
    return due;
  }

  due(): boolean {
    return this.#waiting.length > 0 && this.nextDue <= this.#clock.now();
  }

  add(message: Message): void {
    const due = this.#clock.now() + this.#baseMs * 2 ** (message.attempts - 1);
    this.#waiting.push({ message, due });
  }

  /** Takes a message whose next attempt is due. */
  next(): Message | undefined {
    if (this.#waiting.length === 0) return undefined;
    const now = this.#clock.now();
    const index = this.#waiting.findIndex((waiting) => waiting.due <= now);
    return index < 0 ? undefined : this.#waiting.splice(index, 1)[0].message;
  }
}
