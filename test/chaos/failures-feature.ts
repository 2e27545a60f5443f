/**
 * Failing turns over kills: each transfer visits a patient and a doomed one. Some patients get a message that fails for
 * good and are quarantined until the audit cures or skips it; some messages of the doomed become dead letters.
 */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DeadLetter, defineFunction, table, type, value } from "holdfast";
import type { ChaosFeature } from "./feature.js";
import { directoryVariable } from "./transfer.js";

/** Transfers of one address. */
const perAddress = 16;
/** Of so many patients one is quarantined; every second of these is cured, the other one skipped. */
const patientsPerPoison = 16;
/** The transfer, of those of a patient, that is poison. */
const poisonPlace = 5;
const lettersEvery = 64;
const letterPlace = 3;
/** When this file is there, poison is harmless. */
const cure = "cured";

interface Visit {
  readonly id: number;
}

const state = { seen: value<readonly number[]>([]) };
const retry = { maxAttempts: 2, backoffMs: 1 };

const patient = defineFunction("chaos/patient", {
  state,
  reply: type<readonly number[]>(),
  failure: { retry },
  receive(ctx, message: Visit | "read") {
    if (message === "read") {
      ctx.reply(ctx.state.seen.get());
      return;
    }
    ctx.state.seen.update((seen) => [...seen, message.id]); // before the failure: must be undone
    if (isPoison(message.id) && !existsSync(join(folder(), cure))) throw new Error(`poison ${message.id}`);
  },
});

const undertaker = defineFunction("chaos/undertaker", {
  state: { letters: table<number, number>() },
  reply: type<readonly (readonly [id: number, letters: number])[]>(),
  receive(ctx, letter: DeadLetter | "read") {
    const { letters } = ctx.state;
    if (letter === "read") return ctx.reply([...letters.entries()]);
    const { id } = letter.message as Visit;
    letters.set(id, (letters.get(id) ?? 0) + 1);
  },
});

const doomed = defineFunction("chaos/doomed", {
  state,
  reply: type<readonly number[]>(),
  failure: { retry, after: { deadLetter: undertaker.at("all") } },
  receive(ctx, message: Visit | "read") {
    if (message === "read") {
      ctx.reply(ctx.state.seen.get());
      return;
    }
    ctx.state.seen.update((seen) => [...seen, message.id]);
    if (isDoomed(message.id)) throw new Error(`transfer ${message.id} is doomed`);
  },
});

function folder(): string {
  return process.env[directoryVariable] ?? ".";
}

function addressOf(id: number): number {
  return Math.floor(id / perAddress);
}

function isPoison(id: number): boolean {
  return id % perAddress === poisonPlace && addressOf(id) % patientsPerPoison === 0;
}

function isSkipped(id: number): boolean {
  return isPoison(id) && addressOf(id) % (2 * patientsPerPoison) === 0;
}

function isDoomed(id: number): boolean {
  return id % lettersEvery === letterPlace;
}

function idsWhere(ids: number, holds: (id: number) => boolean): number[] {
  return Array.from({ length: ids }, (_, id) => id).filter(holds);
}

export const failuresFeature: ChaosFeature = {
  name: "failures",
  functions: [patient, undertaker, doomed],
  poke(send, id) {
    send(patient.at(String(addressOf(id))), { id });
    send(doomed.at(String(addressOf(id))), { id });
  },
  quarantined: (ids) => idsWhere(ids, isPoison).length,
  async audit(app, ids) {
    const wrong: string[] = [];
    const differs = (what: string, found: readonly unknown[], expected: readonly unknown[]): void => {
      if (found.join() !== expected.join()) wrong.push(`${what}: ${found}, must be ${expected}`);
    };
    await app.drained();
    const poison = idsWhere(ids, isPoison);
    const listed = await app.quarantine.list();
    differs("quarantined", listed.map(({ message }) => (message as Visit).id).sort(ascending), poison);
    writeFileSync(join(folder(), cure), "");
    for (const id of poison) {
      const address = patient.at(String(addressOf(id)));
      const released = isSkipped(id) ? app.quarantine.skip(address) : app.quarantine.retry(address);
      if (!(await released)) wrong.push(`${address} was not released`);
    }
    for (let first = 0; first < ids; first += perAddress) {
      const visits = idsWhere(Math.min(perAddress, ids - first), () => true).map((place) => first + place);
      for (const [fn, isLost] of [
        [patient, isSkipped],
        [doomed, isDoomed],
      ] as const) {
        const address = fn.at(String(addressOf(first)));
        const seen = [...(await app.ask(address, "read"))].sort(ascending);
        const kept = visits.filter((id) => !isLost(id));
        differs(String(address), seen, kept);
      }
    }
    const letters = (await app.ask(undertaker.at("all"), "read")).map(([id, count]) => `${count} of ${id}`);
    const dead = idsWhere(ids, isDoomed).map((id) => `1 of ${id}`);
    differs("dead letters", letters, dead);
    differs("quarantined at the end", await app.quarantine.list(), []);
    return wrong;
  },
};

function ascending(a: number, b: number): number {
  return a - b;
}
