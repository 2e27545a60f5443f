/**
 * Drives something that works in steps on a thread with an event loop: steps while there is work, yields to the event
 * loop often, parks when there is none, and is woken by doorbells, timers and its own thread.
 *
 * P1. Before it sleeps it sets the parked word and then looks once more at everything it may be woken for; who wakes it
 *     stores first and then looks at the parked word. So no wake-up is lost.
 * P2. When a loop that was busy runs dry, it naps before it parks: it sleeps by a timer for a short while, steps, and so
 *     on. A thread that another one wakes is often put on the core of the one that woke it, and waits there for its turn
 *     while its own core is idle; one that a timer wakes stays where it was (ARCHITECTURE.md has the measurement). Naps
 *     are earned by work: at a lower load a message would wait for the end of one.
 */
import { idleStepsMax, napMs, napsMax, napWork, yieldEveryMs } from "../base/limits.js";
import type { Doorbell } from "../channel/doorbell.js";

/** What a napping thread waits for. */
const nobodyRings = new Int32Array(new SharedArrayBuffer(4));

/** What is driven. */
export interface Stepped {
  /** One step; the amount of work it did. */
  step(): number;
  /** Called with the parked word set: true when there is something to do after all. */
  mayWork(): boolean;
  /** Milliseconds until it must be stepped even if nothing happens. */
  dueIn(): number | undefined;
  /** The loop is alive. */
  beat(): void;
  /** It finds nothing to do, or works again. */
  rests(resting: boolean): void;
}

export class StepLoop {
  readonly #stepped: Stepped;
  readonly #bell: Doorbell;
  readonly #failed: (error: unknown) => void;
  #scheduled = false;
  #asleep = false;
  #resting = false;
  /** Steps without work since the last one with. */
  #idleSteps = 0;
  /** Work that no nap was taken for (P2). */
  #worked = 0;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #run = (): void => this.#turn();

  constructor(stepped: Stepped, bell: Doorbell, failed: (error: unknown) => void) {
    this.#stepped = stepped;
    this.#bell = bell;
    this.#failed = failed;
  }

  /** Something may have happened: makes sure that a step follows. Call it from the loop's own thread. */
  wake(): void {
    if (this.#scheduled || this.#ended) return;
    this.#scheduled = true;
    setImmediate(this.#run);
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  #turn(): void {
    this.#scheduled = false;
    if (this.#ended) return;
    try {
      this.#unpark();
      if (this.#stepUntilYield() || this.#nap()) this.wake();
      else this.#park();
    } catch (error) {
      this.end();
      this.#failed(error);
    }
  }

  /** True when there may be more work. */
  #stepUntilYield(): boolean {
    const until = performance.now() + yieldEveryMs;
    let idle = this.#idleSteps;
    do {
      const work = this.#stepped.step();
      idle = work > 0 ? 0 : idle + 1;
      this.#worked += work;
      if (idle > 0 !== this.#resting) this.#rest(idle > 0);
    } while (idle < idleStepsMax && performance.now() < until);
    this.#stepped.beat();
    this.#idleSteps = idle < idleStepsMax ? idle : 0;
    return idle < idleStepsMax;
  }

  /** P2: false when it is time to park. */
  #nap(): boolean {
    if (this.#worked < napWork) return false;
    this.#worked = Math.min(this.#worked, napWork * napsMax) - napWork;
    Atomics.wait(nobodyRings, 0, 0, napMs);
    return true;
  }

  #park(): void {
    this.#bell.park(); // P1
    this.#asleep = true;
    if (this.#stepped.mayWork()) {
      this.wake();
      return;
    }
    const dueIn = this.#stepped.dueIn();
    if (dueIn !== undefined) this.#timer = setTimeout(this.#run, Math.min(dueIn, 2 ** 31 - 1));
  }

  #unpark(): void {
    if (!this.#asleep) return;
    this.#asleep = false;
    clearTimeout(this.#timer);
    this.#bell.unpark();
  }

  #rest(resting: boolean): void {
    this.#resting = resting;
    this.#stepped.rests(resting);
  }
}
