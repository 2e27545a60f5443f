/** Addresses that destroy themselves while something of them is pending. */
import { writeFileSync } from "node:fs";
import { defineApp, defineFunction, isOperationResult, type OperationResult, type, value } from "../../../lib/index.js";
import { waitAtGate } from "./gate.js";

const hour = 3_600_000;

export type Wish =
  /** Sets a delayed message with a token and starts an operation; writes the file when that is aborted. */
  | { readonly begin: string }
  /** Starts operations until no more may be pending, sets a message that is due at once, and destroys the address. */
  | { readonly destroy: true }
  | { readonly late: string }
  | { readonly add: number }
  | "read";

export interface Read {
  readonly late: readonly string[];
  readonly results: number;
  readonly sum: number;
  /** A message of the token was pending until now. */
  readonly cancelled: boolean;
}

export const mortal = defineFunction("destroying/mortal", {
  state: { late: value<readonly string[]>([]), results: value(0), sum: value(0) },
  reply: type<Read>(),
  pendingOperations: 2,
  receive(ctx, message: Wish | OperationResult) {
    const { late, results, sum } = ctx.state;
    const read = (cancelled: boolean): Read => ({
      late: late.get() as readonly string[],
      results: results.get(),
      sum: sum.get(),
      cancelled,
    });
    if (message === "read") ctx.reply(read(ctx.cancel("token")));
    else if (isOperationResult(message)) results.update((n) => n + 1);
    else if ("late" in message) late.update((all) => [...all, message.late]);
    else if ("add" in message) {
      sum.update((n) => n + message.add);
      ctx.reply(read(false));
    } else if ("begin" in message) {
      const { id } = ctx.self;
      ctx.sendAfter(hour, ctx.self, { late: "own" }, { token: "token" });
      ctx.run(({ signal }) => {
        signal.addEventListener("abort", () => writeFileSync(message.begin, ""));
        return waitAtGate(id);
      });
    } else {
      ctx.run(() => waitAtGate("started by a turn that destroys its address"));
      ctx.sendAfter(0, ctx.self, { late: "at once" });
      ctx.destroy();
    }
  },
});

/** Sets a delayed message for another address. */
export const other = defineFunction("destroying/other", {
  receive(ctx, id: string) {
    ctx.sendAfter(hour, mortal.at(id), { late: "of another" });
  },
});

export default defineApp({ functions: [mortal, other] });
