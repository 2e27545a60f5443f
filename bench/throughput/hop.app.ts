/**
 * The hop workload: counters that pass messages on, each to a counter chosen at random, until its hops are
 * used up. Half of the messages cross shards when there are two.
 */
import { defineApp, defineFunction, type, value } from "../../lib/index.js";

/** What travels. */
export interface Hop {
  readonly userId: string;
  readonly amount: number;
  readonly hops: number;
}

/** Ids are `user-0` … `user-<keys - 1>`; the workload reads this from the environment, as threads have no other way. */
const keys = Number(process.env.HOLDFAST_BENCH_KEYS ?? 10_000);

/** Counts what arrives; asked with no hops and no amount it tells its count. */
export const counter = defineFunction("bench/counter", {
  state: { count: value(0) },
  reply: type<number>(),
  receive(ctx, message: Hop) {
    if (message.amount === 0) {
      ctx.reply(ctx.state.count.get());
      return;
    }
    ctx.state.count.set(ctx.state.count.get() + message.amount);
    if (message.hops === 0) return;
    const next = `user-${nextKey()}`;
    ctx.send(counter.at(next), { userId: next, amount: 1, hops: message.hops - 1 });
  },
});

let random = 2_463_534_242;

/** Uniform over the keys: xorshift32, one per thread. */
function nextKey(): number {
  random ^= random << 13;
  random ^= random >>> 17;
  random ^= random << 5;
  return (random >>> 0) % keys;
}

export default defineApp({ functions: [counter] });
