/**
 * Very many addresses with one counter each, made by messages that the application sends itself: what callers cost is not
 * in the measurement.
 */
import { getHeapStatistics } from "node:v8";
import { defineApp, defineFunction, type, value } from "../../lib/index.js";

/** Addresses that one turn of a filler writes to. */
const perTurn = 250;

/** A counter with the id `user-<n>`. */
export const member = defineFunction("bench/member", {
  state: { count: value(0) },
  reply: type<number>(),
  receive(ctx, message: { readonly add: number } | { readonly report: string }) {
    if (!("report" in message)) ctx.state.count.set(ctx.state.count.get() + message.add);
    else if (message.report === "") ctx.reply(ctx.state.count.get());
    else ctx.send(total.at(message.report), { add: ctx.state.count.get() });
  },
});

/** What a filler has to do: the members `next` to `end` - 1. */
export interface Work {
  readonly next: number;
  readonly end: number;
  /** Where their counts are summed; "" to add one to each. */
  readonly sumAt: string;
}

/** Works through a range of members, some in each turn, so that it never sends faster than turns run. */
export const filler = defineFunction("bench/filler", {
  receive(ctx, { next, end, sumAt }: Work) {
    const until = Math.min(end, next + perTurn);
    const message = sumAt === "" ? { add: 1 } : { report: sumAt };
    for (let n = next; n < until; n++) ctx.send(member.at(`user-${n}`), message);
    if (until < end) ctx.send(filler.at(ctx.self.id), { next: until, end, sumAt });
  },
});

/** Turns that fillers take for a range. */
export function fillerTurns({ next, end }: Work): number {
  return Math.ceil((end - next) / perTurn);
}

/** Sums counts. */
export const total = defineFunction("bench/total", {
  state: { sum: value(0) },
  reply: type<number>(),
  receive(ctx, message: { readonly add: number } | "sum") {
    if (message === "sum") ctx.reply(ctx.state.sum.get());
    else ctx.state.sum.set(ctx.state.sum.get() + message.add);
  },
});

/** Says what the heap of its thread holds, in bytes, after a collection where the process allows one. */
export const heap = defineFunction("bench/heap", {
  reply: type<number>(),
  receive(ctx, _: null) {
    globalThis.gc?.();
    const { used_heap_size, external_memory } = getHeapStatistics();
    ctx.reply(used_heap_size + external_memory);
  },
});

export default defineApp({ functions: [member, filler, total, heap] });
