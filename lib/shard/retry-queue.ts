/** Messages whose turn failed and will be tried again, by the time of their next attempt. */
import type { Clock } from "../base/clock.js";
import { Heap } from "../base/heap.js";
import type { Message } from "./instance.js";

interface Retry {
  readonly due: number;
  /** Those that are due at the same time go in the order they came. */
  readonly order: number;
  readonly message: Message;
}

export class RetryQueue {
  readonly #clock: Clock;
  readonly #waiting = new Heap<Retry>((a, b) => a.due < b.due || (a.due === b.due && a.order < b.order));
  #added = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** When the next attempt is due; infinite when none is. */
  get nextDue(): number {
    return this.#waiting.peek()?.due ?? Number.POSITIVE_INFINITY;
  }

  add(message: Message, delayMs: number): void {
    this.#waiting.push({ due: this.#clock.now() + delayMs, order: this.#added++, message });
  }

  /** Takes a message whose next attempt is due. */
  next(): Message | undefined {
    if (this.#waiting.length === 0 || this.nextDue > this.#clock.now()) return undefined;
    return this.#waiting.pop()?.message;
  }
}
