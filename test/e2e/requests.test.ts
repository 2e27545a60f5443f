/** Request and reply, idempotency keys, functions by name, dispatch by tag: with real threads. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { Address } from "../../lib/index.js";
import { account, clumsy, counters, insistent, ring, special, teller } from "./apps/requests.app.js";
import { appTests, Gate, nextEvent, refused, sharedApp, withShards } from "./running-app.js";

for (const shards of [1, 2, 3]) {
  describe(withShards(shards), () => {
    const app = sharedApp("requests", shards);
    const ids = ["a", "b", "c", "d", "e", "f"];

    test("messages go to the handler of their tag, and one without a handler is refused at the door", async () => {
      assert.equal(await app().ask(account.at("tags"), { type: "deposit", amount: 5 }), 5);
      assert.equal(await app().ask(account.at("tags"), { type: "read" }), 5);
      const unknown = { type: "toString" } as never;
      await refused(app().send(account.at("tags"), unknown), "HF_UNKNOWN_MESSAGE", /deposit, read/);
      await refused(app().ask(account.at("tags"), 7 as never), "HF_UNKNOWN_MESSAGE");
    });

    test("a turn asks another function, wherever it lives", async () => {
      for (const id of ids) {
        assert.equal(await app().ask(teller.at(`from ${id}`), { account: `asked ${id}`, what: "deposit" }), 1);
        assert.equal(await app().ask(teller.at(`from ${id}`), { account: `asked ${id}`, what: "deposit" }), 2);
      }
    });

    test("an ask in a turn fails with a code: no reply, a failed function, a time limit", async () => {
      assert.equal(await app().ask(teller.at("n"), { account: "n", what: "ignore" }), "HF_NO_REPLY");
      assert.equal(await app().ask(teller.at("f"), { account: "f", what: "fail" }), "HF_FUNCTION_FAILED");
      assert.equal(await app().ask(teller.at("t"), { account: "f", what: "read", timeoutMs: 5 }), "HF_ASK_TIMEOUT");
      assert.equal(await app().ask(teller.at("b"), { account: "b", what: "read", timeoutMs: -1 }), "HF_BAD_OPTIONS");
    });

    test("a turn that asked and then failed asks again, and what it asked for is applied once", async () => {
      for (const id of ids) {
        const balances = await app().ask(clumsy.at(`clumsy ${id}`), { account: `once ${id}` });
        assert.deepEqual(balances, [1, 11]);
        assert.equal(await app().ask(account.at(`once ${id}`), { type: "read" }), 11);
      }
    });

    test("a chain of asks ends, one that comes back to itself is refused", async () => {
      assert.equal(await app().ask(ring.at("1"), ["2", "3", "4"]), "2 > 3 > 4 > end");
      assert.equal(await app().ask(ring.at("1"), ["1"]), "HF_ASK_CYCLE");
      assert.equal(await app().ask(ring.at("1"), ["2", "3", "1"]), "2 > 3 > HF_ASK_CYCLE");
    });

    test("functions that ask each other at the same time never hang", async () => {
      const asked: Promise<string>[] = [];
      for (let n = 0; n < 20; n++) {
        asked.push(app().ask(ring.at(`left ${n}`), [`right ${n}`]), app().ask(ring.at(`right ${n}`), [`left ${n}`]));
      }
      for (const reply of await Promise.all(asked)) assert.match(reply, /end$|HF_ASK_CYCLE$/);
    });

    test("an idempotency key is applied once, and every ask with it gets the same reply", async () => {
      const to = account.at("keys");
      const options = { idempotencyKey: "first" };
      await app().send(to, { type: "deposit", amount: 1 }, options);
      await app().send(to, { type: "deposit", amount: 1 }, options);
      assert.equal(await app().ask(to, { type: "deposit", amount: 1 }, options), 1);
      assert.equal(await app().ask(to, { type: "deposit", amount: 1 }, { idempotencyKey: "second" }), 2);
      assert.equal(await app().ask(to, { type: "deposit", amount: 1 }, options), 1);
      assert.equal(await app().ask(account.at("other keys"), { type: "deposit", amount: 1 }, options), 1);
    });

    test("an ask whose key is being processed waits for that reply", async () => {
      const gate = new Gate();
      try {
        const options = { idempotencyKey: "slow" };
        const first = app().ask(account.at("slow"), { type: "slow", amount: 1 }, options);
        await gate.arrived(1);
        const second = app().ask(account.at("slow"), { type: "slow", amount: 1 }, options);
        gate.open();
        assert.deepEqual([await first, await second], [1, 1]);
      } finally {
        gate.close();
      }
    });

    test("bad keys, retentions and timeouts are refused, and nothing of the call is applied", async () => {
      const to = account.at("bad");
      for (const options of [
        { idempotencyKey: "x".repeat(1024 * 1024) },
        { idempotencyKey: "" },
        { idempotencyKey: 7 as never },
        { idempotencyKey: "k", retentionMs: -1 },
        { idempotencyKey: "k", retentionMs: Number.NaN },
      ]) {
        await refused(app().send(to, { type: "deposit", amount: 1 }, options), "HF_BAD_OPTIONS");
        await refused(app().ask(to, { type: "deposit", amount: 1 }, options), "HF_BAD_OPTIONS");
      }
      await refused(app().ask(to, { type: "deposit", amount: 1 }, { timeoutMs: -5 }), "HF_BAD_OPTIONS");
      assert.equal(await app().ask(to, { type: "read" }), 0);
    });

    test("a namespace makes function types, each with state of its own; a defined one wins", async () => {
      for (const id of ids) {
        assert.deepEqual(await app().ask(counters.at("acme", id), { add: 1 }), {
          count: 5,
          name: "acme",
          caller: undefined,
        });
        assert.equal((await app().ask(counters.at("zoo", id), { add: 1 })).count, 4);
      }
      const asked = await app().ask(special.at("s"), { add: 1 });
      assert.deepEqual(asked, { special: { count: 6, name: "plain", caller: "tenant/special@s" } });
      await assert.rejects(app().send(counters.at("banned", "x"), { add: 1 }), /this tenant is banned/);
      await refused(app().send(new Address("nobody/here", "x"), 1 as never), "HF_UNKNOWN_FUNCTION");
      await refused(() => counters.at("a/b", "x"), "HF_BAD_NAME");
      await refused(() => counters.at("acme", "x".repeat(900)), "HF_BAD_ID");
    });
  });
}

appTests("keys and made function types survive a restart", async ({ start }) => {
  const options = { idempotencyKey: "k" };
  let app = await start("requests");
  for (const id of ["a", "b", "c"]) {
    assert.equal(await app.ask(account.at(id), { type: "deposit", amount: 1 }, options), 1);
    await app.ask(counters.at("acme", id), { add: 1 });
    void app.send(counters.at("acme", id), { add: 0, further: ["zoo", "acme"] });
  }
  await app.stop();
  app = await start("requests", { shards: 2 });
  for (const id of ["a", "b", "c"]) {
    assert.equal(await app.ask(account.at(id), { type: "deposit", amount: 1 }, options), 1);
    assert.equal((await app.ask(counters.at("acme", id), { add: 1 })).count, 6);
    assert.equal((await app.ask(counters.at("zoo", id), { add: 1 })).count, 4);
  }
});

appTests("a retry from quarantine asks anew what had no reply, and keeps the replies that there were", async (lab) => {
  const until = join(lab.folder, "corrected");
  let app = await lab.start("requests");
  const parked = nextEvent(app, "parked") as Promise<{ error: { cause: { code: string } } }>;
  await app.send(insistent.at("i"), { account: "a", until });
  assert.equal((await parked).error.cause.code, "HF_NO_REPLY");
  assert.equal(await app.ask(account.at("a"), { type: "read" }), 11, "in all attempts it asked for each once");
  await app.stop();

  app = await lab.start("requests");
  writeFileSync(until, "");
  await app.quarantine.retry(insistent.at("i"));
  assert.deepEqual(await app.ask(insistent.at("i"), "read"), [10, 12]);
  assert.equal(await app.ask(account.at("a"), { type: "read" }), 12);
});
