/** Messages that kill the thread or the process that runs them, every time: they are found, and everything else goes on. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { pendingEndsMax, suspiciousStarts } from "../../lib/base/limits.js";
import type { Application, DeadLetter, HoldfastError } from "../../lib/index.js";
import { type Bite, eater, grave, mortal, patient, strict } from "./apps/poison.app.js";
import { appTest, appTests, type Lab, nextEvent, refused } from "./running-app.js";

type Parked = { readonly address: string; readonly error: HoldfastError };
const program = fileURLToPath(new URL("./apps/poison-process.js", import.meta.url));
const deathsUntilFound = 4;

describe("a message that kills its thread every time", () => {
  appTests("by exit is quarantined, everything else goes on, and retry runs it again", (lab) => found(lab, "exit"));

  appTest("by a loop is quarantined", (lab) => found(lab, "loop"));

  appTest("by exit in the middle of an async turn is quarantined", (lab) => found(lab, "exit later"));

  appTest("by memory is quarantined", (lab, t) => {
    if (Number(process.versions.node.split(".")[0]) >= 24) return skip(t, "Node aborts the process here");
    return found(lab, "memory");
  });

  appTest("does not take those with it whose async turns were pending beside it", async (lab) => {
    const app = await lab.start("poison", {}, {});
    const parked: string[] = [];
    app.on("parked", ({ address }) => parked.push(address));
    const until = join(lab.folder, "corrected");
    const waits = Array.from({ length: 8 }, (_, n) => app.send(patient.at(`p${n}`), { n, ms: 20 }));
    const first = nextEvent(app, "parked");
    const sent = app.send(eater.at("bad"), { n: 1, kills: { how: "exit later", until } });
    await first;
    await Promise.all([...waits, sent]);
    assert.deepEqual(await Promise.all(waits.map((_, n) => app.ask(patient.at(`p${n}`), "read"))), [
      ...waits.map((_, n) => [n]),
    ]);
    assert.deepEqual(parked, ["poison/eater@bad"]);
  });

  appTest("is a dead letter where that is the policy, and its address goes on", async (lab) => {
    const app = await lab.start("poison");
    const bite: Bite = { n: 1, kills: { how: "exit", until: join(lab.folder, "never") } };
    await app.send(mortal.at("m"), bite);
    await app.send(mortal.at("m"), { n: 2 });
    await app.drained();
    const [letter, ...others] = (await app.ask(grave.at("g"), "read")) as DeadLetter[];
    assert.deepEqual(others, []);
    assert.deepEqual([letter.address, letter.message, letter.error.code], ["poison/mortal@m", bite, "HF_KILLS_WORKER"]);
    assert.deepEqual(await app.quarantine.list(), []);
  });

  appTest(
    "stops the application where that is the policy, and runs when that is started with a corrected function",
    async (lab) => {
      const app = await lab.start("poison");
      const until = join(lab.folder, "corrected");
      await app.send(strict.at("s"), { n: 1, delayMs: 1_000, kills: { how: "exit", until } });
      const error = await refused(app.stopped, "HF_FUNCTION_FAILED", /poison\/strict@s/);
      assert.equal((error.cause as HoldfastError).code, "HF_KILLS_WORKER");
      writeFileSync(until, "");
      const corrected = await lab.start("poison");
      await corrected.drained();
      assert.deepEqual(await corrected.ask(strict.at("s"), "read"), [1]);
    },
  );

  appTest("is found again after each of several others", async (lab) => {
    const app = await lab.start("poison");
    const kills = { how: "exit", until: join(lab.folder, "never") } as const;
    const bad = ["b1", "b2", "b3", "b4"];
    await Promise.all(bad.map((id) => app.send(eater.at(id), { n: 1, kills })));
    await app.drained();
    assert.deepEqual((await app.quarantine.list()).map(({ address }) => address.id).sort(), bad);
    assert.deepEqual(await app.ask(eater.at("good"), "read"), []);
    assert.equal(app.status().state, "running");
  });
});

describe("a message that kills the process every time", () => {
  appTests("is quarantined after a few starts, and what came before and behind it is there", async (lab) => {
    const { until, end } = startUntilFound(lab, "process", deathsUntilFound);
    assert.deepEqual(end, { code: "HF_KILLS_WORKER", attempts: 2, waiting: 1, others: 41 });
    assert.equal(existsSync(join(lab.dataDir, "notes", "generation")), false, "after a clean stop nobody is suspected");
    const app = await lab.start("poison");
    writeFileSync(until, "");
    await app.quarantine.retry(eater.at("bad"));
    assert.deepEqual(await app.ask(eater.at("bad"), "read"), [1, 2]);
  });

  appTest(
    "in the middle of its async turn is quarantined after more of them, as anybody may have ended those",
    (lab) => {
      // Before it kills, a start may commit something: then that one was not in vain, and suspicion begins later.
      const fewest = suspiciousStarts - 1 + pendingEndsMax;
      const { end } = startUntilFound(lab, "process later", fewest, 5 * fewest);
      assert.deepEqual(end, { code: "HF_KILLS_WORKER", attempts: pendingEndsMax, waiting: 1, others: 41 });
      return Promise.resolve();
    },
  );
});

/** Starts the process of its own until it does not die, so many times: what it says at its end. */
function startUntilFound(
  lab: Lab,
  how: string,
  fewest: number,
  most = fewest,
): { readonly until: string; readonly end: unknown } {
  const until = join(lab.folder, "never");
  for (let died = 0; ; died++) {
    const args = [program, lab.dataDir, String(lab.shards), died === 0 ? "first" : "again", until, how];
    const run = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 30_000 });
    const said = run.stdout + run.stderr;
    assert.notEqual(run.signal, "SIGTERM", said);
    if (run.status === 0) {
      assert.ok(died >= fewest, `found after ${died}: ${said}`);
      return { until, end: JSON.parse(said.trim().split("\n").at(-1) ?? "") };
    }
    assert.ok(died < most, `it is not found: ${said}`);
  }
}

async function found(lab: Lab, how: NonNullable<Bite["kills"]>["how"]): Promise<void> {
  const until = join(lab.folder, "corrected");
  const app = await lab.start("poison", { watchdogMs: 400, ...(how === "memory" && { shardHeapMb: 80 }) });
  const parked = nextEvent(app, "parked") as Promise<Parked>;
  const sends: Promise<void>[] = [];
  for (let n = 0; n < 50; n++) sends.push(app.send(eater.at(`e${n % 20}`), { n }));
  sends.push(app.send(eater.at("bad"), { n: 1, kills: { how, until } }), app.send(eater.at("bad"), { n: 2 }));
  const { address, error } = await parked;
  assert.equal(address, "poison/eater@bad");
  assert.equal((error.cause as HoldfastError).code, "HF_KILLS_WORKER");
  await Promise.all(sends);
  await app.drained();
  await goesOn(app);
  assert.equal(app.status().restarts, deathsUntilFound);

  const diedAgain = nextEvent(app, "restarted");
  assert.equal(await app.quarantine.retry(eater.at("bad")), true);
  await diedAgain; // it kills once more, and is known
  await app.drained();
  await goesOn(app);
  writeFileSync(until, "");
  assert.equal(await app.quarantine.retry(eater.at("bad")), true);
  assert.deepEqual(await app.ask(eater.at("bad"), "read"), [1, 2]);
}

/** One address waits, and says why; the others have everything, and take more. */
async function goesOn(app: Application): Promise<void> {
  const [row, ...others] = await app.quarantine.list();
  assert.deepEqual(others, []);
  assert.deepEqual([String(row.address), row.waiting], ["poison/eater@bad", 1]);
  assert.ok(row.attempts >= 2);
  assert.equal((row.error as { code?: string }).code, "HF_KILLS_WORKER");
  assert.match(row.error.message, /\d times its thread or the process died.*shard \d: .*retry/);
  const done = await Promise.all(Array.from({ length: 20 }, (_, n) => app.ask(eater.at(`e${n}`), "read")));
  assert.deepEqual(
    done.flat().sort((a, b) => a - b),
    Array.from({ length: 50 }, (_, n) => n),
  );
}

function skip(t: { skip(why: string): void }, why: string): Promise<void> {
  t.skip(why);
  return Promise.resolve();
}
