/** Functions that ask each other, dispatch by tag, and come to life by name. */
import { existsSync } from "node:fs";
import { defineApp, defineFunction, defineNamespace, type, value } from "../../../lib/index.js";
import { waitAtGate } from "./gate.js";

export const account = defineFunction("bank/account", {
  state: { balance: value(0) },
  reply: type<number>(),
  receive: {
    deposit(ctx, { amount }: { amount: number }) {
      ctx.reply(ctx.state.balance.update((balance) => balance + amount));
    },
    read(ctx, _message: object) {
      ctx.reply(ctx.state.balance.get());
    },
    ignore(_ctx, _message: object) {},
    /** Replies when it is corrected. */
    forgetful(ctx, { until }: { until: string }) {
      const balance = ctx.state.balance.update((before) => before + 1);
      if (existsSync(until)) ctx.reply(balance);
    },
    fail(_ctx, _message: object) {
      throw new Error("no such account");
    },
    async slow(ctx, { amount }: { amount: number }) {
      await waitAtGate(ctx.self.id);
      ctx.reply(ctx.state.balance.update((balance) => balance + amount));
    },
  },
});

/** Asks an account, and says what came of it. */
export const teller = defineFunction("bank/teller", {
  state: { attempts: value(0) },
  reply: type<unknown>(),
  async receive(
    ctx,
    message: {
      account: string;
      what: "deposit" | "read" | "ignore" | "fail" | "slow";
      timeoutMs?: number;
    },
  ) {
    try {
      const { timeoutMs = 20_000 } = message;
      ctx.reply(await ctx.ask(account.at(message.account), { type: message.what, amount: 1 }, { timeoutMs }));
    } catch (error) {
      ctx.reply((error as { code?: string }).code);
    }
  },
});

/** Cannot do without a reply. */
export const insistent = defineFunction("bank/insistent", {
  state: { got: value<readonly number[]>([]) },
  reply: type<readonly number[]>(),
  failure: { retry: { maxAttempts: 3, backoffMs: 1 } },
  async receive(ctx, message: { account: string; until: string } | "read") {
    if (message === "read") return ctx.reply(ctx.state.got.get());
    const sure = await ctx.ask(account.at(message.account), { type: "deposit", amount: 10 });
    const asked = await ctx.ask(account.at(message.account), { type: "forgetful", until: message.until });
    ctx.state.got.set([sure, asked]);
  },
});

let failures = 0;

/** Asks twice, and fails behind the asks the first time. */
export const clumsy = defineFunction("bank/clumsy", {
  reply: type<readonly number[]>(),
  async receive(ctx, message: { account: string }) {
    const first = await ctx.ask(account.at(message.account), { type: "deposit", amount: 1 });
    const second = await ctx.ask(account.at(message.account), { type: "deposit", amount: 10 });
    if (failures++ % 2 === 0) throw new Error("clumsy");
    ctx.reply([first, second]);
  },
});

/** Asks along a path of its own kind. */
export const ring = defineFunction("bank/ring", {
  reply: type<string>(),
  async receive(ctx, path: readonly string[]): Promise<void> {
    const [next, ...rest] = path;
    if (next === undefined) {
      ctx.reply("end");
      return;
    }
    try {
      ctx.reply(`${next} > ${await ctx.ask(ring.at(next), rest)}`);
    } catch (error) {
      ctx.reply((error as { code: string }).code);
    }
  },
});

export const counters = defineNamespace("tenant/*", (type_, name) => {
  if (name === "banned") throw new Error("this tenant is banned");
  return defineFunction(type_, {
    state: { count: value(name.length) },
    reply: type<{ readonly count: number; readonly name: string; readonly caller: string | undefined }>(),
    async receive(ctx, message: { add: number; further?: readonly string[] }): Promise<void> {
      const count = ctx.state.count.update((n) => n + message.add);
      const [next, ...further] = message.further ?? [];
      if (next !== undefined) ctx.send(counters.at(next, ctx.self.id), { add: message.add, further });
      else if (message.further === undefined) ctx.reply({ count, name, caller: ctx.caller?.toString() });
    },
  });
});

export const special = defineFunction("tenant/special", {
  reply: type<unknown>(),
  async receive(ctx, message: { add: number }) {
    ctx.reply({ special: await ctx.ask(counters.at("plain", ctx.self.id), message) });
  },
});

export default defineApp({ functions: [account, teller, insistent, clumsy, ring, special], namespaces: [counters] });
