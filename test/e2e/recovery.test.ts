/** Stopped and started again, with other shard counts, with less memory than state, with work left over. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";
import type { Application } from "../../lib/index.js";
import { account, accounts, receipts } from "./apps/bank.app.js";
import { journal, lines, patient, speaker } from "./apps/desk.app.js";
import { appTest, appTests, Gate, nextEvent, take } from "./running-app.js";

describe("started again", () => {
  appTest(
    "with 1, then 3, then 2 shards, then with what the directory has: nothing is lost or doubled",
    async (lab) => {
      let paid = 0;
      for (const shards of [1, 3, 2, undefined]) {
        const app = await lab.start("mixed", { shards: shards as number });
        assert.equal(app.status().shards, shards ?? 2);
        await balanced(app, paid);
        await Promise.all(Array.from({ length: 100 }, () => pay(app, paid++)));
        void app.stop(); // with payments on their way
        await app.stopped;
      }
    },
  );

  appTests(
    "messages of a quarantined address wait in order, also over another shard count, and are applied by corrected code",
    async (lab) => {
      const until = join(lab.folder, "the code is corrected");
      const app = await lab.start("mixed", { turnRetryMs: 0 });
      const parked = nextEvent(app, "parked") as Promise<{ readonly address: string }>;
      await app.send(account.at("5"), { payment: 0, amount: 1, hops: 0, accident: { kind: "throw always", until } });
      assert.equal((await parked).address, "bank/account@5");
      for (const payment of [1, 2, 3]) await app.send(account.at("5"), { payment, amount: 1, hops: 0 });
      await app.send(journal.at("5"), { line: 1 });
      await app.drained();
      assert.deepEqual([app.status().parked, app.status().inFlight], [1, 0]);
      await app.stop();

      const again = await lab.start("mixed", { shards: 4 - lab.shards, turnRetryMs: 0 });
      await again.drained();
      assert.equal(again.status().parked, 1);
      assert.deepEqual(await again.ask(journal.at("5"), "read"), [1]);
      await again.stop();

      writeFileSync(until, "");
      const corrected = await lab.start("mixed");
      assert.equal(await corrected.quarantine.retry(account.at("5")), true);
      const taken = await take(corrected.egress(receipts), 4);
      assert.deepEqual(
        taken.map(({ record }) => record.payment),
        [0, 1, 2, 3],
      );
      assert.deepEqual(await corrected.ask(account.at("5"), "read"), { balance: 4, passed: 4 });
      assert.equal(corrected.status().parked, 0);
    },
  );

  appTest(
    "stop does not wait for ever for an async turn; it runs again after the next start, what queued behind it follows in order",
    async (lab) => {
      const gate = new Gate();
      try {
        const app = await lab.start("mixed");
        await app.send(patient.at("p"), "wait");
        await app.send(patient.at("p"), "wait");
        await gate.arrived(1);
        await app.stop();
        assert.equal(app.status().state, "stopped");
        const again = await lab.start("mixed", { shards: 3 });
        await gate.arrived(2);
        gate.open();
        await gate.arrived(3);
        gate.open();
        assert.equal(await again.ask(patient.at("p"), "read"), 2);
      } finally {
        gate.close();
      }
    },
  );

  appTest("records that no reader took come again with the same ids, those that were taken do not", async (lab) => {
    const app = await lab.start("mixed");
    const reader = app.egress(lines);
    await app.send(speaker.at("a"), { times: 2 });
    const first = await take(reader, 2);
    await app.send(speaker.at("a"), { times: 3 });
    const [third] = await take(reader, 1); // asking for it took the two before
    await app.stop();
    const again = await lab.start("mixed");
    const anew = await take(again.egress(lines), 3);
    assert.deepEqual(
      anew.map(({ record }) => record.line),
      [3, 4, 5],
    );
    assert.deepEqual(anew[0], third);
    assert.ok(first.every(({ id }) => anew.every((other) => other.id !== id)));
  });
});

describe("state larger than memory", () => {
  appTest("is evicted and read back, also after a start", async (lab) => {
    const ids = Array.from({ length: 400 }, (_, n) => `j${n}`);
    const app = await lab.start("mixed", { residentMax: 20 });
    const round = async (line: number): Promise<void> => {
      await Promise.all(ids.map((id) => app.send(journal.at(id), { line })));
    };
    await round(0);
    const since = performance.now(); // merges come every two seconds: only what is merged is evicted
    for (let line = 1; line < 4 || performance.now() - since < 2_600; line++) await round(line);
    const kept = await Promise.all(ids.map((id) => app.ask(journal.at(id), "read")));
    const expected = Array.from({ length: kept[0].length }, (_, line) => line);
    for (const lines of kept) assert.deepEqual(lines, expected);
    await app.stop();
    const again = await lab.start("mixed", { residentMax: 20, shards: 3 });
    for (const lines of await Promise.all(ids.map((id) => again.ask(journal.at(id), "read"))))
      assert.deepEqual(lines, expected);
  });
});

function pay(app: Application, payment: number): Promise<void> {
  return app.send(account.at(String((payment * 3) % accounts)), { payment, amount: 1, hops: 12 });
}

async function balanced(app: Application, payments: number): Promise<void> {
  await app.drained();
  const all = await Promise.all(Array.from({ length: accounts }, (_, id) => app.ask(account.at(String(id)), "read")));
  assert.equal(
    all.reduce((sum, { balance }) => sum + balance, 0),
    payments,
  );
  assert.equal(
    all.reduce((sum, { passed }) => sum + passed, 0),
    payments * 13,
  );
}
