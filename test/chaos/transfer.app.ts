/**
 * The application that is killed: money moves between accounts, directly or by way of others.
 *
 *     input.ndjson ──▶ from (debit) ──▶ via ──▶ via ──▶ to (credit) ──▶ credits.ndjson
 *
 * Some transfers carry a trick, which makes one of the turns they cause go wrong or take its time.
 */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Context, defineApp, defineEgress, defineFunction, type, value } from "holdfast";
import { ndjsonEgress, ndjsonIngress } from "holdfast/io/ndjson";
import { features } from "./features.js";
import {
  type Credit,
  chain,
  directoryVariable,
  files,
  type Statement,
  startBalance,
  type Transfer,
} from "./transfer.js";

const folder = process.env[directoryVariable] ?? ".";
/** More than a ring takes in one frame. */
const cargoBytes = 300_000;

type AccountMessage =
  | { readonly kind: "debit"; readonly transfer: Transfer }
  | { readonly kind: "pass"; readonly transfer: Transfer; readonly stop: number; readonly cargo: Uint8Array | null }
  | { readonly kind: "credit"; readonly transfer: Transfer; readonly cargo: Uint8Array | null }
  | { readonly kind: "state" };

export const credits = defineEgress<Credit>("chaos/credits");

const states = { balance: value(startBalance), counts: value({ debits: 0, passes: 0, credits: 0 }), chain: value(0) };

/** One instance per account. */
export const account = defineFunction("chaos/account", {
  state: states,
  reply: type<Statement>(),
  receive(ctx, message: AccountMessage): void | Promise<void> {
    const { balance, counts } = ctx.state;
    switch (message.kind) {
      case "debit":
        balance.update((before) => before - message.transfer.amount);
        counts.update((before) => ({ ...before, debits: before.debits + 1 }));
        forward(ctx, message.transfer, 0, message.transfer.trick === "large" ? cargoOf(message.transfer) : null);
        playTrick(message.transfer);
        break;
      case "pass":
        counts.update((before) => ({ ...before, passes: before.passes + 1 }));
        if (message.transfer.trick === "slow") return passSlowly(ctx, message.transfer, message.stop, message.cargo);
        forward(ctx, message.transfer, message.stop + 1, message.cargo);
        break;
      case "credit":
        credit(ctx, message.transfer, message.cargo);
        break;
      case "state":
        ctx.reply({ balance: balance.get(), ...counts.get(), chain: ctx.state.chain.get() });
        break;
    }
  },
});

export default defineApp({
  name: "chaos",
  functions: [account, ...features.flatMap((feature) => feature.functions)],
  namespaces: features.flatMap(({ namespaces = [] }) => namespaces),
  ingresses: [
    ndjsonIngress<Transfer>("transfers", {
      path: join(folder, files.input),
      rejects: join(folder, files.rejects),
      route: (transfer, to) => {
        if (typeof transfer.from !== "string") throw new Error("a transfer comes from an account");
        to(account.at(transfer.from), { kind: "debit", transfer });
      },
    }),
  ],
  egresses: [ndjsonEgress(credits, { path: join(folder, files.credits) })],
});

type AccountContext = Context<typeof states, Statement, AccountMessage>;

function forward(ctx: AccountContext, transfer: Transfer, stop: number, cargo: Uint8Array | null): void {
  const via = transfer.via[stop];
  if (via === undefined) ctx.send(account.at(transfer.to), { kind: "credit", transfer, cargo });
  else ctx.send(account.at(via), { kind: "pass", transfer, stop, cargo });
}

async function passSlowly(
  ctx: AccountContext,
  transfer: Transfer,
  stop: number,
  cargo: Uint8Array | null,
): Promise<void> {
  await pause(transfer.id % 20);
  forward(ctx, transfer, stop + 1, cargo);
}

function credit(ctx: AccountContext, transfer: Transfer, cargo: Uint8Array | null): void {
  const { id, from, amount } = transfer;
  if (cargo !== null) checkCargo(transfer, cargo);
  ctx.state.balance.update((before) => before + amount);
  const { credits: seq } = ctx.state.counts.update((before) => ({ ...before, credits: before.credits + 1 }));
  const link = chain(ctx.state.chain.get(), id, amount);
  ctx.state.chain.set(link);
  for (const feature of features) feature.poke((address, message) => ctx.send(address, message as never), id);
  ctx.emit(credits, { id, from, to: ctx.self.id, amount, seq, chain: link });
}

function cargoOf({ id }: Transfer): Uint8Array {
  return new Uint8Array(cargoBytes).fill(id % 251);
}

function checkCargo(transfer: Transfer, cargo: Uint8Array): void {
  if (Buffer.compare(cargo, cargoOf(transfer)) !== 0) throw new Error(`the cargo of ${transfer.id} arrived changed`);
}

/** Transfers whose first turn in this thread has failed. */
const failed = new Set<number>();

/** At the end of the turn, so that there are effects to be undone. */
function playTrick({ id, trick }: Transfer): void {
  if (trick === "throw" && !failed.has(id)) {
    failed.add(id);
    throw new Error(`transfer ${id} fails the first time`);
  }
  if (trick === "exit" && isFirstSight(id)) process.exit(7);
}

/** True once for each transfer, whatever dies: a file remembers. */
function isFirstSight(id: number): boolean {
  try {
    closeSync(openSync(join(folder, `${files.exitMark}${id}`), "wx"));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
