/** What the compiler must accept and refuse of failure policies; see model.types.ts. */
import {
  type Application,
  type DeadLetter,
  defineEgress,
  defineFunction,
  type FailurePolicy,
  type QuarantinedAddress,
  type,
  value,
} from "../../lib/index.js";

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function expectType<_Holds extends true>(): void {}

interface Order {
  readonly item: string;
}

const dead = defineEgress<DeadLetter>("shop/dead");
const totals = defineEgress<number>("shop/totals");

const undertaker = defineFunction("shop/undertaker", { receive(_, _letter: DeadLetter) {} });
const clerk = defineFunction("shop/clerk", { receive(_, _order: Order) {} });

// --- a policy beside any kind of receive, written there or shared, does not disturb what is inferred -------------------

const retry = { maxAttempts: 2, backoffMs: 1 };
const failure: FailurePolicy = { retry, after: "fail" };

export const shared = defineFunction("shop/shared", {
  state: { count: value(0) },
  failure: { retry },
  receive(ctx, message: Order) {
    expectType<Equal<typeof message, Order>>();
    ctx.state.count.update((count) => count + 1);
  },
});

export const byTag = defineFunction("shop/by-tag", {
  state: { count: value(0) },
  failure,
  pendingOperations: 3,
  receive: {
    add: (ctx, { amount }: { amount: number }) => {
      ctx.state.count.update((count) => count + amount);
    },
    clear: (ctx) => ctx.state.count.clear(),
  },
});

export const declared = defineFunction("shop/declared", {
  message: type<{ type: "add"; amount: number }>(),
  failure: { after: { deadLetter: dead } },
  receive: {
    add(_, message) {
      expectType<Equal<typeof message.amount, number>>();
    },
  },
});

// --- options ----------------------------------------------------------------------------------------------------------

export const policies: readonly FailurePolicy[] = [
  {},
  { retry: {}, after: "quarantine" },
  { nonRetryable: (error) => error instanceof RangeError, turnTimeoutMs: 5 },
  { after: { deadLetter: dead } },
  { after: { deadLetter: undertaker.at("all") } },
  // @ts-expect-error nonRetryable decides at once
  { nonRetryable: async () => true },
  // @ts-expect-error not an end
  { after: "drop" },
  // @ts-expect-error an option that is not there
  { retries: 3 },
  // @ts-expect-error a number of milliseconds
  { retry: { backoffMs: "1s" } },
  // @ts-expect-error an egress of other records
  { after: { deadLetter: totals } },
  // @ts-expect-error a function that takes other messages
  { after: { deadLetter: clerk.at("all") } },
  // @ts-expect-error a function, not an address
  { after: { deadLetter: undertaker } },
];

// --- quarantine -------------------------------------------------------------------------------------------------------

export async function inspect(app: Application): Promise<void> {
  const [found] = await app.quarantine.list({ limit: 1 });
  expectType<Equal<typeof found, QuarantinedAddress>>();
  expectType<Equal<typeof found.message, unknown>>();
  expectType<Equal<typeof found.error, Error>>();
  const skipped = await app.quarantine.skip(found.address);
  const dropped = await app.quarantine.purge(clerk.at("a"));
  expectType<Equal<typeof skipped, boolean>>();
  expectType<Equal<typeof dropped, number>>();
  await app.cancel(found.address);
  // @ts-expect-error addresses are objects
  await app.quarantine.retry("shop/clerk@a");
}
