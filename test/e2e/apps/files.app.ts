/** Reads orders from a file, sums them by customer, writes one line per order and per customer. The URL names the folder. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { defineApp, defineEgress, defineFunction, type, value } from "../../../lib/index.js";
import { ndjsonEgress, ndjsonIngress } from "../../../lib/io/ndjson.js";

export interface Order {
  readonly customer: string;
  readonly amount: number;
}

const query = new URL(import.meta.url).searchParams;
const folder = query.get("folder") ?? ".";

export const accepted = defineEgress<Order & { readonly total: number }>("files/accepted");

export const customer = defineFunction("files/customer", {
  state: { total: value(0), orders: value<number[]>([]) },
  reply: type<{ readonly total: number; readonly orders: readonly number[] }>(),
  receive(ctx, order: Order | "read") {
    if (order === "read") {
      ctx.reply({ total: ctx.state.total.get(), orders: ctx.state.orders.get() });
      return;
    }
    const total = ctx.state.total.update((n) => n + order.amount);
    ctx.state.orders.update((orders) => [...orders.slice(-4), order.amount]);
    ctx.emit(accepted, { ...order, total });
  },
});

export const ledger = defineFunction("files/ledger", {
  state: { sum: value(0), count: value(0) },
  reply: type<{ readonly sum: number; readonly count: number }>(),
  receive(ctx, order: Order | "read" | "exit") {
    if (order === "exit") {
      const once = join(folder, "accident");
      if (existsSync(once)) return;
      writeFileSync(once, "");
      process.exit(5);
    }
    if (order === "read") ctx.reply({ sum: ctx.state.sum.get(), count: ctx.state.count.get() });
    else {
      ctx.state.sum.update((n) => n + order.amount);
      ctx.state.count.update((n) => n + 1);
    }
  },
});

export default defineApp({
  functions: [customer, ledger],
  ingresses: [
    ndjsonIngress<Order>("orders", {
      path: join(folder, "orders.ndjson"),
      follow: query.has("follow"),
      splits: Number(query.get("splits") ?? 1),
      onBadRecord: query.has("strict") ? "fail" : "reject",
      route(order, to) {
        if (typeof order.amount !== "number") throw new TypeError("an order has an amount");
        to(customer.at(order.customer), order);
        to(ledger.at("all"), order);
      },
    }),
  ],
  egresses: [ndjsonEgress(accepted, { path: join(folder, "accepted.ndjson") })],
});
