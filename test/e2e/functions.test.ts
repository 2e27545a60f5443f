/** What a turn is, with real threads: all or nothing, one at a time per address, the same message in every attempt. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import {
  answerer,
  asker,
  checkedNotes,
  chest,
  countdown,
  hoarder,
  kennel,
  notes,
  sleeper,
  tally,
  unlucky,
  witness,
} from "./apps/turns.app.js";
import { appTest, appTests, Gate, nextEvent, refused, sharedApp, take, withShards } from "./running-app.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-e2e-files-"));
after(() => rmSync(folder, { recursive: true, force: true }));

for (const shards of [1, 2, 3]) {
  describe(withShards(shards), () => {
    const app = sharedApp("turns", shards);

    test("a turn that throws has no effect at all, and its retry sees the original message and the same message id", async () => {
      const records = app().egress(notes);
      const id = `unlucky ${shards}`;
      const reply = await app().ask(unlucky.at(id), { until: join(folder, id), parts: [1, 2] });
      assert.deepEqual(
        { attempts: reply.attempts, message: reply.message },
        { attempts: 1, message: { until: join(folder, id), parts: [1, 2] } },
      );
      const [{ record }] = await take(records, 1);
      assert.deepEqual(record, { from: id, messageId: reply.messageId });
      await app().drained();
      const { count, heard, callers } = await app().ask(tally.at(`of ${id}`), "read");
      assert.deepEqual({ count, heard, callers }, { count: 1, heard: [1], callers: [`turns/unlucky@${id}`] });
      await records.return?.();
    });

    test("an address is locked during an async turn, others go on, and order is kept", async () => {
      const gate = new Gate();
      try {
        const sent = [
          app().send(sleeper.at("a"), { slow: "1" }),
          app().send(sleeper.at("a"), { fast: "2" }),
          app().send(sleeper.at("a"), { slow: "3" }),
        ];
        const asked = app().ask(sleeper.at("a"), "read");
        assert.deepEqual(await gate.arrived(1), ["a 1"]);
        await app().send(sleeper.at("b"), { fast: "x" });
        assert.deepEqual(await app().ask(sleeper.at("b"), "read"), ["x"]);
        gate.open();
        assert.deepEqual(await gate.arrived(2), ["a 1", "a 3"]);
        gate.open();
        assert.deepEqual(await asked, ["1", "2", "3"]);
        await Promise.all(sent);
      } finally {
        gate.close();
      }
    });

    test("an async turn that fails late has no effect either", async () => {
      await refused(app().ask(sleeper.at("late"), "fail late"), "HF_FUNCTION_FAILED");
      await app().drained();
      assert.equal((await app().ask(tally.at("late"), "read")).count, 0);
    });

    test("a ctx that is used after its turn refuses everything", async () => {
      await app().send(hoarder.at("h"), "keep");
      const codes = await app().ask(hoarder.at("h"), "use");
      assert.deepEqual(codes, new Array(10).fill("HF_TURN_ENDED"));
    });

    test("a function may send to itself, and may answer a function", async () => {
      await app().send(countdown.at("c"), 500);
      await app().send(asker.at("q"), { ask: 21 });
      await app().drained();
      assert.equal(await app().ask(countdown.at("c"), "read"), 501);
      assert.deepEqual(await app().ask(asker.at("q"), "read"), { answer: 42, from: "turns/answerer@q" });
      assert.deepEqual(await app().ask(answerer.at("q"), { number: 4 }), { answer: 8 });
    });

    test("ids are any strings and none is another", async () => {
      const ids = [
        "__proto__",
        "constructor",
        "",
        "\0",
        "a\0",
        "a",
        "a/b",
        "a/b/",
        "\ud800",
        "\udfff",
        "\ufffd",
        "é",
        "e\u0301",
        "x".repeat(900),
        "x".repeat(899),
        "\u{1f600}",
      ];
      for (const [n, id] of ids.entries()) for (let time = 0; time <= n; time++) void app().send(tally.at(id), n);
      for (const [n, id] of ids.entries())
        assert.equal((await app().ask(tally.at(id), "read")).count, n + 1, JSON.stringify(id));
      assert.equal(Object.hasOwn(Object.prototype, "count"), false);
    });

    test("plain data of every kind survives the way into state and out, and nobody can change it from outside", async () => {
      const content = everyKind();
      await app().send(chest.at("k"), { set: content });
      (content.list as unknown[]).length = 0;
      await app().send(chest.at("k"), "spoil");
      assert.deepEqual(await app().ask(chest.at("k"), "read"), everyKind());
      await app().send(chest.at("k"), "clear");
      assert.equal(await app().ask(chest.at("k"), "read"), "nothing yet");
      for (const set of [
        undefined,
        null,
        0,
        -0,
        Number.NaN,
        "",
        new Date(5),
        new Map([[1, new Set([2])]]),
        new Float64Array([1.5]),
        2n ** 70n,
      ]) {
        await app().send(chest.at("k"), { set });
        assert.deepEqual(await app().ask(chest.at("k"), "read"), set);
      }
      for (let time = 0; time < 2; time++)
        assert.deepEqual(await app().ask(chest.at("i"), "read initial"), new Map([["a", [1]]]));
    });

    test("schemas check messages at the door, state at set and records at emit, and what they make of a value counts", async () => {
      const accepted = await app().ask(kennel.at("a"), { name: "Rex", age: "7" as unknown as number });
      assert.deepEqual(accepted, { message: { name: "Rex", age: 7 }, weight: 6 });
      const error = await refused(app().send(kennel.at("a"), { name: "", age: 2 }), "HF_SCHEMA", /name/);
      assert.equal(error.address, "turns/kennel@a");
      await refused(app().ask(kennel.at("a"), "Rex" as never), "HF_SCHEMA");
      const refusedState = await refused(app().ask(kennel.at("light"), { name: "Flea", age: 1 }), "HF_FUNCTION_FAILED");
      assert.match((refusedState.cause as Error).message, /HF_SCHEMA.*weight/);
      const refusedRecord = await refused(
        app().ask(kennel.at("noted"), { name: "noted", age: 3 }),
        "HF_FUNCTION_FAILED",
      );
      assert.match((refusedRecord.cause as Error).message, new RegExp(`HF_SCHEMA.*${checkedNotes.name}`));
    });
  });
}

describe("a message id", () => {
  appTests(
    "is the same in every attempt, after a restart of the threads too, and different for every message",
    async (lab) => {
      const app = await lab.start("turns", { turnRetryMs: 0 });
      const ids = new Set<string>();
      for (const end of ["throw", "exit", "nothing"] as const) {
        for (const id of ["a", "b"]) {
          const file = join(lab.folder, `${end} ${id}`);
          await app.send(witness.at(id), { file, end });
          const seen = readFileSync(file, "utf8").trim().split("\n");
          assert.equal(seen.length, end === "nothing" ? 1 : 2);
          assert.equal(new Set(seen).size, 1);
          ids.add(seen[0]);
        }
      }
      assert.equal(ids.size, 6);
    },
  );
});

describe("a function type that is gone", () => {
  appTest("leaves its messages waiting, and gets them when it is back", async (lab) => {
    const app = await lab.start("turns", { turnRetryMs: 0 });
    const parked = nextEvent(app, "parked");
    await app.send(sleeper.at("s"), "fail late");
    await app.send(sleeper.at("s"), { fast: "later" });
    await parked;
    await app.stop();
    const without = await lab.start("turns-without-sleeper", { shards: 3 });
    assert.equal(without.status().committed > 0, true);
    await without.drained();
    assert.equal(without.status().orphans, 2);
    await refused(without.send(sleeper.at("s"), { fast: "now" }), "HF_UNKNOWN_FUNCTION");
    await without.stop();
    const back = await lab.start("turns", { turnRetryMs: 0, shards: 2 });
    await back.drained();
    assert.deepEqual([back.status().orphans, back.status().parked], [0, 1]);
    assert.equal((await back.quarantine.messages(sleeper.at("s"))).length, 2);
  });
});

function everyKind(): Record<string, unknown> {
  return {
    list: [1, "two", [3n, null, undefined, true]],
    date: new Date(1e12),
    map: new Map<unknown, unknown>([[{ key: 1 }, new Set(["v"])]]),
    set: new Set([1, "1"]),
    bytes: new Uint8Array([1, 2, 3]),
    floats: new Float32Array([0.5, -1]),
    big: new BigInt64Array([-(2n ** 63n), 2n ** 63n - 1n]),
    bigint: -(10n ** 40n),
    numbers: [Number.MAX_SAFE_INTEGER, -0, Number.NaN, Number.NEGATIVE_INFINITY, 1e-300],
    text: "\0 \ud800 \u{1f600}",
    deep: { "": { constructor: { a: [] } } },
    long: "x".repeat(100_000),
  };
}
