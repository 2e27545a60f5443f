/**
 * Wakes a thread that waits on its event loop. One word per sleeper, `parked`, shared by all who may wake it.
 *
 * No wake-up is lost. The waker stores what it has to say (a ring's tail or head, an epoch) with Atomics and *then* tests
 * `parked`; the sleeper stores `parked` and *then* tests everything it may be woken for. Atomics are one total order, so
 * at least one of the two sees the other's store: the waker rings, or the sleeper finds the work and unparks.
 *
 *     waker:    D1 store work        D2 parked === 1 ? → 0, ring
 *     sleeper:  D3 store parked := 1 D4 work there ? unpark : return to the event loop
 *
 * If D2 comes before D3 in that order, D1 comes before D4, and D4 sees the work. Of several wakers one finds the 1 and
 * rings. A ring may come for nothing (the sleeper unparked by itself between); it must be ready for that.
 */
import { invariant } from "../base/invariant.js";

/** What a doorbell hangs on: a MessagePort, or the simulator's stand-in. */
export interface DoorbellPort {
  postMessage(message: unknown): void;
}

/** A doorbell as both sides see it. */
export class Doorbell {
  readonly #words: Int32Array;
  readonly #index: number;
  readonly #port: DoorbellPort | undefined;

  /** `words[index]` is the sleeper's `parked` word, 0 at first. The port leads to the sleeper, who itself needs none. */
  constructor(words: Int32Array, index: number, port?: DoorbellPort) {
    invariant(index >= 0 && index < words.length, "a doorbell has its word");
    this.#words = words;
    this.#index = index;
    this.#port = port;
  }

  /** Waker: call after each Atomics store that the sleeper waits for. True when it was asleep and is being woken. */
  ringIfParked(): boolean {
    const words = this.#words;
    const index = this.#index;
    // The load spares a busy sleeper's cache line the exchange; the exchange picks one of several wakers.
    if (Atomics.load(words, index) !== 1 || Atomics.exchange(words, index, 0) !== 1) return false;
    invariant(this.#port !== undefined, "a waker has a port");
    this.#port.postMessage(0);
    return true;
  }

  /** Sleeper: call first, then test again all there is to be woken for, and `unpark` when something is there. */
  park(): void {
    Atomics.store(this.#words, this.#index, 1);
  }

  /** Sleeper: awake again, by a ring or for another reason. */
  unpark(): void {
    Atomics.store(this.#words, this.#index, 0);
  }
}
