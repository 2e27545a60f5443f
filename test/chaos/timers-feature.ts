/**
 * Delayed messages over kills: each transfer sets one that is delivered, and one with a token that is cancelled or
 * replaced; each must have its effect once.
 */
import { defineFunction, type, value } from "holdfast";
import type { ChaosFeature } from "./feature.js";

const nodes = 8;

/** Counts of one node; each is what the transfers say. */
interface Counts {
  readonly set: number;
  readonly came: number;
  readonly cancelled: number;
}

const node = defineFunction("chaos/timed", {
  state: { counts: value<Counts>({ set: 0, came: 0, cancelled: 0 }) },
  reply: type<Counts>(),
  receive(ctx, message: { readonly id: number } | "came" | "cancel" | "wrong" | "read") {
    const { counts } = ctx.state;
    if (message === "read") ctx.reply(counts.get());
    else if (message === "came") counts.update((before) => ({ ...before, came: before.came + 1 }));
    else if (message === "cancel") {
      if (ctx.cancel("late")) counts.update((before) => ({ ...before, cancelled: before.cancelled + 1 }));
    } else if (message === "wrong") throw new Error("a message came that was cancelled");
    else {
      counts.update((before) => ({ ...before, set: before.set + 1 }));
      ctx.sendAfter(message.id % 300, timed(message.id + 3), "came");
      ctx.sendAfter(3_600_000, timed(message.id), "wrong", { token: "late" });
      ctx.sendAfter(message.id % 50, timed(message.id), "cancel");
    }
  },
});

function timed(id: number): ReturnType<typeof node.at> {
  return node.at(`timed ${id % nodes}`);
}

export const timersFeature: ChaosFeature = {
  name: "timers",
  functions: [node],
  poke: (send, id) => send(timed(id), { id }),
  async audit(app, ids) {
    const wrong: string[] = [];
    await app.drained();
    for (;;) {
      const pending = await app.timers.list({ limit: 10_000 });
      if (!pending.some(({ token }) => token === undefined)) break;
    }
    await app.drained();
    const all = await Promise.all(Array.from({ length: nodes }, (_, id) => app.ask(timed(id), "read")));
    const sum = (pick: (counts: Counts) => number): number => all.reduce((total, counts) => total + pick(counts), 0);
    if (sum(({ set }) => set) !== ids) wrong.push(`${sum(({ set }) => set)} turns set delayed messages, not ${ids}`);
    if (sum(({ came }) => came) !== ids) wrong.push(`${sum(({ came }) => came)} delayed messages came, not ${ids}`);
    const left = (await app.timers.list({ limit: 10_000 })).length;
    if (left > 0) wrong.push(`${left} delayed messages are left, all were cancelled`);
    return wrong;
  },
};
