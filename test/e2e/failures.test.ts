/** Failure policies: retries, quarantine and its commands, dead letters, ends, cancelled turns. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { type Application, defineApp, defineEgress, defineFunction, type FailurePolicy } from "../../lib/index.js";
import { careful, dead, type Order, recorder, strict, undertaker, writer } from "./apps/failing.app.js";
import { appTest, appTests, Gate, nextEvent, refused, take } from "./running-app.js";

/** Fails order 1 for good, with 2 and 3 behind it. */
async function quarantined(app: Application, until: string, id = "a"): Promise<void> {
  const parked = nextEvent(app, "parked");
  await app.send(careful.at(id), { n: 1, until });
  await parked;
  await app.send(careful.at(id), { n: 2 });
  await app.send(careful.at(id), { n: 3 });
}

describe("a quarantined address", () => {
  appTests("is listed, waits in order over restarts, and goes on when it is told to", async (lab) => {
    const until = join(lab.folder, "corrected");
    const app = await lab.start("failing");
    await quarantined(app, until);
    await app.send(careful.at("b"), { n: 7 });
    assert.deepEqual(await app.ask(careful.at("b"), "read"), [7]); // the others go on
    const [found, ...others] = await app.quarantine.list();
    assert.deepEqual(others, []);
    assert.equal(String(found.address), "failing/careful@a");
    assert.equal(found.error.name, "RangeError");
    assert.equal(found.error.message, "no 1");
    assert.deepEqual([found.attempts, found.waiting, (found.message as Order).n], [2, 2, 1]);
    assert.match(found.messageId, /^[0-9a-f]{24}$/);
    assert.ok(Math.abs(found.since.getTime() - Date.now()) < 60_000);
    await app.drained();
    assert.deepEqual([app.status().parked, app.status().inFlight], [1, 0]);
    await app.stop();

    const again = await lab.start("failing", { shards: 4 - lab.shards });
    await again.drained();
    assert.equal(again.status().parked, 1);
    await again.send(careful.at("a"), { n: 4 });
    const messages = (await again.quarantine.messages(careful.at("a"))) as Order[];
    assert.deepEqual(
      messages.map(({ n }) => n),
      [1, 2, 3, 4],
    );
    assert.equal((await again.quarantine.messages(careful.at("a"), { limit: 2 })).length, 2);
    assert.equal(await again.quarantine.retry(careful.at("b")), false);
    writeFileSync(until, "");
    assert.equal(await again.quarantine.retry(careful.at("a")), true);
    assert.deepEqual(await again.ask(careful.at("a"), "read"), [1, 2, 3, 4]);
    assert.deepEqual(await again.quarantine.list(), []);
    assert.equal(again.status().parked, 0);
  });

  appTest("is quarantined again when it fails again", async (lab) => {
    const app = await lab.start("failing");
    await quarantined(app, join(lab.folder, "never"));
    const parked = nextEvent(app, "parked");
    assert.equal(await app.quarantine.retry(careful.at("a")), true);
    await parked;
    const [found] = await app.quarantine.list();
    assert.deepEqual([found.attempts, found.waiting], [2, 2]);
  });

  appTests("loses only the message that failed to skip, for good", async (lab) => {
    const app = await lab.start("failing");
    await quarantined(app, join(lab.folder, "never"));
    assert.equal(await app.quarantine.skip(careful.at("a")), true);
    assert.equal(await app.quarantine.skip(careful.at("a")), false);
    assert.deepEqual(await app.ask(careful.at("a"), "read"), [2, 3]);
    await app.stop();
    const again = await lab.start("failing", { shards: 4 - lab.shards });
    assert.deepEqual(await again.ask(careful.at("a"), "read"), [2, 3]);
    assert.deepEqual(await again.quarantine.list(), []);
  });

  appTest("loses every message to purge, and whoever asked for a reply learns of it", async (lab) => {
    const app = await lab.start("failing");
    await quarantined(app, join(lab.folder, "never"));
    const asked = refused(app.ask(careful.at("a"), "read"), "HF_FUNCTION_FAILED", /purge/);
    while ((await app.quarantine.messages(careful.at("a"))).length < 4); // the ask is on its way
    assert.equal(await app.quarantine.purge(careful.at("a")), 4);
    await asked;
    assert.equal(await app.quarantine.purge(careful.at("a")), 0);
    assert.deepEqual(await app.ask(careful.at("a"), "read"), []);
  });

  appTest("can be mended while nothing runs", async (lab) => {
    const until = join(lab.folder, "corrected");
    const app = await lab.start("failing");
    await quarantined(app, until, "a");
    await quarantined(app, until, "b");
    await app.stop();
    const paused = await lab.start("failing", { paused: true, shards: 3 });
    assert.equal((await paused.quarantine.list()).length, 2);
    assert.equal(((await paused.quarantine.messages(careful.at("a"))) as Order[]).length, 3);
    writeFileSync(until, "");
    assert.equal(await paused.quarantine.retry(careful.at("a")), true);
    assert.equal(await paused.quarantine.skip(careful.at("b")), true);
    assert.deepEqual(await paused.quarantine.list(), []);
    await paused.stop();
    const again = await lab.start("failing");
    assert.deepEqual(await again.ask(careful.at("a"), "read"), [1, 2, 3]);
    assert.deepEqual(await again.ask(careful.at("b"), "read"), [2, 3]);
  });

  appTest("is named by an address only", async (lab) => {
    const app = await lab.start("failing");
    await refused(app.quarantine.retry({ type: "failing/careful", id: 7 } as never), "HF_BAD_ID");
    await refused(app.quarantine.skip(undefined as never), "HF_BAD_ID");
    await refused(app.quarantine.list({ limit: 0 }), "HF_BAD_OPTIONS");
    assert.equal(await app.quarantine.retry({ type: "no/function", id: "x" } as never), false);
  });
});

describe("a dead letter", () => {
  appTests("goes to a function once, in place of the message, and the address goes on", async (lab) => {
    const app = await lab.start("failing");
    const until = join(lab.folder, "never");
    await app.send(writer.at("a"), { n: 1 });
    const failed = await refused(app.ask(writer.at("a"), { n: 2, until }), "HF_FUNCTION_FAILED", /3 times/);
    assert.equal((failed.cause as Error).message, "no 2");
    await app.send(writer.at("a"), { n: 3 });
    assert.deepEqual(await app.ask(writer.at("a"), "read"), [1, 3]);
    await app.drained();
    await app.stop();
    const again = await lab.start("failing", { shards: 4 - lab.shards });
    const [letter, ...more] = await again.ask(undertaker.at("all"), "read");
    assert.deepEqual(more, []);
    assert.deepEqual(
      [letter.address, letter.message, letter.attempts, letter.error.name, letter.error.message],
      ["failing/writer@a", { n: 2, until }, 3, "RangeError", "no 2"],
    );
    assert.match(letter.messageId, /^[0-9a-f]{24}$/);
    assert.equal(again.status().parked, 0);
  });

  appTest("goes to an egress; a final error is not tried again, a turn that takes too long is", async (lab) => {
    const app = await lab.start("failing");
    const until = join(lab.folder, "never");
    const records = app.egress(dead);
    await app.send(recorder.at("a"), { n: 1, until });
    const [{ record }] = await take(records, 1);
    assert.deepEqual([record.message, record.attempts, record.error.message], [{ n: 1, until }, 1, "no 1"]);
    await app.send(recorder.at("a"), "never");
    const [{ record: late }] = await take(records, 1);
    assert.deepEqual([late.message, late.attempts, late.error.code], ["never", 2, "HF_TURN_TIMEOUT"]);
  });
});

describe("the policy to fail", () => {
  appTest("stops the application and keeps the message", async (lab) => {
    const until = join(lab.folder, "corrected");
    const app = await lab.start("failing");
    void app.send(strict.at("a"), { n: 1, until }).catch(() => {});
    const error = await refused(app.stopped, "HF_FUNCTION_FAILED", /failing\/strict@a/);
    assert.equal((error.cause as Error).message, "no 1");
    assert.equal(app.status().state, "failed");
    writeFileSync(until, "");
    const again = await lab.start("failing");
    assert.equal(await again.ask(strict.at("b"), "read").then((done) => done.length), 0);
    await again.drained();
  });
});

describe("a cancelled turn", () => {
  appTest("learns of it, has no effect and is not tried again", async (lab) => {
    const gate = new Gate();
    try {
      const app = await lab.start("failing");
      assert.equal(await app.cancel(careful.at("c")), false);
      await app.send(careful.at("c"), "wait");
      await app.send(careful.at("c"), { n: 2 });
      await gate.arrived(1);
      assert.equal(await app.cancel(careful.at("c")), true);
      const [found] = await app.quarantine.list();
      assert.deepEqual([found.message, found.attempts], ["wait", 1]);
      assert.equal((found.error as { code?: string }).code, "HF_CANCELLED");
      assert.equal(await app.quarantine.skip(careful.at("c")), true);
      assert.deepEqual(await app.ask(careful.at("c"), "read"), [2]);
    } finally {
      gate.close();
    }
  });
});

test("a failure policy that makes no sense is refused when it is declared", async () => {
  const policies: [unknown, RegExp][] = [
    [null, /must be an object/],
    [{ retries: 3 }, /no failure\.retries/],
    [{ retry: { maxAttempts: 0 } }, /maxAttempts/],
    [{ retry: { maxAttempts: 1.5 } }, /integer/],
    [{ retry: { backoffMs: -1 } }, /backoffMs/],
    [{ retry: { maxBackoffMs: "1s" } }, /maxBackoffMs/],
    [{ retry: { factor: 0.5 } }, /factor/],
    [{ retry: { jitter: 2 } }, /jitter/],
    [{ retry: { jitter: Number.NaN } }, /jitter/],
    [{ turnTimeoutMs: 0 }, /turnTimeoutMs/],
    [{ nonRetryable: "RangeError" }, /nonRetryable/],
    [{ after: "drop" }, /after/],
    [{ after: { deadLetter: {} } }, /after/],
    [{ after: { deadLetter: { type: "x/y", id: "1" } } }, /itself/],
  ];
  for (const [failure, what] of policies) {
    await refused(
      () => defineFunction("x/y", { failure: failure as FailurePolicy, receive: () => {} }),
      "HF_BAD_APP",
      what,
    );
  }
  const lost = defineFunction("x/y", {
    failure: { after: { deadLetter: defineEgress("x/dead") as never } },
    receive: () => {},
  });
  await refused(() => defineApp({ functions: [lost] }), "HF_BAD_APP", /x\/dead/);
});
