/**
 * The hop workload: counters that pass messages on, each to a counter chosen at random, until its hops are
 * used up. Half of the messages cross shards when there are two.
 */
import { defineApp, defineFunction, type, value } from "../../lib/index.js";
import { GapLane } from "../pause/gap-notes.js";
import { busyLoop } from "./busy-loop.js";
import { hopSettings } from "./hop-settings.js";

/** What travels. */
export interface Hop {
  readonly userId: string;
  readonly amount: number;
  readonly hops: number;
}

const { keys, work, ended, gaps } = hopSettings();
const lane = gaps === undefined ? undefined : new GapLane(gaps);

/** Counts what arrives; a message without an amount asks for the count. */
export const counter = defineFunction("bench/counter", {
  state: { count: value(0) },
  reply: type<number>(),
  receive(ctx, message: Hop) {
    if (message.amount === 0) {
      ctx.reply(ctx.state.count.get());
      return;
    }
    if (lane !== undefined) lane.turn();
    if (work > 0) busyLoop(work);
    ctx.state.count.set(ctx.state.count.get() + message.amount);
    if (message.hops === 0) {
      Atomics.add(ended, 0, 1);
      return;
    }
    const next = `user-${nextKey()}`;
    ctx.send(counter.at(next), { userId: next, amount: 1, hops: message.hops - 1 });
  },
});

/** A range of counters, to send a message without hops to. */
export interface Walk {
  readonly first: number;
  readonly count: number;
  readonly amount: number;
}

/** What the counters of a walk without an amount said. */
export interface Walked {
  readonly answers: number;
  readonly sum: number;
}

/** Visits a range of counters, and sums what they answer; asked with an empty range it tells the sum. */
export const walker = defineFunction("bench/walker", {
  state: { answers: value(0), sum: value(0) },
  reply: type<Walked>(),
  receive(ctx, message: Walk | number) {
    const { answers, sum } = ctx.state;
    if (typeof message === "number") {
      answers.set(answers.get() + 1);
      sum.set(sum.get() + message);
      return;
    }
    const { first, count, amount } = message;
    if (count === 0) ctx.reply({ answers: answers.get(), sum: sum.get() });
    for (let n = first; n < first + count; n++) {
      const userId = `user-${n}`;
      ctx.send(counter.at(userId), { userId, amount, hops: 0 });
    }
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

export default defineApp({ functions: [counter, walker] });
