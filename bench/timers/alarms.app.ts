/** Delayed messages by the million, and how late those are that come due. */
import { defineApp, defineFunction, type } from "../../lib/index.js";

/** Delayed messages that one turn sets. */
const perTurn = 250;
/** Addresses that delayed messages go to. */
const sleepers = 10_000;

/** Milliseconds that the messages of this thread were late, in the order in which they came. */
let lateness: number[] = [];

/** Notes how late it is woken. */
export const sleeper = defineFunction("bench/sleeper", {
  receive(_, message: { readonly due: number }) {
    lateness.push(Math.max(0, wallNow() - message.due));
  },
});

/** The delayed messages `next` to `end` - 1; each is due `everyMs` after the one before, the first `firstMs` after `from`. */
export interface Work {
  readonly next: number;
  readonly end: number;
  readonly from: number;
  readonly firstMs: number;
  readonly everyMs: number;
}

/** Sets a range of delayed messages, some in each turn. */
export const setter = defineFunction("bench/setter", {
  receive(ctx, work: Work) {
    const { next, end, from, firstMs, everyMs } = work;
    const until = Math.min(end, next + perTurn);
    for (let n = next; n < until; n++) {
      const due = from + firstMs + n * everyMs;
      const now = wallNow();
      const delay = Math.max(0, due - now);
      ctx.sendAfter(delay, sleeper.at(`sleeper-${n % sleepers}`), { due: now + delay });
    }
    if (until < end) ctx.send(setter.at(ctx.self.id), { ...work, next: until });
  },
});

/** Gives how late the messages of its thread were, and forgets it. */
export const clockmaker = defineFunction("bench/clockmaker", {
  reply: type<Float64Array>(),
  receive(ctx, _: null) {
    ctx.reply(Float64Array.from(lateness));
    lateness = [];
  },
});

/** Wall-clock milliseconds, with a fraction. */
export function wallNow(): number {
  return performance.timeOrigin + performance.now();
}

export default defineApp({ functions: [sleeper, setter, clockmaker] });
