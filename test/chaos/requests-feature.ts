/** Each transfer has a waiter ask a till, which a namespace makes: every order is rung up once, whatever is killed. */
import { defineFunction, defineNamespace, type, value } from "holdfast";
import type { ChaosFeature } from "./feature.js";

const tillCount = 3;
const waiterCount = 7;

const tills = defineNamespace("till/*", (name) =>
  defineFunction(name, {
    state: { orders: value<readonly number[]>([]) },
    reply: type<readonly number[]>(),
    receive(ctx, message: { readonly order: number } | "read") {
      const orders = ctx.state.orders.get();
      if (message === "read") ctx.reply(orders);
      else ctx.reply(ctx.state.orders.update(() => [...orders, message.order]));
    },
  }),
);

const waiter = defineFunction("chaos/waiter", {
  state: { served: value<readonly number[]>([]), wrong: value<readonly string[]>([]) },
  reply: type<{ readonly served: readonly number[]; readonly wrong: readonly string[] }>(),
  async receive(ctx, message: { readonly order: number } | "read"): Promise<void> {
    if (message === "read") {
      ctx.reply({ served: ctx.state.served.get(), wrong: ctx.state.wrong.get() });
      return;
    }
    const { order } = message;
    const orders = await ctx.ask(tills.at(`n${order % tillCount}`, "only"), { order });
    if (!orders.includes(order)) ctx.state.wrong.update((wrong) => [...wrong, `order ${order} is not among ${orders}`]);
    ctx.state.served.update((served) => [...served, order]);
  },
});

export const requestsFeature: ChaosFeature = {
  name: "requests",
  functions: [waiter],
  namespaces: [tills],
  poke: (send, id) => send(waiter.at(`w${id % waiterCount}`), { order: id }),
  audit: async (app, ids) => {
    await app.drained();
    const wrong: string[] = [];
    const served: number[] = [];
    const orders: number[] = [];
    for (let n = 0; n < waiterCount; n++) {
      const one = await app.ask(waiter.at(`w${n}`), "read");
      served.push(...one.served);
      wrong.push(...one.wrong);
    }
    for (let n = 0; n < tillCount; n++) orders.push(...(await app.ask(tills.at(`n${n}`, "only"), "read")));
    for (const [what, list] of [
      ["served", served],
      ["rung up", orders],
    ] as const) {
      if (list.length !== ids || new Set(list).size !== ids)
        wrong.push(`${list.length} orders were ${what}, ${new Set(list).size} different ones, of ${ids}`);
    }
    return wrong;
  },
};
