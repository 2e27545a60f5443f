/** A function that does everything wrong that can be done wrong in a turn, and says what came of it. */
import { type Address, defineApp, defineFunction, type, value } from "../../../lib/index.js";

/** What an error said. */
export interface Said {
  readonly code: string | undefined;
  readonly address: string | undefined;
  readonly message: string;
}

/** Keeps what reaches it: nothing of what was refused. */
export const keeper = defineFunction("careless/keeper", {
  state: { kept: value<readonly string[]>([]) },
  reply: type<readonly string[]>(),
  receive(ctx, message: string) {
    if (message === "read") ctx.reply(ctx.state.kept.get());
    else ctx.state.kept.update((kept) => [...kept, message]);
  },
});

/** In one turn: something good, everything bad, something good again. */
export const careless = defineFunction("careless/careless", {
  state: { said: value<{ readonly [what: string]: Said }>({}), any: value<unknown>(0) },
  reply: type<{ readonly said: { readonly [what: string]: Said }; readonly any: unknown }>(),
  async receive(ctx, message: "misbehave" | "read") {
    if (message === "read") return ctx.reply({ said: ctx.state.said.get(), any: ctx.state.any.get() });
    const cyclic: { self?: unknown } = {};
    cyclic.self = cyclic;
    const nobody = { type: "careless/nobody", id: "x" } as Address<string>;
    const to = keeper.at("k");
    const wrong: { readonly [what: string]: () => unknown } = {
      "a negative delay": () => ctx.sendAfter(-1, to, "bad"),
      "a delay of NaN": () => ctx.sendAfter(Number.NaN, to, "bad"),
      "an infinite delay": () => ctx.sendAfter(Number.POSITIVE_INFINITY, to, "bad"),
      "a delay that is text": () => ctx.sendAfter("1s" as never, to, "bad"),
      "a date that is none": () => ctx.sendAt(new Date(Number.NaN), to, "bad"),
      "a token of 1 MB": () => ctx.sendAfter(0, to, "bad", { token: "x".repeat(2 ** 20) }),
      "a cyclic message": () => ctx.send(to, cyclic as never),
      "a cyclic message for later": () => ctx.sendAfter(0, to, cyclic as never),
      "a cyclic question": () => ctx.ask(to, cyclic as never),
      "cyclic state": () => ctx.state.any.set(cyclic),
      "cyclic metadata": () => ctx.run(() => 1, cyclic),
      "a message to an unknown function": () => ctx.send(nobody, "bad"),
      "a message for later to an unknown function": () => ctx.sendAfter(0, nobody, "bad"),
      "a question to an unknown function": () => ctx.ask(nobody, "bad"),
      "a reply to nobody": () => ctx.reply({ said: {}, any: 0 }),
      "state that lives for no time": () => ctx.state.register("brief", value(0, { ttl: { ms: 0 } })),
    };
    ctx.send(to, "before");
    ctx.state.any.set("kept");
    const said: { [what: string]: Said } = {};
    for (const [what, act] of Object.entries(wrong)) {
      try {
        await act();
        said[what] = { code: undefined, address: undefined, message: "nothing was thrown" };
      } catch (error) {
        const { code, address, message: text } = error as Said;
        said[what] = { code, address, message: text };
      }
    }
    ctx.state.said.set(said);
    ctx.send(to, "after");
  },
});

/** Its promises never settle. */
export const idle = defineFunction("careless/idle", {
  failure: { retry: { maxAttempts: 1 }, turnTimeoutMs: 30 },
  receive: (_, __: string) => new Promise<void>(() => {}),
});

export default defineApp({ functions: [keeper, careless, idle] });
