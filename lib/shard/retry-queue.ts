/** Messages whose turn failed and will be tried again, by the time of their next attempt. */
import type { Clock } from "../base/clock.js";
import { Heap } from "../base/heap.js";
import type { Message } from "./instance.js";

export class RetryQueue {
  readonly #clock: Clock;
  readonly #waiting = new Heap<Message>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** When the next attempt is due; infinite when none is. */
  get nextDue(): number {
    return this.#waiting.nextKey;
  }

  add(message: Message, delayMs: number): void {
    this.#waiting.push(this.#clock.now() + delayMs, message);
  }

  /** Takes a message whose next attempt is due. */
  next(): Message | undefined {
    if (this.#waiting.length === 0 || this.#waiting.nextKey > this.#clock.now()) return undefined;
    return this.#waiting.pop();
  }
}
