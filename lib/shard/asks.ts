/**
 * `ctx.ask`: the questions of turns that have not ended.
 *
 * A question leaves at once, beside the transaction of its turn, which waits for the reply. It has a key made of the
 * asking message and the number of the question in its turn, so when the turn runs again, after a crash or a failure,
 * the target applies the question once and gives the same reply (requests.ts). When the turn is applied, the key is
 * forgotten: a message on the same way, behind the question.
 *
 * Owner and thread: the shard. A question may be asked between two steps, by code behind an `await`.
 * K1. Each question settles once: with the answer, or with its time, whatever comes first.
 * K2. An answer to a question of another generation, or of a turn that has ended, is for nobody: the turn asks again.
 * K3. A question never waits for an address that waits for it: those of its own chain are refused where it is asked,
 *     and an address that waits for one of the chain refuses it where it arrives.
 * K4. The target remembers that a question was applied without a reply, and every attempt of the asking message hears of
 *     it. When no attempt follows, the key is forgotten with that decision: who then has the message run again, having
 *     corrected something, asks anew. The key of a question with a reply stays, as its effect must not come twice.
 */
import { fromWire, HoldfastError, type WireError } from "../base/errors.js";
import type { Answer, Question } from "../codec/extras.js";
import type { Message } from "./instance.js";
import type { Part, PartPort } from "./part.js";

interface Waiting {
  readonly asker: string;
  readonly target: string;
  readonly deadline: number;
  readonly timeoutMs: number;
  readonly resolve: (reply: unknown) => void;
  readonly reject: (error: Error) => void;
}

export class Asks implements Part {
  readonly #port: PartPort;
  readonly #waiting = new Map<number, Waiting>();
  /** How many questions to each target wait, by asking address. */
  readonly #targets = new Map<string, string[]>();
  /** By asking message and number: how to forget the keys of questions that were applied without a reply (K4). */
  readonly #unanswered = new WeakMap<Message, Map<number, () => void>>();
  #asked = 0;
  nextDue = Number.POSITIVE_INFINITY;

  constructor(port: PartPort) {
    this.#port = port;
  }

  /** Begins to wait for a reply to the question that this number will name. */
  wait(
    asker: string,
    target: string,
    timeoutMs: number,
  ): { readonly number: number; readonly reply: Promise<unknown> } {
    const number = ++this.#asked;
    const deadline = this.#port.clock.now() + timeoutMs;
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(number, { asker, target, deadline, timeoutMs, resolve, reject });
    });
    reply.catch(() => {}); // a function may not look at it
    this.#targets.set(asker, [...(this.#targets.get(asker) ?? []), target]);
    this.nextDue = Math.min(this.nextDue, deadline);
    return { number, reply };
  }

  /** K1 */
  settle(answer: Answer, payload: unknown): void {
    const waiting = this.isCurrent(answer) ? this.#take(answer.number) : undefined;
    if (waiting === undefined) return;
    if (answer.failed) waiting.reject(fromWire(payload as WireError));
    else waiting.resolve(payload);
    this.#port.wakeSelf();
  }

  /** K2: numbers begin anew with each generation. */
  isCurrent({ generation }: Answer): boolean {
    return generation === this.#port.config.generation;
  }

  /** K4: a question of a message was applied without a reply. */
  unanswered(message: Message, index: number, forget: () => void): void {
    const questions = this.#unanswered.get(message) ?? new Map<number, () => void>();
    this.#unanswered.set(message, questions.set(index, forget));
  }

  /** K4: no attempt of the message follows. */
  forgetUnanswered(message: Message): void {
    const questions = this.#unanswered.get(message);
    this.#unanswered.delete(message);
    for (const forget of questions?.values() ?? []) forget();
  }

  /** True when an address waits for one of those that wait for the question (K3). */
  closesCycle(target: string, { chain }: Question): boolean {
    const awaited = this.#targets.get(target);
    return awaited?.some((address) => chain.includes(address)) ?? false;
  }

  step(): number {
    if (this.nextDue === Number.POSITIVE_INFINITY) return 0;
    const now = this.#port.clock.now();
    if (this.nextDue > now) return 0;
    this.nextDue = Number.POSITIVE_INFINITY;
    for (const [number, { deadline }] of this.#waiting) {
      if (deadline > now) this.nextDue = Math.min(this.nextDue, deadline);
      else this.expire(number);
    }
    return 1;
  }

  /** The time of a question is up. */
  expire(number: number): void {
    const waiting = this.#take(number);
    if (waiting === undefined) return;
    const { target, timeoutMs, reject } = waiting;
    reject(
      new HoldfastError(
        "HF_ASK_TIMEOUT",
        `${target} did not reply within ${timeoutMs} ms; the message itself stays accepted`,
        { address: target },
      ),
    );
    this.#port.wakeSelf();
  }

  /** The turn that asked is over. */
  abandon(number: number): void {
    const error = "the turn that asked has ended: await ctx.ask before receive returns";
    this.#take(number)?.reject(new HoldfastError("HF_TURN_ENDED", error));
  }

  #take(number: number): Waiting | undefined {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return undefined;
    this.#waiting.delete(number);
    const targets = this.#targets.get(waiting.asker) as string[];
    targets.splice(targets.indexOf(waiting.target), 1);
    if (targets.length === 0) this.#targets.delete(waiting.asker);
    return waiting;
  }
}

/** The refusal of a question that would wait for itself. */
export function askCycle(target: string, chain: readonly string[]): HoldfastError {
  return new HoldfastError(
    "HF_ASK_CYCLE",
    `${target} waits for this very ask (${[...chain, target].join(" → ")}): send a message instead of asking`,
    { address: target },
  );
}
