/** Functions with failure policies that fail as their messages say. */
import { existsSync } from "node:fs";
import { type DeadLetter, defineApp, defineEgress, defineFunction, type, value } from "../../../lib/index.js";
import { waitAtGate } from "./gate.js";

/** Dead letters and notes. */
export const dead = defineEgress<DeadLetter>("failing/dead");
export const notes = defineEgress<string>("failing/notes");

export interface Order {
  readonly n: number;
  /** It throws until this file exists. */
  readonly until?: string;
  readonly message?: string;
}

const state = { done: value<readonly number[]>([]) };

function take(order: Order): number {
  if (order.until !== undefined && !existsSync(order.until)) throw new RangeError(order.message ?? `no ${order.n}`);
  return order.n;
}

/** Quarantined after two attempts. */
export const careful = defineFunction("failing/careful", {
  state,
  reply: type<readonly number[]>(),
  failure: { retry: { maxAttempts: 2, backoffMs: 1, jitter: 0 } },
  receive(ctx, order: Order | "read" | "wait") {
    if (order === "read") {
      ctx.reply(ctx.state.done.get());
      return undefined;
    }
    if (order === "wait") return waitFor(ctx.signal, ctx.self.id, (reason) => ctx.emit(notes, reason));
    const n = take(order);
    ctx.state.done.update((done) => [...done, n]);
    return undefined;
  },
});

/** Waits until its signal aborts; what it does afterwards has no effect. */
async function waitFor(signal: AbortSignal, id: string, then: (reason: string) => void): Promise<void> {
  await Promise.race([
    waitAtGate(id),
    new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true })),
  ]);
  then("came through");
}

/** Counts its letters. */
export const undertaker = defineFunction("failing/undertaker", {
  state: { letters: value<readonly DeadLetter[]>([]) },
  reply: type<readonly DeadLetter[]>(),
  receive(ctx, letter: DeadLetter | "read") {
    if (letter === "read") ctx.reply(ctx.state.letters.get());
    else ctx.state.letters.update((letters) => [...letters, letter]);
  },
});

/** Its dead letters go to a function. */
export const writer = defineFunction("failing/writer", {
  state,
  reply: type<readonly number[]>(),
  failure: { retry: { maxAttempts: 3, backoffMs: 1 }, after: { deadLetter: undertaker.at("all") } },
  receive(ctx, order: Order | "read") {
    if (order === "read") ctx.reply(ctx.state.done.get());
    else ctx.state.done.update((done) => [...done, take(order)]);
  },
});

/** Its dead letters go to an egress; a RangeError is final, and a turn may take 50 ms. */
export const recorder = defineFunction("failing/recorder", {
  state,
  failure: {
    nonRetryable: (error) => error instanceof RangeError,
    turnTimeoutMs: 50,
    retry: { maxAttempts: 2, backoffMs: 0 },
    after: { deadLetter: dead },
  },
  receive(_, order: Order | "never") {
    if (order === "never") return new Promise<void>(() => {});
    take(order);
    return undefined;
  },
});

/** Ends the application. */
export const strict = defineFunction("failing/strict", {
  state,
  reply: type<readonly number[]>(),
  failure: { retry: { maxAttempts: 1 }, after: "fail" },
  receive(ctx, order: Order | "read") {
    if (order === "read") ctx.reply(ctx.state.done.get());
    else ctx.state.done.update((done) => [...done, take(order)]);
  },
});

export default defineApp({ functions: [careful, undertaker, writer, recorder, strict], egresses: [dead, notes] });
