/** Operations and offloaded tasks with real threads: each ends once, with what it was started with. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";
import { type Application, defineTask } from "../../lib/index.js";
import { counter, misuser, type Result, type Wish, worker } from "./apps/operations.app.js";
import { appTest, appTests, Gate, nextEvent, refused } from "./running-app.js";

/** The results of an address, by the number of their operation, when nothing is pending any more. */
async function resultsOf(app: Application, id: string): Promise<ReadonlyMap<number, Result>> {
  await app.drained();
  const results = await app.ask(worker.at(id), "results");
  for (const { kind, metadata } of results) {
    assert.equal(kind, "operation");
    assert.deepEqual(metadata.at, new Date(metadata.n));
  }
  const byNumber = new Map(results.map((result) => [result.metadata.n, result]));
  assert.equal(byNumber.size, results.length, "each operation ends once");
  return byNumber;
}

async function endings(app: Application, id: string, wishes: readonly Wish[]): Promise<unknown[]> {
  for (const wish of wishes) await app.send(worker.at(id), wish);
  const results = await resultsOf(app, id);
  return [...results].sort(([a], [b]) => a - b).map(([, { status, value, error }]) => error ?? [status, value]);
}

describe("an operation", () => {
  appTests("ends with a value or an error, and its metadata", async (lab) => {
    const app = await lab.start("operations");
    const runs = ["value", "nothing", "fail", "throw", "odd", "large"] as const;
    const ends = await endings(
      app,
      "a",
      runs.map((run, n) => ({ run, n })),
    );
    const [value, nothing, failed, thrown, odd, large] = ends as { code: string; message: string }[];
    assert.deepEqual(value, ["success", { price: 7n }]);
    assert.deepEqual(nothing, ["success", undefined]);
    assert.deepEqual(failed, { name: "TypeError", message: "it failed", code: "E_FAILED" });
    assert.deepEqual(thrown, { name: "Error", message: "a string", code: undefined });
    assert.deepEqual([odd.code, large.code], ["HF_BAD_VALUE", "HF_TOO_LARGE"]);
    assert.match(odd.message, /value\.call/);
  });

  appTest("is started by a turn that applies, not by one that throws", async (lab) => {
    const app = await lab.start("operations", { turnRetryMs: 0 });
    assert.deepEqual(await endings(app, "a", [{ undo: join(lab.folder, "undone"), n: 1 }]), [["success", "started"]]);
  });

  appTest("that never ends is given up at its timeout", async (lab) => {
    const app = await lab.start("operations");
    const [end] = await endings(app, "a", [{ late: 20, n: 1 }]);
    assert.equal((end as { code: string }).code, "HF_OPERATION_TIMEOUT");
  });

  appTests("above the limit of its address lets the address wait, and nobody else", async (lab) => {
    const gate = new Gate();
    try {
      const app = await lab.start("operations");
      for (let n = 1; n <= 5; n++) await app.send(worker.at("full"), { run: "gate", n });
      const asked = app.ask(worker.at("full"), "results");
      await gate.arrived(2);
      for (let n = 0; n < 30; n++) await app.ask(counter.at(String(n)), "add");
      await app.send(worker.at("other"), { run: "gate", n: 1 });
      assert.deepEqual(await gate.arrived(3), ["full 1", "full 2", "other 1"]);
      assert.equal(app.status().parked, 0);
      gate.open();
      await gate.arrived(5);
      gate.open();
      await gate.arrived(6);
      gate.open();
      await asked;
      assert.deepEqual([...(await resultsOf(app, "full")).values()].map(({ value }) => value).sort(), [
        "full 1",
        "full 2",
        "full 3",
        "full 4",
        "full 5",
      ]);
    } finally {
      gate.close();
    }
  });

  appTests("that was under way when its thread ended is unknown, once", async (lab) => {
    const gate = new Gate();
    try {
      const app = await lab.start("operations");
      for (const id of ["a", "b", "c"]) await app.send(worker.at(id), { run: "gate", n: 1 });
      await gate.arrived(3);
      await app.checkpoint();
      for (let crashes = 0; crashes < 2; crashes++) {
        const restarted = nextEvent(app, "restarted");
        await app.send(worker.at("x"), { exit: join(lab.folder, `exit ${crashes}`) });
        await restarted;
        await app.checkpoint();
      }
      for (const id of ["a", "b", "c"]) {
        const [[n, { status, value, error }], ...more] = await resultsOf(app, id);
        assert.deepEqual(
          { n, status, value, error, more },
          {
            n: 1,
            status: "unknown",
            value: undefined,
            error: undefined,
            more: [],
          },
        );
      }
    } finally {
      gate.close();
    }
  });

  appTest("that is pending at a stop is unknown at the next start, with another shard count", async (lab) => {
    const gate = new Gate();
    try {
      const app = await lab.start("operations");
      const ids = Array.from({ length: 10 }, (_, n) => `i${n}`);
      for (const id of ids) await app.send(worker.at(id), { run: "gate", n: 1 });
      await gate.arrived(10);
      await app.stop();
      for (const shards of [3, 1]) {
        const again = await lab.start("operations", { shards });
        for (const id of ids) {
          const statuses = [...(await resultsOf(again, id)).values()].map(({ status }) => status);
          assert.deepEqual(statuses, ["unknown"]);
        }
        await again.stop();
      }
    } finally {
      gate.close();
    }
  });

  appTest("is refused when it cannot be one", async (lab) => {
    const app = await lab.start("operations");
    assert.deepEqual(await app.ask(misuser.at("m"), "try"), [
      "HF_BAD_OPTIONS",
      "HF_BAD_VALUE",
      "HF_TOO_LARGE",
      "HF_BAD_OPTIONS",
      "HF_BAD_OPTIONS",
      "HF_BAD_OPTIONS",
      "HF_BAD_OPTIONS",
      "HF_BAD_VALUE",
      "HF_OVERLOAD",
    ]);
    await app.drained(); // with the thousand that were allowed
  });
});

describe("an offloaded task", () => {
  appTests("ends with a value or an error, and its metadata", async (lab) => {
    const app = await lab.start("operations");
    const tasks = ["sum", "describe", "fail", "odd", "missing", "nowhere", "move"] as const;
    const ends = await endings(
      app,
      "a",
      tasks.map((task, n) => ({ task, n })),
    );
    const [sum, described, failed, odd, missing, nowhere, moved] = ends as { code: string }[];
    assert.deepEqual(sum, ["success", 6]);
    assert.deepEqual(described, ["success", { year: 1970, parts: new Map([["a", 5n]]) }]);
    assert.deepEqual(failed, { name: "RangeError", message: "no luck", code: "E_TASK" });
    assert.deepEqual([odd.code, missing.code, nowhere.code], ["HF_BAD_VALUE", "HF_BAD_MODULE", "HF_BAD_MODULE"]);
    assert.deepEqual(moved, ["success", 1_000_000]);
  });

  appTests("that computes leaves the shards free", async (lab) => {
    const app = await lab.start("operations");
    const [began, until] = [join(lab.folder, "began"), join(lab.folder, "until")];
    await app.send(worker.at("a"), { spin: { began, until }, n: 1 });
    while (!existsSync(began)) await app.ask(counter.at("early"), "add");
    for (let n = 1; n <= 200; n++) assert.equal(await app.ask(counter.at("a"), "add"), n);
    assert.deepEqual(await app.ask(worker.at("a"), "results"), []);
    writeFileSync(until, "");
    const [result] = (await resultsOf(app, "a")).values();
    assert.deepEqual([result.status, result.value], ["success", "spun"]);
  });

  appTest("that takes too long or is aborted ends, and so does its thread", async (lab) => {
    const app = await lab.start("operations");
    const until = join(lab.folder, "never");
    const ends = await endings(app, "a", [
      { spin: { began: join(lab.folder, "began 1"), until }, timeoutMs: 50, n: 1 },
      { abort: { began: join(lab.folder, "began 2"), until }, n: 2 },
      { task: "sum", n: 3 },
    ]);
    const [late, aborted, sum] = ends as { code: string; message: string }[];
    assert.equal(late.code, "HF_OPERATION_TIMEOUT");
    assert.equal(aborted.message, "enough");
    assert.deepEqual(sum, ["success", 6]);
  });

  appTest("has a module", async () => {
    await refused(() => defineTask("./relative.js"), "HF_BAD_APP", /file: URL/);
    await refused(() => defineTask(new URL("https://example.org/x.js")), "HF_BAD_APP");
    await refused(() => defineTask(new URL("file:///x.js"), ""), "HF_BAD_APP");
  });
});
