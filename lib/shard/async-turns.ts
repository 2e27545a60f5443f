/**
 * Turns whose function returned a promise.
 *
 * Owner: the shard. Thread: the shard's; promises settle between steps and are only noted here, the shard applies them
 * in its next step.
 * A1. Each turn is handed out exactly once: by `next` when its promise settles or its time is up, or by `cancel`,
 *     whatever comes first.
 * A2. Turns with the same time limit are pending in the order of their deadlines.
 */
import type { Clock } from "../base/clock.js";
import { HoldfastError } from "../base/errors.js";
import { Queue } from "../base/queue.js";
import type { Instance, Message } from "./instance.js";
import type { TurnContext } from "./turn-context.js";

export interface PendingTurn {
  readonly context: TurnContext;
  readonly message: Message;
  readonly deadline: number;
  readonly timeoutMs: number;
  over: boolean;
  failure: { readonly error: unknown } | undefined;
}

export class AsyncTurns {
  readonly #clock: Clock;
  readonly #wake: () => void;
  /** By time limit, of which there are as many as failure policies (A2). */
  readonly #pending = new Map<number, Set<PendingTurn>>();
  readonly #settled = new Queue<PendingTurn>();

  constructor(clock: Clock, wake: () => void) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** True when `next` has something to hand out. */
  get settled(): boolean {
    return this.#settled.length > 0 || this.nextDeadline <= this.#clock.now();
  }

  /** When the next pending turn has to be over; infinite when none is pending. */
  get nextDeadline(): number {
    return this.#oldest()?.deadline ?? Number.POSITIVE_INFINITY;
  }

  add(context: TurnContext, message: Message, outcome: PromiseLike<void>, timeoutMs: number): void {
    const turn: PendingTurn = {
      context,
      message,
      deadline: this.#clock.now() + timeoutMs,
      timeoutMs,
      over: false,
      failure: undefined,
    };
    const pending = this.#pending.get(timeoutMs);
    if (pending === undefined) this.#pending.set(timeoutMs, new Set([turn]));
    else pending.add(turn);
    outcome.then(
      () => this.#settle(turn, undefined),
      (error: unknown) => this.#settle(turn, { error }),
    );
  }

  /** The next turn that is over. */
  next(): PendingTurn | undefined {
    const settled = this.#settled.shift();
    if (settled !== undefined) return settled;
    const oldest = this.#oldest();
    if (oldest === undefined || oldest.deadline > this.#clock.now()) return undefined;
    this.#giveUp(oldest, timedOut(oldest.message));
    return oldest;
  }

  /** Gives up the pending turn of an instance; undefined when it has none. */
  cancel(instance: Instance, reason: HoldfastError): PendingTurn | undefined {
    for (const pending of this.#pending.values()) {
      for (const turn of pending) {
        if (turn.message.target !== instance) continue;
        this.#giveUp(turn, reason);
        return turn;
      }
    }
    return undefined;
  }

  /** Tells every pending turn that nobody waits for it any more. */
  abandon(reason: HoldfastError): void {
    for (const pending of this.#pending.values()) for (const turn of pending) turn.context.abort(reason);
  }

  #oldest(): PendingTurn | undefined {
    let oldest: PendingTurn | undefined;
    for (const pending of this.#pending.values()) {
      for (const turn of pending) {
        if (oldest === undefined || turn.deadline < oldest.deadline) oldest = turn;
        break;
      }
    }
    return oldest;
  }

  #giveUp(turn: PendingTurn, error: HoldfastError): void {
    this.#end(turn, { error });
    turn.context.abort(error);
  }

  #settle(turn: PendingTurn, failure: PendingTurn["failure"]): void {
    if (turn.over) return; // A1
    this.#end(turn, failure);
    this.#settled.push(turn);
    this.#wake();
  }

  #end(turn: PendingTurn, failure: PendingTurn["failure"]): void {
    turn.over = true;
    turn.failure = failure;
    turn.context.active = false; // what the function still does with its ctx has no effect
    this.#pending.get(turn.timeoutMs)?.delete(turn);
  }
}

function timedOut(message: Message): HoldfastError {
  const address = message.target.toString();
  return new HoldfastError("HF_TURN_TIMEOUT", `${address}: the promise of its turn did not settle in time`, {
    address,
  });
}
