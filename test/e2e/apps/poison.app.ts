/** Functions that kill the thread or the process that runs them, when a message says so. */
import { existsSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { type Context, type DeadLetter, defineApp, defineFunction, type, value } from "../../../lib/index.js";

type How = "exit" | "loop" | "memory" | "process" | "exit later" | "process later";

export interface Bite {
  readonly n: number;
  /** It comes back after this time, and kills only then. */
  readonly delayMs?: number;
  /** How it kills, until this file exists. */
  readonly kills?: { readonly how: How; readonly until: string };
}

const state = { done: value<readonly number[]>([]) };

function kill({ how, until }: NonNullable<Bite["kills"]>): undefined | Promise<void> {
  if (existsSync(until) || isMainThread) return undefined;
  if (how === "exit") process.exit(5);
  if (how === "process") endProcess();
  if (how === "loop") for (;;);
  if (how === "memory") for (const kept: unknown[] = []; ; ) kept.push(new Array(1_000).fill(kept.length));
  return new Promise(() => setTimeout(() => (how === "process later" ? endProcess() : process.exit(6)), 5));
}

/** `process.abort` is not allowed in a thread: it throws. */
function endProcess(): void {
  process.kill(process.pid, "SIGKILL");
}

const eating = {
  state,
  reply: type<readonly number[]>(),
  receive(ctx: Context<typeof state, readonly number[], Bite | "read">, message: Bite | "read") {
    if (message === "read") return ctx.reply(ctx.state.done.get());
    const { delayMs, ...bite } = message;
    if (delayMs !== undefined) return ctx.sendAfter(delayMs, ctx.self, bite);
    ctx.state.done.update((done) => [...done, message.n]);
    return message.kills === undefined ? undefined : kill(message.kills);
  },
};

/** Quarantined, as functions are that say nothing. */
export const eater = defineFunction("poison/eater", eating);

/** Keeps dead letters. */
export const grave = defineFunction("poison/grave", {
  state: { letters: value<readonly DeadLetter[]>([]) },
  reply: type<readonly DeadLetter[]>(),
  receive(ctx, letter: DeadLetter | "read") {
    if (letter === "read") ctx.reply(ctx.state.letters.get());
    else ctx.state.letters.update((letters) => [...letters, letter]);
  },
});

/** Its dead letters go to the grave. */
export const mortal = defineFunction("poison/mortal", {
  state,
  failure: { after: { deadLetter: grave.at("g") } },
  receive: (ctx, { n, kills }: Bite) => {
    ctx.state.done.update((done) => [...done, n]);
    return kills === undefined ? undefined : kill(kills);
  },
});

/** Ends the application. */
export const strict = defineFunction("poison/strict", {
  ...eating,
  failure: { after: "fail" },
});

/** Pending for a while beside others. */
export const patient = defineFunction("poison/patient", {
  state,
  reply: type<readonly number[]>(),
  async receive(ctx, message: { readonly n: number; readonly ms: number } | "read") {
    if (message === "read") return ctx.reply(ctx.state.done.get());
    ctx.state.done.update((done) => [...done, message.n]);
    await new Promise((resolve) => setTimeout(resolve, message.ms));
  },
});

export default defineApp({ functions: [eater, grave, mortal, strict, patient] });
