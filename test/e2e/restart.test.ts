/** Threads that die: all shards start again from the last commit; nothing is lost, nothing happens twice. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";
import { type Application, every } from "../../lib/index.js";
import { type Accident, account, accounts, type Payment, receipts } from "./apps/bank.app.js";
import { patient } from "./apps/desk.app.js";
import { appTest, appTests, Gate, type Lab, nextEvent, refused, take } from "./running-app.js";

type Restarted = { readonly reason: Error; readonly attempt: number };
const hops = 8;

describe("a thread that dies", () => {
  appTests("by exit costs nothing", (lab) => survive(lab, [["exit", /code 7/]]));

  appTest("by an error in a timer, by an unhandled rejection or by a loop costs nothing", (lab) =>
    survive(lab, [
      ["throw later", /thrown in a timer/],
      ["reject later", /rejected and not handled/],
      ["loop", /has not returned for 400 ms/],
    ]),
  );

  appTest("by memory costs nothing", async (lab, t) => {
    // Node 24 aborts the process when the heap of a thread grows past its limit between two collections: a crash like
    // any other, after which the next start recovers.
    if (Number(process.versions.node.split(".")[0]) >= 24) return t.skip("Node aborts the process here");
    const app = await lab.start("bank", { shardHeapMb: 80 });
    const restarted = nextEvent(app, "restarted") as Promise<Restarted>;
    await Promise.all(payAround(app, 0, 40, { kind: "memory", until: join(lab.folder, "memory happened") }));
    assert.match((await restarted).reason.message, /memory/);
    await balanced(app, 40);
  });

  appTest(
    "while asks wait and async turns are pending: they are answered once, by the next generation",
    async (lab) => {
      const gate = new Gate();
      try {
        const app = await lab.start("mixed");
        const waits = ["a", "b", "c"].map((id) => app.send(patient.at(id), "wait"));
        await gate.arrived(3);
        const asked = Promise.all(["a", "b", "c"].map((id) => app.ask(patient.at(id), "read")));
        await app.send(account.at("1"), {
          payment: 1,
          amount: 1,
          hops: 0,
          accident: { kind: "exit", until: join(lab.folder, "exit") },
        });
        await gate.arrived(6);
        gate.open();
        assert.deepEqual(await asked, [1, 1, 1]);
        await Promise.all(waits);
        assert.equal(app.status().restarts, 1);
      } finally {
        gate.close();
      }
    },
  );
});

describe("a thread that dies while a command is carried out", () => {
  appTests("takes nothing back of what was answered", async (lab) => {
    const app = await lab.start("bank");
    for (const n of [1, 2, 3, 4]) {
      const name = `deadly ${n}`;
      const to = account.at(String(n));
      const accident = { kind: "exit", until: join(lab.folder, name) } as const;
      const message = { payment: n, amount: 0, hops: 0, accident };
      const restarted = nextEvent(app, "restarted");
      // it kills its thread: before its commit, after it, or before anybody heard that it was added
      const answered = await app.schedules.add(every(name, { intervalMs: 1, to, message })).then(
        () => true,
        (error: { code: string }) => error.code !== "HF_WORKER_FAILED",
      );
      await restarted;
      const names = (await app.schedules.list()).map((schedule) => schedule.name);
      if (answered) assert.deepEqual(names, [name]);
      await app.schedules.remove(name);
    }
  });
});

describe("threads that die again and again of something that is no message", () => {
  appTest("fail the application with the reason; corrected, it goes on where it was", async (lab) => {
    const dies = join(lab.folder, "everything dies");
    const app = await lab.start("bank", {}, { dies });
    await Promise.all(payAround(app, 0, 20, undefined));
    await app.drained();
    const reasons: Error[] = [];
    app.on("restarted", ({ reason }) => reasons.push(reason));
    writeFileSync(dies, "");
    const error = await refused(app.stopped, "HF_WORKER_FAILED", /5 times.*code 9/s);
    assert.ok(error.cause instanceof Error);
    assert.equal(reasons.length, 6);
    assert.equal(app.status().state, "failed");
    await refused(app.send(account.at("1"), { payment: 0, amount: 1, hops: 0 }), "HF_WORKER_FAILED");
    await refused(app.drained(), "HF_WORKER_FAILED");
    await app.stop();

    rmSync(dies);
    const again = await lab.start("bank");
    await Promise.all(payAround(again, 20, 1, undefined));
    await balanced(again, 21);
    assert.deepEqual(await again.quarantine.list(), []);
  });
});

/** One accident after the other among payments on their way; in the end every payment has arrived once. */
async function survive(lab: Lab, accidents: readonly (readonly [Accident, RegExp])[]): Promise<void> {
  const app = await lab.start("bank", { watchdogMs: 400 });
  const records = app.egress(receipts);
  let paid = 0;
  for (const [kind, said] of accidents) {
    const restarted = nextEvent(app, "restarted") as Promise<Restarted>;
    const sent = payAround(app, paid, 80, { kind, until: join(lab.folder, `${kind} happened`) });
    assert.match((await restarted).reason.message, said);
    await Promise.all(sent);
    paid += 80;
  }
  const taken = await take(records, paid);
  assert.deepEqual(
    numbers(taken.map(({ record }) => record.payment)),
    Array.from({ length: paid }, (_, n) => n),
  );
  assert.equal(new Set(taken.map(({ id }) => id)).size, paid);
  await balanced(app, paid);
  assert.deepEqual([app.status().restarts, app.status().state], [accidents.length, "running"]);
}

/** Payments on their way over all accounts; one in the middle carries an accident. */
function payAround(app: Application, from: number, count: number, accident: Payment["accident"]): Promise<void>[] {
  return Array.from({ length: count }, (_, n) => {
    const payment = from + n;
    const carried = n === count >> 1 && accident !== undefined ? { accident } : {};
    return app.send(account.at(String((payment * 3) % accounts)), { payment, amount: 1, hops, ...carried });
  });
}

/** Every payment was applied exactly once at each of its hops. */
async function balanced(app: Application, payments: number): Promise<void> {
  await app.drained();
  const all = await Promise.all(Array.from({ length: accounts }, (_, id) => app.ask(account.at(String(id)), "read")));
  assert.equal(
    all.reduce((sum, { balance }) => sum + balance, 0),
    payments,
  );
  assert.equal(
    all.reduce((sum, { passed }) => sum + passed, 0),
    payments * (hops + 1),
  );
}

function numbers(list: readonly number[]): number[] {
  return [...list].sort((a, b) => a - b);
}
