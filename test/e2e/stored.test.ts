/** The commands that look at what a data directory has: the real command over directories that an application left. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { careful } from "./apps/failing.app.js";
import { desk } from "./apps/time.app.js";
import { appTest, appUrl, type Lab, nextEvent } from "./running-app.js";

const cli = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

interface Said {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs `holdfast` to its end. */
function holdfast(...args: readonly string[]): Promise<Said> {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const said = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said.stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...said }));
  });
}

/** Leaves `a` in quarantine with order 1 and, behind it, 2 and 3. */
async function leaveQuarantined(lab: Lab): Promise<string> {
  const until = join(lab.folder, "corrected");
  const app = await lab.start("failing");
  const parked = nextEvent(app, "parked");
  await app.send(careful.at("a"), { n: 1, until });
  await parked;
  await app.send(careful.at("a"), { n: 2 });
  await app.send(careful.at("a"), { n: 3 });
  await app.stop();
  return until;
}

function quarantine(lab: Lab, action: string, ...more: readonly string[]): Promise<Said> {
  return holdfast("quarantine", action, fileURLToPath(appUrl("failing")), "--data", lab.dataDir, ...more);
}

const address = "failing/careful@a";

describe("holdfast quarantine", () => {
  appTest("lists who is quarantined, for people and for programs", async (lab) => {
    await leaveQuarantined(lab);
    const text = await quarantine(lab, "list");
    assert.deepEqual([text.code, text.stderr], [0, ""]);
    assert.match(text.stdout, /^failing\/careful@a {2}since \d{4}-\S+Z, 2 attempts, 2 more messages wait: no 1\n$/);
    const { code, stdout } = await quarantine(lab, "list", "--json");
    assert.equal(code, 0);
    const { since, messageId, ...rest } = JSON.parse(stdout);
    assert.deepEqual(rest, { address, error: "no 1", attempts: 2, waiting: 2 });
    assert.ok(Math.abs(Date.parse(since) - Date.now()) < 60_000);
    assert.match(messageId, /^[0-9a-f]{24}$/);
  });

  appTest("retry: the message runs at the next start, before those behind it", async (lab) => {
    const until = await leaveQuarantined(lab);
    writeFileSync(until, "");
    const said = await quarantine(lab, "retry", address);
    assert.deepEqual(said, { code: 0, stdout: `${address} is tried again at the next start\n`, stderr: "" });
    assert.equal((await quarantine(lab, "list")).stdout, "nothing is quarantined\n");
    const app = await lab.start("failing", { shards: 3 });
    assert.deepEqual(await app.ask(careful.at("a"), "read"), [1, 2, 3]);
  });

  appTest("skip: only the message that failed is gone", async (lab) => {
    await leaveQuarantined(lab);
    const said = await quarantine(lab, "skip", address, "--json");
    assert.deepEqual([said.code, JSON.parse(said.stdout)], [0, { address, action: "skip", done: true }]);
    const again = await quarantine(lab, "skip", address);
    assert.deepEqual([again.code, again.stdout], [0, `${address} is not quarantined\n`]);
    const app = await lab.start("failing");
    assert.deepEqual(await app.ask(careful.at("a"), "read"), [2, 3]);
  });

  appTest("purge: all messages are gone", async (lab) => {
    await leaveQuarantined(lab);
    const said = await quarantine(lab, "purge", address);
    assert.deepEqual(said, { code: 0, stdout: `${address}: 3 messages dropped\n`, stderr: "" });
    const app = await lab.start("failing");
    assert.deepEqual(await app.ask(careful.at("a"), "read"), []);
    assert.equal(app.status().parked, 0);
  });

  appTest("wrong usage changes nothing", async (lab) => {
    await leaveQuarantined(lab);
    for (const [args, what] of [
      [["skip"], /needs an address/],
      [["skip", "a"], /namespace\/name@id/],
      [["drop", address], /choices/],
    ] as const) {
      const [action, ...more] = args;
      const { code, stdout, stderr } = await quarantine(lab, action, ...more);
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, what);
    }
    const app = await lab.start("failing");
    const inUse = await quarantine(lab, "purge", address);
    assert.equal(inUse.code, 2);
    assert.match(inUse.stderr, /is in use by/);
    assert.equal((await app.quarantine.messages(careful.at("a"))).length, 3);
  });
});

describe("holdfast timers", () => {
  const hour = 3_600_000;

  function timers(lab: Lab, ...more: readonly string[]): Promise<Said> {
    return holdfast("timers", fileURLToPath(appUrl("time")), "--data", lab.dataDir, ...more);
  }

  appTest("lists what waits, the next one first, and sends nothing", async (lab) => {
    const app = await lab.start("time");
    await app.ask(desk.at("a"), {
      send: [
        { delayMs: 2 * hour, text: "later", token: "t" },
        { delayMs: hour, text: "sooner" },
      ],
    });
    const due = (await app.timers.list()).map((timer) => timer.due.toISOString());
    await app.stop();
    const text = await timers(lab);
    assert.deepEqual(
      [text.code, text.stderr, text.stdout],
      [0, "", `${due[0]} "time/desk@a" -> "time/box@box"\n${due[1]} "time/desk@a" -> "time/box@box" (token "t")\n`],
    );
    const one = await timers(lab, "--json", "--limit", "1");
    const { messageId, ...timer } = JSON.parse(one.stdout);
    assert.deepEqual(timer, { due: due[0], from: "time/desk@a", to: "time/box@box" });
    assert.match(messageId, /^[0-9a-f]{24}$/);
    const again = await lab.start("time", { shards: 3 });
    assert.equal((await again.timers.list()).length, 2);
  });

  appTest("says when nothing waits, and what is wrong with its arguments", async (lab) => {
    await (await lab.start("time")).stop();
    assert.deepEqual(await timers(lab), { code: 0, stdout: "no delayed messages\n", stderr: "" });
    const wrong = await timers(lab, "--limit", "0");
    assert.deepEqual([wrong.code, wrong.stdout], [2, ""]);
    assert.match(wrong.stderr, /integer from 1/);
  });
});
