/** What the latency bench runs: a desk that answers, and a gate that passes records on to an egress. */
import { defineApp, defineEgress, defineFunction, type, value } from "../../lib/index.js";

/** Adds, and answers with the sum; asked with 0 it tells the sum. */
export const desk = defineFunction("bench/desk", {
  state: { sum: value(0) },
  reply: type<number>(),
  receive(ctx, message: { readonly add: number }) {
    const sum = ctx.state.sum.get() + message.add;
    if (message.add !== 0) ctx.state.sum.set(sum);
    ctx.reply(sum);
  },
});

/** A numbered record on its way. */
export interface Parcel {
  readonly userId: string;
  readonly number: number;
}

export const arrivals = defineEgress<number>("bench/arrivals");

/** Counts, and emits the number of each parcel; a negative number asks for the count. */
export const gate = defineFunction("bench/gate", {
  state: { count: value(0) },
  reply: type<number>(),
  receive(ctx, { number }: Parcel) {
    const count = ctx.state.count.get();
    if (number < 0) {
      ctx.reply(count);
      return;
    }
    ctx.state.count.set(count + 1);
    ctx.emit(arrivals, number);
  },
});

export default defineApp({ functions: [desk, gate], egresses: [arrivals] });
