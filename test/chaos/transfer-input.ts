/**
 * Writes the input of the killed application, batch by batch, and keeps what must come of it.
 *
 * I1. The route of a transfer is a function of its two accounts, so transfers between the same two arrive in order.
 * I2. A batch ends the worker at most as often as one process may restart its shards.
 */
import { appendFileSync } from "node:fs";
import type { Random } from "../../lib/base/random.js";
import { type Statement, startBalance, type Transfer, type Trick } from "./transfer.js";

export const accountCount = 200;
const partners = 4;
/** I2: half of what an application survives in a minute, since a run may see the end of one batch and the next. */
const exitsPerBatchMax = 2;

/** What must be in the reject file for one line. */
export interface ExpectedReject {
  readonly token: string;
  readonly where: string;
}

export class TransferInput {
  readonly transfers: Transfer[] = [];
  readonly rejects: ExpectedReject[] = [];
  readonly accounts = new Map<string, Omit<Statement, "chain">>();
  exits = 0;
  readonly #path: string;
  readonly #random: Random;
  #bytes = 0;

  constructor(path: string, random: Random) {
    this.#path = path;
    this.#random = random;
    for (let i = 0; i < accountCount; i++) {
      this.accounts.set(nameOf(i), { balance: startBalance, debits: 0, passes: 0, credits: 0 });
    }
  }

  /** Appends a batch to the file. */
  grow(transfers: number): void {
    const lines: Buffer[] = [];
    const exitAt = this.#exitPlaces(transfers);
    for (let i = 0; i < transfers; i++) {
      if (this.#random.below(500) === 0) this.#add(lines, this.#badLine());
      if (this.#random.below(1_000) === 0) this.#add(lines, Buffer.from("\n"));
      const transfer = this.#transfer(exitAt.has(i) ? "exit" : this.#trick());
      this.#expect(transfer);
      this.#add(lines, Buffer.from(`${JSON.stringify(transfer)}\n`));
    }
    appendFileSync(this.#path, Buffer.concat(lines));
  }

  /** Two neighbours: the second dies while the shards come up again after the first. */
  #exitPlaces(transfers: number): Set<number> {
    const place = this.#random.below(transfers - exitsPerBatchMax);
    const places = new Set(Array.from({ length: exitsPerBatchMax }, (_, i) => place + i));
    this.exits += places.size;
    return places;
  }

  #trick(): Trick | undefined {
    const dice = this.#random.below(2_000);
    if (dice < 4) return "throw";
    if (dice < 6) return "large";
    return dice < 40 ? "slow" : undefined;
  }

  #transfer(trick: Trick | undefined): Transfer {
    const random = this.#random;
    const from = random.below(10) === 0 ? 0 : random.below(accountCount); // one account is busier than the others
    const to = (from * 7 + 1 + random.below(partners) * 13) % accountCount;
    const stops = (from + to) % 4; // I1
    const via = Array.from({ length: stops }, (_, i) => nameOf((from * 3 + to * 5 + i * 17) % accountCount));
    const amount = 1 + random.below(100);
    const transfer = { id: this.transfers.length, from: nameOf(from), to: nameOf(to), via, amount };
    return trick === undefined ? transfer : { ...transfer, trick };
  }

  #expect(transfer: Transfer): void {
    const { from, to, via, amount } = transfer;
    this.transfers.push(transfer);
    this.#change(from, (before) => ({ ...before, balance: before.balance - amount, debits: before.debits + 1 }));
    for (const stop of via) this.#change(stop, (before) => ({ ...before, passes: before.passes + 1 }));
    this.#change(to, (before) => ({ ...before, balance: before.balance + amount, credits: before.credits + 1 }));
  }

  #change(name: string, change: (before: Omit<Statement, "chain">) => Omit<Statement, "chain">): void {
    this.accounts.set(name, change(this.accounts.get(name)!));
  }

  /** A line that cannot be parsed, is not UTF-8, or cannot be routed. */
  #badLine(): Buffer {
    const token = `bad-${this.rejects.length}-`;
    this.rejects.push({ token, where: `byte ${this.#bytes}` });
    const kind = this.#random.below(3);
    if (kind === 0) return Buffer.from(`{"id":"${token}","from":\n`);
    if (kind === 1) return Buffer.concat([Buffer.from(`{"id":"${token}`), Buffer.from([0xff]), Buffer.from('"}\n')]);
    return Buffer.from(`{"id":"${token}","to":"${nameOf(1)}"}\n`);
  }

  #add(lines: Buffer[], line: Buffer): void {
    lines.push(line);
    this.#bytes += line.length;
  }
}

function nameOf(account: number): string {
  return `account-${account}`;
}
