/** Small functions that each show one rule of a turn. */
import { existsSync, writeFileSync } from "node:fs";
import * as v from "valibot";
import * as z from "zod";
import {
  type AnyAddress,
  type Context,
  defineApp,
  defineEgress,
  defineFunction,
  type,
  value,
} from "../../../lib/index.js";
import { waitAtGate } from "./gate.js";

export const notes = defineEgress<unknown>("turns/notes");
export const checkedNotes = defineEgress("turns/checked-notes", { schema: z.object({ text: z.string() }) });

/** Counts what it gets; says who sent it. */
export const tally = defineFunction("turns/tally", {
  state: { count: value(0), callers: value<(string | undefined)[]>([]), heard: value<unknown[]>([]) },
  reply: type<{ readonly count: number; readonly callers: unknown; readonly heard: unknown }>(),
  receive(ctx, message: unknown) {
    if (message === "read") {
      ctx.reply({ count: ctx.state.count.get(), callers: ctx.state.callers.get(), heard: ctx.state.heard.get() });
      return;
    }
    ctx.state.count.update((n) => n + 1);
    ctx.state.callers.update((callers) => [...callers, ctx.caller?.toString()]);
    ctx.state.heard.update((heard) => [...heard, message]);
  },
});

/** Does everything a turn can do, spoils its message and throws, until the file exists. */
export const unlucky = defineFunction("turns/unlucky", {
  state: { attempts: value(0) },
  reply: type<{ readonly attempts: number; readonly message: unknown; readonly messageId: string }>(),
  receive(ctx, message: { readonly until: string; parts: number[] }) {
    const attempts = ctx.state.attempts.update((n) => n + 1);
    ctx.send(tally.at(`of ${ctx.self.id}`), attempts);
    ctx.emit(notes, { from: ctx.self.id, messageId: ctx.messageId });
    ctx.reply({ attempts, message, messageId: ctx.messageId });
    message.parts.push(99);
    if (existsSync(message.until)) return;
    writeFileSync(message.until, "");
    message.parts = [];
    throw new Error("out of luck");
  },
});

/** Notes its message id outside the application, in every attempt; the process or turn ends as the message says. */
export const witness = defineFunction("turns/witness", {
  receive(ctx, message: { readonly file: string; readonly end: "throw" | "exit" | "nothing" }) {
    const first = !existsSync(message.file);
    writeFileSync(message.file, `${ctx.messageId}\n`, { flag: "a" });
    if (!first || message.end === "nothing") return;
    if (message.end === "exit") process.exit(3);
    throw new Error("once more");
  },
});

/** Waits at the gate with each `slow` message; all messages are noted in order. */
export const sleeper = defineFunction("turns/sleeper", {
  state: { done: value<string[]>([]) },
  reply: type<readonly string[]>(),
  async receive(ctx, message: { readonly slow: string } | { readonly fast: string } | "read" | "fail late") {
    if (message === "read") {
      ctx.reply(ctx.state.done.get());
      return;
    }
    if (message === "fail late") {
      ctx.state.done.set(["spoiled"]);
      ctx.send(tally.at("late"), "never sent");
      await Promise.resolve();
      throw new Error("failed after a while");
    }
    const name = "slow" in message ? message.slow : message.fast;
    if ("slow" in message) await waitAtGate(`${ctx.self.id} ${name}`);
    ctx.state.done.update((done) => [...done, name]);
  },
});

/** Keeps its ctx and uses it in the next turn. */
let kept: Context | undefined;
export const hoarder = defineFunction("turns/hoarder", {
  state: { any: value(0) },
  reply: type<readonly string[]>(),
  receive(ctx, message: "keep" | "use") {
    if (message === "keep") kept = ctx as unknown as Context;
    if (message === "keep") return new Promise<void>((resolve) => setImmediate(resolve)); // an async turn has its own ctx
    const old = kept as unknown as typeof ctx;
    const uses: (() => unknown)[] = [
      () => old.self,
      () => old.caller,
      () => old.messageId,
      () => old.send(tally.at("x"), 1),
      () => old.emit(notes, 1),
      () => old.reply([]),
      () => old.state.any.get(),
      () => old.state.any.set(1),
      () => old.state.any.update((n) => n),
      () => old.state.any.clear(),
    ];
    ctx.reply(uses.map(codeOf));
    return undefined;
  },
});

function codeOf(use: () => unknown): string {
  try {
    use();
    return "no error";
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

/** Sends to itself until it has counted down, and to both sides of everybody else. */
export const countdown = defineFunction("turns/countdown", {
  state: { turns: value(0) },
  reply: type<number>(),
  receive(ctx, left: number | "read") {
    if (left === "read") {
      ctx.reply(ctx.state.turns.get());
      return;
    }
    ctx.state.turns.update((n) => n + 1);
    if (left > 0) ctx.send(ctx.self, left - 1);
  },
});

/** Asks another function and gets its answer as a message. */
export const answerer = defineFunction("turns/answerer", {
  reply: type<unknown>(),
  receive(ctx, question: { readonly number: number }) {
    ctx.reply({ answer: question.number * 2 });
  },
});
export const asker = defineFunction("turns/asker", {
  state: { answer: value<unknown>() },
  reply: type<unknown>(),
  receive(ctx, message: { readonly ask: number } | { readonly answer: number } | "read") {
    if (message === "read") ctx.reply(ctx.state.answer.get());
    else if ("ask" in message) ctx.send(answerer.at(ctx.self.id), { number: message.ask });
    else ctx.state.answer.set({ answer: message.answer, from: (ctx.caller as AnyAddress).toString() });
  },
});

const pet = z.object({ name: z.string().min(1), age: z.coerce.number().int().default(1) });
/** Takes what zod lets through; keeps what valibot lets through. */
export const kennel = defineFunction("turns/kennel", {
  message: pet,
  state: { weight: value(1, { schema: v.pipe(v.number(), v.minValue(1)) }) },
  reply: type<unknown>(),
  receive(ctx, message) {
    ctx.state.weight.set(message.age - 1);
    if (message.name === "noted") ctx.emit(checkedNotes, { text: 5 as unknown as string });
    ctx.reply({ message, weight: ctx.state.weight.get() });
  },
});

/** Keeps any plain data; tries to change what it gets. */
export const chest = defineFunction("turns/chest", {
  state: { content: value<unknown>("nothing yet"), initial: value(new Map([["a", [1]]])) },
  reply: type<unknown>(),
  receive(ctx, message: { readonly set: unknown } | "read" | "clear" | "spoil" | "read initial") {
    if (message === "read") ctx.reply(ctx.state.content.get());
    else if (message === "clear") ctx.state.content.clear();
    else if (message === "read initial") {
      const initial = ctx.state.initial.get();
      ctx.reply(initial);
      initial.set("b", [2]);
      initial.get("a")?.push(3);
    } else if (message === "spoil") {
      for (const value of Object.values(ctx.state.content.get() as object)) spoil(value);
      spoil(ctx.state.content.get());
    } else {
      ctx.state.content.set(message.set);
      spoil(message.set);
    }
  },
});

function spoil(value: unknown): void {
  try {
    if (value instanceof Map || value instanceof Set) value.clear();
    else if (value instanceof Date) value.setTime(0);
    else if (ArrayBuffer.isView(value)) (value as Uint8Array).fill(0 as never);
    else if (Array.isArray(value)) value.length = 0;
    else (value as { spoiled: boolean }).spoiled = true;
  } catch {
    // frozen
  }
}

export default defineApp({
  functions: [tally, unlucky, witness, sleeper, hoarder, countdown, answerer, asker, kennel, chest],
  egresses: [notes, checkedNotes],
});
