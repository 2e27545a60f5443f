/**
 * The hop workload with as many keys and as much text in each message as the environment says. Every key is written once
 * by a filler before anything is measured.
 */
import { defineApp, defineFunction, value } from "../../lib/index.js";
import { XorShift } from "../xor-shift.js";

const keys = Number(process.env.HOLDFAST_BENCH_KEYS ?? 10_000);
const random = new XorShift();
/** Keys that one turn of a filler writes. */
const perTurn = 250;

/** What travels. */
export interface Step {
  readonly key: number;
  readonly hops: number;
  readonly text: string;
}

/** A counter with the id `user-<n>`. */
export const walker = defineFunction("bench/walker", {
  state: { count: value(0) },
  receive(ctx, { hops, text }: Step) {
    ctx.state.count.set(ctx.state.count.get() + 1);
    if (hops === 0) return;
    const key = random.below(keys);
    ctx.send(walker.at(`user-${key}`), { key, hops: hops - 1, text });
  },
});

/** The keys `next` to `end` - 1. */
export interface Work {
  readonly next: number;
  readonly end: number;
}

/** Writes a range of keys, some in each turn. */
export const filler = defineFunction("bench/walk-filler", {
  receive(ctx, { next, end }: Work) {
    const until = Math.min(end, next + perTurn);
    for (let key = next; key < until; key++) ctx.send(walker.at(`user-${key}`), { key, hops: 0, text: "" });
    if (until < end) ctx.send(filler.at(ctx.self.id), { next: until, end });
  },
});

/** Turns that fillers take for a range. */
export function fillerTurns({ next, end }: Work): number {
  return Math.ceil((end - next) / perTurn);
}

export default defineApp({ functions: [walker, filler] });
