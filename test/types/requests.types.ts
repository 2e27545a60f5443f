/** What the compiler must accept and refuse of handlers by tag, namespaces and asks between functions. */
import * as z from "zod";
import {
  type Address,
  type Application,
  defineApp,
  defineFunction,
  defineNamespace,
  type,
  value,
} from "../../lib/index.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_Holds extends true>(): void {}

// --- handlers whose parameters say what the messages are ----------------------------------------------------------------

const account = defineFunction("bank/account", {
  state: { balance: value(0) },
  reply: type<{ balance: number }>(),
  receive: {
    deposit(ctx, message: { amount: number }) {
      ctx.state.balance.update((balance) => balance + message.amount);
      ctx.reply({ balance: ctx.state.balance.get() });
      // @ts-expect-error a reply of another shape
      ctx.reply({ left: 1 });
      // @ts-expect-error a state that is not declared
      ctx.state.left;
    },
    async close(ctx, _message: { reason: string }) {
      ctx.state.balance.clear();
    },
  },
});

// --- a declared message type: each tag has a handler, and each handler its own part of it -------------------------------

type Order = { kind: "add"; item: string } | { kind: "pay"; cents: number };

const order = defineFunction("shop/order", {
  message: type<Order>(),
  tag: "kind",
  state: { cents: value(0) },
  receive: {
    add(_ctx, message) {
      expectType<Equal<typeof message, { kind: "add"; item: string }>>();
    },
    pay(ctx, message) {
      ctx.state.cents.update((cents) => cents + message.cents);
      // @ts-expect-error only an add has an item
      message.item;
    },
  },
});

const checked = defineFunction("shop/checked", {
  message: z.discriminatedUnion("type", [
    z.object({ type: z.literal("a"), n: z.number() }),
    z.object({ type: z.literal("b"), s: z.string() }),
  ]),
  receive: {
    a(_ctx, message) {
      expectType<Equal<typeof message.n, number>>();
    },
    b(_ctx, message) {
      expectType<Equal<typeof message.s, string>>();
    },
  },
});

// @ts-expect-error no handler for pay
defineFunction("shop/incomplete", { message: type<Order>(), tag: "kind", receive: { add() {} } });

// --- namespaces -----------------------------------------------------------------------------------------------------------

const tenants = defineNamespace("tenant/*", (name) =>
  defineFunction(name, {
    state: { count: value(name.length) },
    reply: type<number>(),
    receive(ctx, message: { add: number }) {
      ctx.reply(ctx.state.count.update((count) => count + message.add));
    },
  }),
);
expectType<Equal<ReturnType<typeof tenants.at>, Address<{ add: number }, number>>>();
// @ts-expect-error a namespace ends with a star
defineNamespace("tenant", (name) => defineFunction(name, { receive() {} }));

// --- asks and sends -------------------------------------------------------------------------------------------------------

const teller = defineFunction("bank/teller", {
  async receive(ctx, message: { account: string }) {
    const { balance } = await ctx.ask(account.at(message.account), { type: "deposit", amount: 1 }, { timeoutMs: 100 });
    expectType<Equal<typeof balance, number>>();
    expectType<Equal<Awaited<ReturnType<typeof count>>, number>>();
    const count = () => ctx.ask(tenants.at("a", "b"), { add: 1 });
    // @ts-expect-error a message of another shape
    await ctx.ask(account.at("x"), { type: "deposit", amount: "1" });
    // @ts-expect-error an option that does not exist
    await ctx.ask(tenants.at("a", "b"), { add: 1 }, { timeout: 1 });
  },
});

export async function gateway(app: Application): Promise<void> {
  const { balance } = await app.ask(account.at("a"), { type: "deposit", amount: 1 }, { idempotencyKey: "k" });
  expectType<Equal<typeof balance, number>>();
  await app.send(account.at("a"), { type: "close", reason: "moved" }, { idempotencyKey: "k", retentionMs: 1_000 });
  await app.send(order.at("a"), { kind: "pay", cents: 1 });
  await app.send(checked.at("a"), { type: "b", s: "" });
  // @ts-expect-error no handler of that name
  await app.send(account.at("a"), { type: "withdraw", amount: 1 });
  // @ts-expect-error the payload of another handler
  await app.send(account.at("a"), { type: "deposit", reason: "moved" });
  // @ts-expect-error no tag
  await app.send(account.at("a"), { amount: 1 });
  // @ts-expect-error the tag of this one is its kind
  await app.send(order.at("a"), { type: "pay", cents: 1 });
  // @ts-expect-error keys are strings
  await app.send(order.at("a"), { kind: "pay", cents: 1 }, { idempotencyKey: 7 });
}

export const app = defineApp({ functions: [account, order, checked, teller], namespaces: [tenants] });
// @ts-expect-error a namespace is not a function
defineApp({ functions: [tenants] });
