/**
 * What the compiler must accept and refuse; compiled with everything else, never run. An `@ts-expect-error` without an
 * error below it is an error itself.
 */
import * as v from "valibot";
import { z } from "zod";
import {
  type Address,
  type Application,
  cron,
  defineApp,
  defineEgress,
  defineFunction,
  defineTask,
  every,
  isOperationResult,
  list,
  type OperationResult,
  type Task,
  table,
  type,
  value,
} from "../../lib/index.js";
import { ndjsonEgress, ndjsonIngress } from "../../lib/io/ndjson.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_Holds extends true>(): void {}

interface Order {
  readonly item: string;
  readonly count: number;
}

const receipts = defineEgress<{ order: string; total: number }>("shop/receipts");
const names = defineEgress<string>("shop/names");

// --- sends: the message must be what the function takes ---------------------------------------------------------------

const stock = defineFunction("shop/stock", {
  state: { left: value(0), seen: value<readonly string[]>([]), last: value<Order | null>(null) },
  reply: type<{ left: number }>(),
  receive(ctx, message: Order) {
    expectType<Equal<typeof message, Order>>();
    ctx.send(basket.at("x"), { kind: "reserved", left: ctx.state.left.get() });
    // @ts-expect-error a message of another shape
    ctx.send(basket.at("x"), { left: 1 });
    // @ts-expect-error a kind that basket does not take
    ctx.send(basket.at("x"), { kind: "lost", left: 1 });
    // @ts-expect-error no message at all
    ctx.send(basket.at("x"));
    // @ts-expect-error a surplus field
    ctx.send(stock.at("x"), { item: "a", count: 1, colour: "red" });
    // @ts-expect-error not an address
    ctx.send("shop/stock", message);
    // @ts-expect-error ids are strings
    stock.at(7);

    // --- state: get, set, update, clear ---
    ctx.state.left.set(ctx.state.left.get() - message.count);
    ctx.state.left.update((left) => left - 1);
    ctx.state.last.set(message);
    ctx.state.last.clear();
    // @ts-expect-error a string into a number
    ctx.state.left.set("1");
    // @ts-expect-error an update to another type
    ctx.state.left.update(() => "1");
    // @ts-expect-error a state that is not declared
    ctx.state.right;
    // @ts-expect-error an order without count
    ctx.state.last.set({ item: "a" });
    const last = ctx.state.last.get();
    // @ts-expect-error what get returns is read-only
    if (last !== null) last.count = 2;
    // @ts-expect-error arrays as well
    ctx.state.seen.get().push("a");

    // --- emit: the record must be what the egress takes ---
    ctx.emit(receipts, { order: "1", total: 2 });
    // @ts-expect-error a record of another shape
    ctx.emit(receipts, { order: 1, total: 2 });
    // @ts-expect-error a number into an egress of strings
    ctx.emit(names, 1);
    // @ts-expect-error a function is not an egress
    ctx.emit(stock, message);

    // --- reply: declared, not inferred ---
    ctx.reply({ left: 1 });
    // @ts-expect-error a reply of another shape
    ctx.reply({ right: 1 });

    ctx.send(ctx.self, message);
    // @ts-expect-error the own address takes the own message
    ctx.send(ctx.self, { kind: "reserved", left: 1 });
    // @ts-expect-error what a caller takes is not known
    if (ctx.caller !== undefined) ctx.send(ctx.caller, message);
  },
});

// --- mutually recursive functions infer, whichever comes first --------------------------------------------------------

const basket = defineFunction("shop/basket", {
  state: { items: value(0) },
  receive(ctx, message: { kind: "add"; item: string } | { kind: "reserved"; left: number }) {
    if (message.kind === "add") ctx.send(stock.at(message.item), { item: message.item, count: 1 });
    else ctx.state.items.update((items) => items + message.left);
    if (message.kind === "add") ctx.send(basket.at(ctx.self.id), { kind: "reserved", left: 0 });
    // @ts-expect-error no reply is declared
    ctx.reply("thanks");
    // @ts-expect-error no state of that name
    ctx.state.left;
  },
});
expectType<Equal<ReturnType<typeof stock.at>, Address<Order, { left: number }>>>();
expectType<
  Equal<
    ReturnType<typeof basket.at> extends Address<infer M, unknown> ? M : never,
    { kind: "add"; item: string } | { kind: "reserved"; left: number }
  >
>();

const countdown = defineFunction("shop/countdown", {
  async receive(ctx, n: number) {
    await Promise.resolve();
    if (n > 0) ctx.send(countdown.at(ctx.self.id), n - 1);
    // @ts-expect-error it takes numbers
    ctx.send(countdown.at("x"), "1");
  },
});

// --- a general address does not take a special message, a special one takes what it says ------------------------------

export function addresses(wide: Address<string | number>, narrow: Address<string>): void {
  const fits: Address<string> = wide;
  // @ts-expect-error it may get a number
  const wrong: Address<string | number> = narrow;
  void [fits, wrong];
}

// --- schemas give the message its type --------------------------------------------------------------------------------

const checked = defineFunction("shop/checked", {
  message: z.object({ id: z.string() }),
  receive(_ctx, message) {
    expectType<Equal<typeof message, { id: string }>>();
  },
});
const alsoChecked = defineFunction("shop/also-checked", {
  message: v.object({ id: v.string() }),
  receive(_ctx, message) {
    message.id.toUpperCase();
    // @ts-expect-error ids are strings
    message.id.toFixed();
  },
});
// @ts-expect-error the schema gives numbers, the function takes strings
defineFunction("shop/unchecked", { message: z.number(), receive(_ctx, _message: string) {} });

// --- the gateway ------------------------------------------------------------------------------------------------------

export async function gateway(app: Application): Promise<void> {
  await app.send(basket.at("x"), { kind: "add", item: "a" });
  // @ts-expect-error a message of another shape
  await app.send(basket.at("x"), { kind: "add" });
  const reply = await app.ask(stock.at("x"), { item: "a", count: 1 });
  expectType<Equal<typeof reply, { left: number }>>();
  // @ts-expect-error a message of another shape
  await app.ask(stock.at("x"), 7);
  for await (const { id, record } of app.egress(receipts)) {
    expectType<Equal<typeof id, string>>();
    expectType<Equal<typeof record, { order: string; total: number }>>();
  }
}

// --- the application: routers are checked -----------------------------------------------------------------------------

export const app = defineApp({
  functions: [stock, basket, countdown, checked, alsoChecked],
  ingresses: [
    ndjsonIngress<Order>("orders", {
      path: "orders.ndjson",
      route: (order, to) => {
        to(stock.at(order.item), order);
        to(countdown.at("x"), order.count);
        // @ts-expect-error basket takes something else
        to(basket.at(order.item), order);
        // @ts-expect-error orders have no colour
        to(stock.at(order.colour), order);
      },
    }),
    // @ts-expect-error a record type that the schema does not give
    ndjsonIngress<Order>("others", { path: "x", schema: z.object({ item: z.number() }), route: () => {} }),
    // @ts-expect-error a misspelt option
    ndjsonIngress<Order>("misspelt", { path: "x", folow: true, route: () => {} }),
  ],
  egresses: [ndjsonEgress(receipts, { path: "receipts.ndjson" }), names],
});
// @ts-expect-error a function is not an egress
ndjsonEgress(stock, { path: "x" });
// @ts-expect-error an address is not a function
defineApp({ functions: [stock.at("x")] });

// Delayed messages and schedules take what their target takes.
defineFunction("types/delayed", {
  receive(ctx, message: Order) {
    ctx.sendAfter(10, inbox.at("a"), message, { token: "t" });
    ctx.sendAt(new Date(), inbox.at("a"), message);
    expectType<Equal<ReturnType<typeof ctx.cancel>, boolean>>();
    // @ts-expect-error the message is not an order
    ctx.sendAfter(10, inbox.at("a"), { item: 1 });
    // @ts-expect-error a date is a Date
    ctx.sendAt(10, inbox.at("a"), message);
    // @ts-expect-error a token is a string
    ctx.cancel(1);
  },
});
const inbox = defineFunction("types/inbox", { receive(_ctx, _message: Order) {} });
cron("types", { expression: "@daily", to: inbox.at("a"), message: { item: "a", count: 1 } });
every("types", { intervalMs: 1, to: inbox.at("a"), message: { item: "a", count: 1 } });
// @ts-expect-error the message is not an order
every("types", { intervalMs: 1, to: inbox.at("a"), message: "a" });
// @ts-expect-error no such rule
cron("types", { expression: "@daily", misfire: "twice", to: inbox.at("a"), message: { item: "a", count: 1 } });
// --- tables, lists, state declared at run time ------------------------------------------------------------------------

defineFunction("shop/shelf", {
  state: {
    stock: table<string, { left: number }>({ ttl: { ms: 1_000, since: "access" } }),
    log: list<string>(),
    seen: table<number, Date>(),
    price: value(0, { ttl: { ms: 1_000 } }),
  },
  receive(ctx, item: string) {
    const { stock, log, price } = ctx.state;
    stock.set(item, { left: 1 });
    stock.update(item, (entry) => ({ left: (entry?.left ?? 0) + price.get() }));
    log.append(item);
    log.appendAll(new Set([item]));
    const entry = stock.get(item);
    // @ts-expect-error there may be none
    entry.left;
    // @ts-expect-error what get returns is read-only
    if (entry !== undefined) entry.left = 2;
    // @ts-expect-error a key of another type
    stock.get(1);
    // @ts-expect-error a value of another shape
    stock.set(item, { right: 1 });
    // @ts-expect-error an item of another type
    log.append(1);
    // @ts-expect-error a view is read-only
    log.view().push("x");
    for (const [key, { left }] of stock.entries()) {
      expectType<Equal<typeof key, string>>();
      expectType<Equal<typeof left, number>>();
    }
    expectType<Equal<ReturnType<typeof log.view>, readonly string[]>>();
    const late = ctx.state.register("late", table<bigint, boolean>());
    late.set(1n, true);
    // @ts-expect-error a key of another type
    late.set(1, true);
    ctx.state.register("count", value(0)).update((n) => n + 1);
    // @ts-expect-error not a declaration
    ctx.state.register("no", 1);
    ctx.destroy();
  },
});
// @ts-expect-error keys are strings, numbers, bigints and booleans
table<Date, number>();
// @ts-expect-error there is no such time to live
table<string, number>({ ttl: { ms: 1, since: "ever" } });
// --- operations: metadata and value come back as declared, tasks take what their function takes -----------------------

const parse = defineTask<(text: string) => Promise<{ words: number }>>(new URL("file:///parse.js"), "parse");
expectType<Equal<typeof parse, Task<string, { words: number }>>>();

export const fetcher = defineFunction("shop/fetcher", {
  receive(ctx, message: Order | OperationResult<number, { item: string }>) {
    if (isOperationResult(message)) {
      expectType<Equal<typeof message.metadata, { item: string }>>();
      if (message.status === "success") expectType<Equal<typeof message.value, number>>();
      if (message.status === "failure") expectType<Equal<typeof message.error.message, string>>();
      if (message.status === "unknown") expectType<Equal<typeof message.value, undefined>>();
      // @ts-expect-error the result of an operation is no order
      message.count;
      return;
    }
    expectType<Equal<typeof message, Order>>();
    ctx.run(async ({ signal }) => signal.aborted);
    ctx.run(() => 1, { item: message.item }, { timeoutMs: 1_000 });
    ctx.offload(parse, message.item, { metadata: { item: message.item }, transfer: [new ArrayBuffer(1)] });
    // @ts-expect-error a promise is not a function that starts something
    ctx.run(Promise.resolve(1));
    // @ts-expect-error the task takes a string
    ctx.offload(parse, 1);
    // @ts-expect-error a function is no task
    ctx.offload(() => 1, 1);
    // @ts-expect-error milliseconds are a number
    ctx.run(() => 1, undefined, { timeoutMs: "1s" });
  },
});
