/** Accounts that send money to each other over many hops, for tests of conservation, order and exactly-once. */
import { existsSync, writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";
import { defineApp, defineEgress, defineFunction, type, value } from "../../../lib/index.js";

/** One record per payment that has arrived for good. */
export const receipts = defineEgress<{ readonly payment: number; readonly at: string }>("bank/receipts");

export interface Payment {
  readonly payment: number;
  readonly amount: number;
  readonly hops: number;
  /** Where it passes an accident happens, until this file exists: most accidents make it themselves. */
  readonly accident?: { readonly kind: Accident; readonly until: string };
}

export type Accident = "exit" | "throw later" | "reject later" | "loop" | "memory" | "throw always";

/** One account: every hop moves the money on to the next, the last one writes a receipt. */
export const account = defineFunction("bank/account", {
  state: { balance: value(0), passed: value(0) },
  reply: type<{ readonly balance: number; readonly passed: number }>(),
  receive(ctx, message: Payment | "read") {
    if (message === "read") {
      ctx.reply({ balance: ctx.state.balance.get(), passed: ctx.state.passed.get() });
      return;
    }
    ctx.state.passed.update((n) => n + 1);
    if (message.accident !== undefined) happen(message.accident);
    if (message.hops === 0) {
      ctx.state.balance.update((balance) => balance + message.amount);
      ctx.emit(receipts, { payment: message.payment, at: ctx.self.id });
    } else ctx.send(account.at(nextAccount(ctx.self.id, message.payment)), { ...message, hops: message.hops - 1 });
  },
});

export const accounts = 40;

export function nextAccount(id: string, payment: number): string {
  return String((Number(id) * 7 + payment + 1) % accounts);
}

function happen({ kind, until }: NonNullable<Payment["accident"]>): void {
  if (existsSync(until)) return;
  if (kind === "throw always") throw new Error("this account throws");
  writeFileSync(until, "");
  if (kind === "exit") process.exit(7);
  if (kind === "throw later") setTimeout(throwNow, 0);
  if (kind === "reject later") void Promise.reject(new Error("rejected and not handled"));
  if (kind === "loop") for (;;);
  if (kind === "memory") for (const kept: unknown[] = []; ; ) kept.push(new Array(1_000).fill(kept.length));
}

function throwNow(): void {
  throw new Error("thrown in a timer");
}

/** While this file exists every thread dies, whatever it does. */
const dies = new URL(import.meta.url).searchParams.get("dies");
if (dies !== null && !isMainThread) setInterval(() => existsSync(dies) && process.exit(9), 1).unref();

export default defineApp({ name: "bank", functions: [account], egresses: [receipts] });
