/**
 * Turns whose function returned a promise.
 *
 * Owner: the shard. Thread: the shard's; promises settle between steps and are only noted here, the shard applies them
 * in its next step.
 * A1. Each turn is handed out by `next` exactly once: when its promise settles or its time is up, whatever comes first.
 */
import type { Clock } from "../base/clock.js";
import { HoldfastError } from "../base/errors.js";
import { Queue } from "../base/queue.js";
import type { Message } from "./instance.js";
import type { TurnContext } from "./turn-context.js";

export interface PendingTurn {
  readonly context: TurnContext;
  readonly message: Message;
  readonly deadline: number;
  over: boolean;
  failure: { readonly error: unknown } | undefined;
}

export class AsyncTurns {
  readonly #clock: Clock;
  readonly #wake: () => void;
  readonly #pending = new Set<PendingTurn>();
  readonly #settled = new Queue<PendingTurn>();

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** True when `next` has something to hand out. */
  get settled(): boolean {
    return this.#settled.length > 0 || this.nextDeadline <= this.#clock.now();
  }

  /** When the oldest pending turn has to be over; infinite when none is pending. All turns have the same time limit. */
  get nextDeadline(): number {
    for (const turn of this.#pending) return turn.deadline;
    return Number.POSITIVE_INFINITY;
  }

  add(context: TurnContext, message: Message, outcome: PromiseLike<void>, timeoutMs: number): void {
    const turn: PendingTurn = {
      context,
      message,
      deadline: this.#clock.now() + timeoutMs,
      over: false,
      failure: undefined,
    };
    this.#pending.add(turn);
    outcome.then(
      () => this.#settle(turn, undefined),
      (error: unknown) => this.#settle(turn, { error }),
    );
  }

  /** The next turn that is over. */
  next(): PendingTurn | undefined {
    const settled = this.#settled.shift();
    if (settled !== undefined) return settled;
    if (this.#pending.size === 0 || this.nextDeadline > this.#clock.now()) return undefined;
    for (const turn of this.#pending) {
      this.#settle(turn, { error: timedOut(turn.message) });
      break;
    }
    return this.#settled.shift();
  }

  #settle(turn: PendingTurn, failure: PendingTurn["failure"]): void {
    if (turn.over) return; // A1
    turn.over = true;
    turn.failure = failure;
    turn.context.active = false; // what the function still does with its ctx has no effect
    this.#pending.delete(turn);
    this.#settled.push(turn);
    this.#wake();
  }
}

function timedOut(message: Message): HoldfastError {
  const address = message.target.toString();
  return new HoldfastError("HF_TURN_TIMEOUT", `${address}: the promise of its turn did not settle in time`, {
    address,
  });
}
