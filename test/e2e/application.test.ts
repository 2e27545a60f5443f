/** The application as its user has it: send, ask, egress, checkpoint, stop, and what they refuse. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import test, { describe } from "node:test";
import { crc32 } from "node:zlib";
import type { Address } from "../../lib/index.js";
import { account, accounts, receipts } from "./apps/bank.app.js";
import { echo, journal, lines, offender, parcel, patient, speaker, stranger, unknownEgress } from "./apps/desk.app.js";
import { appTest, appTests, Gate, parkedEvent, refused, sharedApp, take, withShards } from "./running-app.js";

for (const shards of [1, 2, 3]) {
  describe(withShards(shards), () => {
    const app = sharedApp("desk", shards);

    test("messages of one caller reach an address in the order of the calls, each once", async () => {
      const sent: Promise<void>[] = [];
      for (let line = 0; line < 200; line++)
        for (const id of ["a", "b", "c"]) sent.push(app().send(journal.at(id), { line }));
      const expected = Array.from({ length: 200 }, (_, line) => line);
      for (const id of ["a", "b", "c"]) assert.deepEqual(await app().ask(journal.at(id), "read"), expected);
      await Promise.all(sent);
    });

    test("each of many asks gets its own reply", async () => {
      const asked = Array.from({ length: 300 }, (_, n) => app().ask(echo.at(`e${n % 17}`), { value: { n } }));
      assert.deepEqual(
        await Promise.all(asked),
        Array.from({ length: 300 }, (_, n) => ({ n })),
      );
    });

    test("records come committed, with ascending ids, those of an address in order, to every reader", async () => {
      const [one, other] = [app().egress(lines), app().egress(lines)];
      for (let round = 0; round < 20; round++)
        for (const id of ["a", "b", "c"]) void app().send(speaker.at(id), { times: 10 });
      const taken = await take(one, 600);
      assert.deepEqual(await take(other, 600), taken);
      assert.equal(new Set(taken.map(({ id }) => id)).size, 600);
      const places = taken.map(({ id }) => id.split("-").map(Number));
      assert.deepEqual(
        [...places].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]),
        places,
      );
      for (const id of ["a", "b", "c"]) {
        const said = taken.filter(({ record }) => record.from === id).map(({ record }) => record.line);
        assert.deepEqual(
          said,
          Array.from({ length: 200 }, (_, n) => n + 1),
        );
      }
      assert.ok(taken.every(({ id }) => Number(id.split("-")[0]) <= app().status().committed));
      await Promise.all([one.return?.(), other.return?.()]);
    });

    test("messages larger than a ring, up to nearly 16 MiB, arrive whole, also at another shard", async () => {
      for (const size of [300 << 10, shards === 3 ? (16 << 20) - 64 : 3 << 20]) {
        const bytes = new Uint8Array(randomBytes(size));
        await Promise.all(["x", "y"].map((to, n) => app().send(parcel.at(`from${n}`), { to, bytes })));
        await app().drained();
        for (const id of ["x", "y"])
          assert.deepEqual(await app().ask(parcel.at(id), "read"), { bytes: size, crc: crc32(bytes) });
      }
    });

    test("what a function does wrong fails its ask with the cause, parks its address, and leaves the others alone", async () => {
      const causes = {
        throws: /thrown on purpose/,
        "strange state": /HF_BAD_VALUE.*anything\.deep/s,
        "strange message": /HF_BAD_VALUE.*message\.value/s,
        "unknown egress": /HF_UNKNOWN_EGRESS/,
        "unknown function": /HF_UNKNOWN_FUNCTION/,
        "long id": /HF_BAD_ID/,
      } as const;
      for (const [offence, cause] of Object.entries(causes)) {
        const id = `the one with ${offence}`;
        const error = await refused(
          app().ask(offender.at(id), offence as keyof typeof causes),
          "HF_FUNCTION_FAILED",
          /3 times/,
        );
        assert.equal(error.address, `desk/offender@${id}`);
        assert.match(String((error.cause as Error).message), cause);
      }
      const parked = parkedEvent(app(), "desk/offender@lonely");
      await app().send(offender.at("lonely"), "reply to nobody");
      assert.match(String((await parked).error.cause), /HF_NO_CALLER/);
      await app().drained();
      assert.equal(app().status().parked, Object.keys(causes).length + 1);
      assert.equal(await app().ask(echo.at("fine"), { value: "still here" }), "still here");
    });

    test("a checkpoint covers what was applied before it", async () => {
      const first = await app().checkpoint();
      await app().ask(echo.at("x"), { value: 1 });
      const [second, third] = await Promise.all([app().checkpoint(), app().checkpoint()]);
      assert.ok(second > first && third >= second, `${first} < ${second} <= ${third}`);
      const { state, committed, restarts, exhausted, inFlight } = app().status();
      assert.deepEqual(
        { state, shards: app().status().shards, restarts, exhausted, inFlight },
        { state: "running", shards, restarts: 0, exhausted: true, inFlight: 0 },
      );
      assert.ok(committed >= third);
    });
  });
}

appTests("drained resolves when the last turn has ended, however seldom commits come", async (lab) => {
  const app = await lab.start("desk", { checkpoint: { intervalMs: 60_000, idleIntervalMs: 60_000 } });
  const gate = new Gate();
  try {
    await app.send(patient.at("p"), "wait");
    await gate.arrived(1);
    const drained = app.drained();
    for (let n = 0; n < 5; n++) await app.checkpoint(); // whatever was asked for is committed, and the turn goes on
    const began = performance.now();
    gate.open();
    await drained;
    assert.ok(performance.now() - began < 30_000);
  } finally {
    gate.close();
  }
});

describe("money that travels between all accounts", () => {
  appTests("is neither lost nor doubled, and stop works it off", async (lab) => {
    const app = await lab.start("bank");
    const records = app.egress(receipts);
    const pay = (payment: number): Promise<void> =>
      app.send(account.at(String(payment % accounts)), { payment, amount: 3, hops: 10 });
    await Promise.all(Array.from({ length: 300 }, (_, payment) => pay(payment)));
    const taken = await take(records, 300);
    assert.equal(new Set(taken.map(({ record }) => record.payment)).size, 300);
    const all = await Promise.all(Array.from({ length: accounts }, (_, id) => app.ask(account.at(String(id)), "read")));
    assert.equal(
      all.reduce((sum, { balance }) => sum + balance, 0),
      900,
    );
    assert.equal(
      all.reduce((sum, { passed }) => sum + passed, 0),
      11 * 300,
    );

    const sent = Array.from({ length: 200 }, (_, n) => pay(300 + n));
    const stopped = app.stop();
    assert.equal(app.stop(), stopped);
    await refused(pay(500), "HF_STOPPED", /stop/);
    await Promise.all(sent);
    await take(records, 200);
    await Promise.all([stopped, app.stopped]);
    assert.deepEqual(await records.next(), { done: true, value: undefined });
    assert.equal(app.status().state, "stopped");
    await refused(pay(501), "HF_STOPPED");
    await refused(app.ask(account.at("1"), "read"), "HF_STOPPED");
    await refused(app.checkpoint(), "HF_STOPPED");
    await refused(app.drained(), "HF_STOPPED");
  });
});

describe("one application", () => {
  const app = sharedApp("desk", 2);

  test("an ask can be given a time limit and can be given up", async () => {
    const error = await refused(app().ask(offender.at("s"), "silence", { timeoutMs: 30 }), "HF_ASK_TIMEOUT", /30 ms/);
    assert.equal(error.address, "desk/offender@s");
    const controller = new AbortController();
    const asked = app().ask(offender.at("s"), "silence", { signal: controller.signal });
    controller.abort(new Error("changed my mind"));
    await refused(asked, "HF_ASK_ABORTED");
    await refused(app().ask(offender.at("s"), "silence", { signal: controller.signal }), "HF_ASK_ABORTED");
    await refused(app().ask(offender.at("s"), "silence", { timeoutMs: Number.NaN }), "HF_BAD_OPTIONS", /timeoutMs/);
  });

  test("what is wrong with a call is said by a typed error, and the application goes on", async () => {
    const anything = echo.at("x") as Address<{ value: unknown }>;
    await refused(app().send(anything, { value: () => 1 }), "HF_BAD_VALUE", /message\.value/);
    await refused(app().send(anything, { value: Symbol("s") }), "HF_BAD_VALUE");
    await refused(app().send(anything, { value: new (class Money {})() }), "HF_BAD_VALUE");
    const cycle: unknown[] = [];
    cycle.push(cycle);
    await refused(app().send(anything, { value: cycle }), "HF_BAD_VALUE");
    await refused(app().send(anything, { value: "x".repeat((16 << 20) + 1) }), "HF_TOO_LARGE");
    await refused(app().send(anything, { value: "\u20ac".repeat(6 << 20) }), "HF_TOO_LARGE");
    await refused(app().send(anything, { value: new Uint8Array(17 << 20) }), "HF_TOO_LARGE");
    await refused(app().send(stranger.at("x"), undefined), "HF_UNKNOWN_FUNCTION", /desk\/stranger.*defineApp/);
    await refused(app().ask(stranger.at("x"), undefined), "HF_UNKNOWN_FUNCTION");
    for (const nonsense of [undefined, null, "desk/echo", 7, {}]) {
      await refused(app().send(nonsense as never, 1 as never), "HF_UNKNOWN_FUNCTION");
      await refused(app().ask(nonsense as never, 1 as never), "HF_UNKNOWN_FUNCTION");
    }
    await refused(app().send({ type: "desk/echo" } as never, 1 as never), "HF_BAD_ID", /string/);
    await refused(app().send({ type: "desk/echo", id: "x".repeat(901) } as never, { value: 1 } as never), "HF_BAD_ID");
    await refused(() => echo.at(7 as never), "HF_BAD_ID", /string/);
    await refused(() => echo.at("x".repeat(901)), "HF_BAD_ID", /901/);
    await refused(() => app().egress(unknownEgress), "HF_UNKNOWN_EGRESS", /desk\/unknown.*defineApp/);
    await refused(() => app().egress(undefined as never), "HF_UNKNOWN_EGRESS");
    assert.equal(await app().ask(echo.at("x"), { value: 1 }), 1);
  });

  test("callers that do not wait get in line, and are refused before memory is full; what was accepted arrives", async () => {
    const outcomes = { accepted: 0, refused: 0 };
    const value = "x".repeat(12_000);
    const sent = Array.from({ length: 9_000 }, (_, n) =>
      app()
        .send(journal.at(`o${n % 50}`), { line: n, value } as { line: number })
        .then(
          () => void outcomes.accepted++,
          (error: { code: string }) => {
            assert.equal(error.code, "HF_OVERLOAD");
            outcomes.refused++;
          },
        ),
    );
    const before = app().status().turns;
    await Promise.all(sent);
    assert.ok(outcomes.refused > 0 && outcomes.accepted >= 5_000, JSON.stringify(outcomes));
    await app().drained();
    assert.ok(app().status().turns - before <= outcomes.accepted);
  });

  test("an address that is parked with 40 MB of messages does not keep the others waiting", async () => {
    const parked = parkedEvent(app(), "desk/offender@full");
    await app().send(offender.at("full"), "throws");
    await parked;
    const padding = "x".repeat(1 << 20);
    for (let batch = 0; batch < 4; batch++) {
      await Promise.all(Array.from({ length: 10 }, () => app().send(offender.at("full"), { padding } as never)));
    }
    assert.equal(await app().ask(echo.at("full"), { value: "same shard" }), "same shard"); // equal ids share a shard
  });

  test("200,000 small messages in batches leave memory flat", async () => {
    let [first, last] = [0, 0];
    for (let batch = 0; batch < 10; batch++) {
      const sent: Promise<void>[] = [];
      for (let n = 0; n < 20_000; n++) sent.push(app().send(offender.at(`small${n % 50}`), "silence"));
      await Promise.all(sent);
      last = process.memoryUsage().rss;
      if (batch === 2) first = last;
    }
    assert.ok(last < first + 400 * 2 ** 20, `${first} bytes of memory after three batches, ${last} after ten`);
  });
});

describe("the end", () => {
  appTest(
    "readers end with the application; the first gets what came before it, one that left gets nothing",
    async (lab) => {
      const app = await lab.start("desk");
      await app.send(speaker.at("a"), { times: 3 });
      const first = app.egress(lines);
      assert.deepEqual(
        (await take(first, 3)).map(({ record }) => record.line),
        [1, 2, 3],
      );
      const second = app.egress(lines);
      const third = app.egress(lines);
      await app.send(speaker.at("a"), { times: 1 });
      assert.equal((await take(second, 1))[0].record.line, 4);
      await third.return?.();
      assert.deepEqual(await third.next(), { done: true, value: undefined });
      const waiting = second.next();
      await app.stop();
      assert.deepEqual(await waiting, { done: true, value: undefined });
      assert.equal((await take(first, 1))[0].record.line, 4);
      assert.deepEqual(await first.next(), { done: true, value: undefined });
    },
  );

  appTest(
    "an ask that is not answered before the end is refused; await using stops, and the directory is free",
    async (lab) => {
      let asked: Promise<unknown>;
      {
        await using app = await lab.start("desk");
        asked = refused(app.ask(offender.at("x"), "silence"), "HF_STOPPED");
      }
      await asked;
      await using again = await lab.start("desk");
      assert.equal(await again.ask(echo.at("x"), { value: 2 }), 2);
    },
  );
});
