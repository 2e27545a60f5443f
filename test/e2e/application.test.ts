/** The application as its user has it: send, ask, egress, checkpoint, stop, and what they refuse. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { type Address, defineFunction } from "../../lib/index.js";
import { account, accounts, receipts } from "./apps/bank.app.js";
import { echo, journal, lines, offender, parcel, patient, speaker, stranger, unknownEgress } from "./apps/desk.app.js";
import { appTest, appTests, Gate, nextEvent, refused, take } from "./running-app.js";

describe("send and ask", () => {
  appTests("messages of one caller reach an address in the order of the calls, each once", async (lab) => {
    const app = await lab.start("desk");
    const sent: Promise<void>[] = [];
    for (let line = 0; line < 300; line++) for (const id of ["a", "b", "c"]) sent.push(app.send(journal.at(id), { line }));
    const expected = Array.from({ length: 300 }, (_, line) => line);
    for (const id of ["a", "b", "c"]) assert.deepEqual(await app.ask(journal.at(id), "read"), expected);
    await Promise.all(sent);
  });

  appTests("each of many asks gets its own reply", async (lab) => {
    const app = await lab.start("desk");
    const replies = await Promise.all(Array.from({ length: 500 }, (_, n) => app.ask(echo.at(`e${n % 17}`), { value: { n } })));
    assert.deepEqual(replies, Array.from({ length: 500 }, (_, n) => ({ n })));
  });

  appTests("money that travels between all accounts is neither lost nor doubled", async (lab) => {
    const app = await lab.start("bank");
    const records = app.egress(receipts);
    const payments = 400;
    await Promise.all(Array.from({ length: payments }, (_, payment) => app.send(account.at(String(payment % accounts)), { payment, amount: 3, hops: 10 })));
    const taken = await take(records, payments);
    assert.equal(new Set(taken.map(({ record }) => record.payment)).size, payments);
    const all = await Promise.all(Array.from({ length: accounts }, (_, id) => app.ask(account.at(String(id)), "read")));
    assert.equal(all.reduce((sum, { balance }) => sum + balance, 0), 3 * payments);
    assert.equal(all.reduce((sum, { passed }) => sum + passed, 0), 11 * payments);
    await app.drained();
    assert.equal(app.status().inFlight, 0);
  });

  for (const size of [600 << 10, 3 << 20, (16 << 20) - 64]) {
    appTests(`a message of ${(size / 2 ** 20).toFixed(1)} MiB arrives whole, also at another shard`, async (lab) => {
      const app = await lab.start("desk");
      const bytes = new Uint8Array(size).map((_, at) => at * 131 + (at >> 8));
      const sum = bytes.reduce((total, byte) => (total * 31 + byte) % 1_000_003, 7);
      await Promise.all(["x", "y", "z"].map((to, n) => app.send(parcel.at(`from${n}`), { to, bytes })));
      await app.drained();
      for (const id of ["x", "y", "z"]) assert.deepEqual(await app.ask(parcel.at(id), "read"), { bytes: size, sum });
    });
  }

  appTest("an ask can be given a time limit and can be given up", async (lab) => {
    const app = await lab.start("desk");
    const error = await refused(app.ask(offender.at("s"), "silence", { timeoutMs: 30 }), "HF_ASK_TIMEOUT", /30 ms/);
    assert.equal(error.address, "desk/offender@s");
    const controller = new AbortController();
    const asked = app.ask(offender.at("s"), "silence", { signal: controller.signal });
    controller.abort(new Error("changed my mind"));
    await refused(asked, "HF_ASK_ABORTED");
    await refused(app.ask(offender.at("s"), "silence", { signal: controller.signal }), "HF_ASK_ABORTED");
    await refused(app.ask(offender.at("s"), "silence", { timeoutMs: Number.NaN }), "HF_BAD_OPTIONS", /timeoutMs/);
  });
});

describe("refusals", () => {
  appTest("what is wrong with a call is said by a typed error, and the application goes on", async (lab) => {
    const app = await lab.start("desk");
    const anything = echo.at("x") as Address<{ value: unknown }>;
    await refused(app.send(anything, { value: () => 1 }), "HF_BAD_VALUE", /message\.value/);
    await refused(app.send(anything, { value: Symbol("s") }), "HF_BAD_VALUE");
    await refused(app.send(anything, { value: new (class Money {})() }), "HF_BAD_VALUE");
    const cycle: unknown[] = [];
    cycle.push(cycle);
    await refused(app.send(anything, { value: cycle }), "HF_BAD_VALUE");
    await refused(app.send(anything, { value: "x".repeat((16 << 20) + 1) }), "HF_TOO_LARGE");
    await refused(app.send(anything, { value: new Uint8Array(17 << 20) }), "HF_TOO_LARGE");
    await refused(app.send(stranger.at("x"), undefined), "HF_UNKNOWN_FUNCTION", /desk\/stranger.*defineApp/);
    await refused(app.ask(stranger.at("x"), undefined), "HF_UNKNOWN_FUNCTION");
    for (const nonsense of [undefined, null, "desk/echo", 7, {}, { type: "desk/echo" }]) {
      const error = await refused(app.send(nonsense as never, 1 as never), typeof nonsense === "object" && nonsense !== null && "type" in nonsense ? "HF_BAD_ID" : "HF_UNKNOWN_FUNCTION");
      assert.ok(error.message.length > 20);
    }
    await refused(() => echo.at(7 as never), "HF_BAD_ID", /string/);
    await refused(() => echo.at("x".repeat(901)), "HF_BAD_ID", /901/);
    await refused(app.send({ type: "desk/echo", id: "x".repeat(901) } as never, { value: 1 } as never), "HF_BAD_ID");
    await refused(() => app.egress(unknownEgress), "HF_UNKNOWN_EGRESS", /desk\/unknown.*defineApp/);
    await refused(() => app.egress(undefined as never), "HF_UNKNOWN_EGRESS");
    assert.equal(await app.ask(echo.at("x"), { value: 1 }), 1);
  });

  appTests("what a function does wrong fails its ask with the cause, parks its address, and leaves the others alone", async (lab) => {
    const app = await lab.start("desk", { turnRetryMs: 0 });
    const causes = {
      throws: /TypeError: thrown on purpose|thrown on purpose/,
      "strange state": /HF_BAD_VALUE.*anything\.deep/s,
      "strange message": /HF_BAD_VALUE.*message\.value/s,
      "unknown egress": /HF_UNKNOWN_EGRESS/,
      "unknown function": /HF_UNKNOWN_FUNCTION/,
      "long id": /HF_BAD_ID/,
    } as const;
    for (const [offence, cause] of Object.entries(causes)) {
      const id = `the one with ${offence}`;
      const error = await refused(app.ask(offender.at(id), offence as keyof typeof causes), "HF_FUNCTION_FAILED", /3 times/);
      assert.equal(error.address, `desk/offender@${id}`);
      assert.match(String((error.cause as Error).message), cause);
    }
    const parked = nextEvent(app, "parked");
    await app.send(offender.at("lonely"), "reply to nobody");
    const { address, error } = (await parked) as { address: string; error: { cause: Error } };
    assert.equal(address, "desk/offender@lonely");
    assert.match(error.cause.message, /HF_NO_CALLER/);
    await app.drained();
    assert.equal(app.status().parked, Object.keys(causes).length + 1);
    assert.equal(await app.ask(echo.at("fine"), { value: "still here" }), "still here");
  });

  appTest("a function that only has the name of a known one is known by its name", async (lab) => {
    const app = await lab.start("desk");
    const copy = defineFunction("desk/echo", { receive(_ctx, _message: { value: number }) {} });
    assert.equal(await app.ask(copy.at("x") as never, { value: 5 } as never), 5);
  });
});

describe("egress", () => {
  appTests("records come committed, with ascending ids, those of an address in order, to every reader", async (lab) => {
    const app = await lab.start("desk");
    const [one, other] = [app.egress(lines), app.egress(lines)];
    for (let round = 0; round < 20; round++) for (const id of ["a", "b", "c"]) void app.send(speaker.at(id), { times: 10 });
    const taken = await take(one, 600);
    assert.deepEqual(await take(other, 600), taken);
    assert.equal(new Set(taken.map(({ id }) => id)).size, 600);
    const places = taken.map(({ id }) => id.split("-").map(Number));
    assert.deepEqual([...places].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]), places);
    for (const id of ["a", "b", "c"]) {
      const said = taken.filter(({ record }) => record.from === id).map(({ record }) => record.line);
      assert.deepEqual(said, Array.from({ length: 200 }, (_, n) => n + 1));
    }
    assert.ok(taken.every(({ id }) => Number(id.split("-")[0]) <= app.status().committed));
  });

  appTest("the first reader gets what came before it, a later one does not, and all end when the application stops", async (lab) => {
    const app = await lab.start("desk");
    await app.send(speaker.at("a"), { times: 3 });
    const first = app.egress(lines);
    assert.deepEqual((await take(first, 3)).map(({ record }) => record.line), [1, 2, 3]);
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
  });
});

describe("checkpoint, status and stop", () => {
  appTests("a checkpoint covers what was applied before it", async (lab) => {
    const app = await lab.start("desk");
    const first = await app.checkpoint();
    await app.ask(echo.at("x"), { value: 1 });
    const [second, third] = await Promise.all([app.checkpoint(), app.checkpoint()]);
    assert.ok(second > first && third >= second, `${first} < ${second} <= ${third}`);
    const status = app.status();
    assert.ok(status.committed >= third);
    assert.deepEqual([status.state, status.shards, status.turns, status.restarts, status.exhausted], ["running", lab.shards, 1, 0, true]);
  });

  appTests("stop works off what was accepted, then everything refuses", async (lab) => {
    const app = await lab.start("bank");
    const records = app.egress(receipts);
    const sent = Array.from({ length: 200 }, (_, payment) => app.send(account.at(String(payment % accounts)), { payment, amount: 1, hops: 20 }));
    const stopped = app.stop();
    assert.equal(app.stop(), stopped);
    await refused(app.send(account.at("1"), { payment: 0, amount: 1, hops: 0 }), "HF_STOPPED", /stop/);
    await Promise.all(sent);
    assert.equal((await take(records, 200)).length, 200);
    await stopped;
    await app.stopped;
    assert.equal(app.status().state, "stopped");
    await refused(app.send(account.at("1"), { payment: 0, amount: 1, hops: 0 }), "HF_STOPPED");
    await refused(app.ask(account.at("1"), "read"), "HF_STOPPED");
    await refused(app.checkpoint(), "HF_STOPPED");
    await refused(app.drained(), "HF_STOPPED");
  });

  appTest("an ask that is not answered before the end is refused by stop", async (lab) => {
    const app = await lab.start("desk");
    const asked = refused(app.ask(offender.at("x"), "silence"), "HF_STOPPED");
    await app.stop();
    await asked;
  });

  appTest("await using stops at the end of the block", async (lab) => {
    let kept: { readonly stopped: Promise<void> };
    {
      await using app = await lab.start("desk");
      kept = app;
      assert.equal(await app.ask(echo.at("x"), { value: 1 }), 1);
    }
    await kept.stopped;
    const again = await lab.start("desk"); // the directory is free
    assert.equal(await again.ask(echo.at("x"), { value: 2 }), 2);
  });

  appTest("stop does not wait for ever for a turn that does not end", async (lab) => {
    const app = await lab.start("desk");
    const gate = new Gate();
    try {
      await app.send(patient.at("p"), "wait");
      await gate.arrived(1);
      await app.stop();
      assert.equal(app.status().state, "stopped");
    } finally {
      gate.close();
    }
  });
});

describe("backpressure", () => {
  appTest("200,000 small messages in batches leave memory flat, and all arrive", async (lab) => {
    const app = await lab.start("bank");
    let peak = 0;
    for (let batch = 0; batch < 20; batch++) {
      const sent: Promise<void>[] = [];
      for (let n = 0; n < 10_000; n++) {
        const payment = batch * 10_000 + n;
        sent.push(app.send(account.at(String(payment % accounts)), { payment, amount: 1, hops: 1 }));
      }
      await Promise.all(sent);
      peak = Math.max(peak, process.memoryUsage().rss);
    }
    const all = await Promise.all(Array.from({ length: accounts }, (_, id) => app.ask(account.at(String(id)), "read")));
    assert.equal(all.reduce((sum, { passed }) => sum + passed, 0) >= 200_000, true);
    await app.drained();
    assert.ok(peak < 1_200 * 2 ** 20, `${peak} bytes of memory`);
  });

  appTest("callers that never wait are refused before memory is full, and what was accepted arrives", async (lab) => {
    const app = await lab.start("desk");
    const outcomes = { accepted: 0, refused: 0 };
    const settled: Promise<void>[] = [];
    while (outcomes.refused === 0 && settled.length < 2_000_000) {
      for (let n = 0; n < 5_000; n++) {
        const sent = app.send(offender.at(`o${n % 50}`), "silence");
        settled.push(sent.then(() => void outcomes.accepted++, (error: { code: string }) => {
          assert.equal(error.code, "HF_OVERLOAD");
          outcomes.refused++;
        }));
      }
      await Promise.resolve().then(() => {});
    }
    await Promise.all(settled);
    assert.ok(outcomes.refused > 0, `${settled.length} calls were accepted`);
    await app.drained();
    assert.equal(app.status().turns, outcomes.accepted);
    assert.ok(process.memoryUsage().rss < 1_500 * 2 ** 20, `${process.memoryUsage().rss} bytes of memory`);
  });
});
