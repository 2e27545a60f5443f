/**
 * Orders from an NDJSON file, each routed to its account as it is. Reading begins when `beginChannel` says so, so that a
 * round does not count the start of threads.
 */
import {
  defineApp,
  defineFunction,
  type IngressDefinition,
  type IngressItem,
  type SplitReader,
  type,
  value,
} from "../../lib/index.js";
import { ndjsonIngress } from "../../lib/io/ndjson.js";
import type { Order } from "./orders.js";

/** Name of the BroadcastChannel on which any message begins the reading. */
export const beginChannel = "holdfast-bench-ingest";

/** Sums what was ordered; tells the sum. */
export const account = defineFunction("bench/account", {
  state: { cents: value(0) },
  reply: type<number>(),
  receive(ctx, message: Order | { readonly kind: "report" }) {
    if (message.kind === "report") ctx.reply(ctx.state.cents.get());
    else ctx.state.cents.set(ctx.state.cents.get() + message.cents);
  },
});

const orders = ndjsonIngress<Order>("orders", {
  path: process.env.HOLDFAST_BENCH_FILE ?? "orders.ndjson",
  splits: Number(process.env.HOLDFAST_BENCH_SPLITS ?? 1), // sums do not ask for the order of the file
  route: (order, to) => to(account.at(order.account), order),
});

/** A reader that is opened when the bench says so. */
class LaterReader implements SplitReader {
  #reader: SplitReader | undefined;
  readonly #channel = new BroadcastChannel(beginChannel);

  constructor(open: () => SplitReader, wake: () => void) {
    this.#channel.onmessage = () => {
      this.#channel.close();
      this.#reader = open();
      wake();
    };
  }

  get exhausted(): boolean {
    return this.#reader?.exhausted === true;
  }

  next(): IngressItem | undefined {
    return this.#reader?.next();
  }

  close(): void {
    this.#channel.close();
    this.#reader?.close();
  }
}

const later: IngressDefinition = {
  ...orders,
  open: (split, position, wake) => new LaterReader(() => orders.open(split, position, wake), wake),
};

export default defineApp({ functions: [account], ingresses: [later] });
