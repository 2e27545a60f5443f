/** What is wrong at the start, or with the disk: one clear typed error that names the way out, and nothing is lost. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { type Application, cron, every, type HoldfastError, type StartOptions, start } from "../../lib/index.js";
import { account } from "./apps/bank.app.js";
import { careless, idle, keeper } from "./apps/careless.app.js";
import { echo, journal } from "./apps/desk.app.js";
import { appTest, appTests, appUrl, nextEvent, refused } from "./running-app.js";

const library = new URL("../../lib/index.js", import.meta.url).href;

describe("options", () => {
  test("that are wrong are named with what they may be", async () => {
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      [undefined, /dataDir/],
      [null, /dataDir/],
      ["./data", /dataDir/],
      [{}, /dataDir must be/],
      [{ dataDir: 7 }, /dataDir must be/],
      [{ dataDir: "" }, /dataDir must be/],
      [{ dataDir: "x", shard: 2 }, /no option shard;.*shards/],
      [{ dataDir: "x", shards: 0 }, /shards.*1 to 64.*0/],
      [{ dataDir: "x", shards: 65 }, /shards/],
      [{ dataDir: "x", shards: 1.5 }, /shards/],
      [{ dataDir: "x", shards: "2" }, /shards/],
      [{ dataDir: "x", keyGroups: 0 }, /keyGroups/],
      [{ dataDir: "x", checkpoint: { interval: 5 } }, /no option checkpoint\.interval;.*checkpoint\.intervalMs/],
      [{ dataDir: "x", checkpoint: { intervalMs: 0 } }, /checkpoint\.intervalMs/],
      [{ dataDir: "x", checkpoint: { intervalMs: Number.NaN } }, /checkpoint\.intervalMs/],
      [{ dataDir: "x", checkpoint: null }, /checkpoint/],
      [{ dataDir: "x", checkpoint: "fast" }, /checkpoint/],
      [{ dataDir: "x", turnAttempts: 0 }, /turnAttempts/],
      [{ dataDir: "x", turnRetryMs: -1 }, /turnRetryMs/],
      [{ dataDir: "x", turnTimeoutMs: "1s" }, /turnTimeoutMs/],
      [{ dataDir: "x", watchdogMs: 0 }, /watchdogMs/],
      [{ dataDir: "x", residentMax: Number.POSITIVE_INFINITY }, /residentMax/],
    ];
    for (const [options, said] of wrong)
      await refused(start(appUrl("desk"), options as StartOptions), "HF_BAD_OPTIONS", said);
  });

  test("and the module must be a file", async () => {
    const options = { dataDir: "x" };
    await refused(start(new URL("https://example.com/app.js"), options), "HF_BAD_OPTIONS", /file:/);
    await refused(start(new URL("file://elsewhere/app.js"), options), "HF_BAD_OPTIONS", /file/);
    await refused(start("file://elsewhere/app.js", options), "HF_BAD_OPTIONS", /file/);
    await refused(start("", options), "HF_BAD_OPTIONS", /new URL/);
    await refused(start(undefined as never, options), "HF_BAD_OPTIONS", /new URL/);
    await refused(start(7 as never, options), "HF_BAD_OPTIONS");
  });
});

describe("modules", () => {
  appTest("that are no applications are refused with what is missing, before anything is written", async (lab) => {
    await refused(lab.start("not-there"), "HF_BAD_MODULE", /no application module .*not-there/);
    await refused(lab.start("no-default"), "HF_BAD_MODULE", /no default export.*export default defineApp/);
    await refused(lab.start("not-an-app"), "HF_BAD_MODULE", /not an application.*export default defineApp/);
    const error = await refused(lab.start("throws"), "HF_BAD_MODULE", /no credentials for the greeting service/);
    assert.ok(error.cause instanceof Error);
    await refused(lab.start("doubled"), "HF_BAD_APP", /desk\/journal is given twice/);
    await refused(start(lab.folder, { dataDir: lab.dataDir }), "HF_BAD_MODULE");
    const broken = join(lab.folder, "broken.mjs");
    writeFileSync(broken, "export default {");
    await refused(start(broken, { dataDir: lab.dataDir }), "HF_BAD_MODULE", /broken\.mjs/);
    assert.deepEqual(readdirSync(lab.folder), ["broken.mjs"]);
  });

  appTest("that only load in the main thread are refused, and the directory stays usable", async (lab) => {
    await refused(lab.start("main-only"), "HF_BAD_MODULE", /not in a worker/);
    const app = await lab.start("desk");
    assert.equal(await app.ask(echo.at("x"), { value: 1 }), 1);
  });

  appTest("in TypeScript run as they are", async (lab) => {
    const module = join(lab.folder, "typed.app.ts");
    writeFileSync(
      module,
      `import { defineApp, defineFunction, type, value } from ${JSON.stringify(library)};
       enum Kind { Add = 3 } // needs more than types taken away
       export const counter = defineFunction("typed/counter", {
         state: { total: value<number>(0) },
         reply: type<number>(),
         receive(ctx, message: { readonly add: number }) { ctx.reply(ctx.state.total.update((n: number): number => n + message.add * Kind.Add)); },
       });
       export default defineApp({ functions: [counter] });`,
    );
    await using app = await start(module, { dataDir: lab.dataDir, shards: 2 });
    assert.equal(await app.ask({ type: "typed/counter", id: "x" } as never, { add: 2 } as never), 6);
  });
});

describe("in a turn", () => {
  appTests(
    "everything bad gets a code, the address and a way out, and nothing good of the turn is lost",
    async (lab) => {
      const app = await lab.start("careless");
      await app.send(careless.at("c"), "misbehave");
      await app.drained();
      const { said, any } = await app.ask(careless.at("c"), "read");
      const expected: { readonly [what: string]: readonly [string, RegExp] } = {
        "a negative delay": ["HF_BAD_VALUE", /milliseconds, 0 or more, not -1/],
        "a delay of NaN": ["HF_BAD_VALUE", /milliseconds, 0 or more, not NaN/],
        "an infinite delay": ["HF_BAD_VALUE", /a delay of Infinity ms ends after the last date/],
        "a delay that is text": ["HF_BAD_VALUE", /milliseconds, 0 or more, not string/],
        "a date that is none": ["HF_BAD_VALUE", /valid Date/],
        "a token of 1 MB": ["HF_BAD_VALUE", /at most 1000 code units.*hash it/],
        "a cyclic message": ["HF_BAD_VALUE", /message\.self/],
        "a cyclic message for later": ["HF_BAD_VALUE", /message\.self/],
        "a cyclic question": ["HF_BAD_VALUE", /message\.self/],
        "cyclic state": ["HF_BAD_VALUE", /state any\.self/],
        "cyclic metadata": ["HF_BAD_VALUE", /metadata\.self/],
        "a message to an unknown function": ["HF_UNKNOWN_FUNCTION", /careless\/nobody.*defineApp/],
        "a message for later to an unknown function": ["HF_UNKNOWN_FUNCTION", /careless\/nobody.*defineApp/],
        "a question to an unknown function": ["HF_UNKNOWN_FUNCTION", /careless\/nobody.*defineApp/],
        "a reply to nobody": ["HF_NO_CALLER", /nobody waits for a reply/],
        "state that lives for no time": ["HF_BAD_APP", /ttl\.ms/],
      };
      assert.deepEqual(Object.keys(said), Object.keys(expected));
      for (const [what, [code, text]] of Object.entries(expected)) {
        assert.equal(said[what].code, code, `${what}: ${said[what].message}`);
        assert.match(said[what].message, text, what);
      }
      assert.equal(any, "kept");
      assert.deepEqual(await app.ask(keeper.at("k"), "read"), ["before", "after"]);
      assert.deepEqual(await app.timers.list(), []);
      assert.deepEqual(await app.quarantine.list(), []);
    },
  );

  appTests("a promise that never settles ends with its time, and holds nobody else up", async (lab) => {
    const app = await lab.start("careless");
    const parked = nextEvent(app, "parked") as Promise<{ address: string; error: { cause: { code: string } } }>;
    await app.send(idle.at("i"), "wait for ever");
    await app.send(keeper.at("k"), "beside");
    assert.deepEqual(await app.ask(keeper.at("k"), "read"), ["beside"]);
    const { address, error } = await parked;
    assert.deepEqual([address, error.cause.code], ["careless/idle@i", "HF_TURN_TIMEOUT"]);
    assert.equal((await app.quarantine.list())[0].message, "wait for ever");
  });
});

describe("from outside", () => {
  appTests("bad messages, addresses and schedules are refused before anything happens", async (lab) => {
    const app = await lab.start("careless");
    const cyclic: { self?: unknown } = {};
    cyclic.self = cyclic;
    const nobody = { type: "careless/nobody", id: "x" } as never;
    const to = keeper.at("k");
    await refused(app.send(to, cyclic as never), "HF_BAD_VALUE", /message\.self/);
    await refused(app.ask(to, cyclic as never), "HF_BAD_VALUE", /message\.self/);
    await refused(app.send(nobody, "bad" as never), "HF_UNKNOWN_FUNCTION", /defineApp/);
    await refused(app.ask(nobody, "bad" as never), "HF_UNKNOWN_FUNCTION", /defineApp/);
    await refused(app.ask(to, "read", { timeoutMs: Number.NaN }), "HF_BAD_OPTIONS", /timeoutMs/);
    const schedule = { to, message: "tick" };
    for (const make of [
      () => app.schedules.add(cron("s", { expression: "* * * * *", timeZone: "No/Where", ...schedule })),
      () => app.schedules.add(cron("s", { expression: "every day", ...schedule })),
      () => app.schedules.add(every("s", { intervalMs: 0, ...schedule })),
      () => app.schedules.add(every("s", { intervalMs: Number.NaN, ...schedule })),
      () => app.schedules.add(every("s", { intervalMs: 1_000, to, message: cyclic as never })),
    ]) {
      await assert.rejects(
        async () => make(),
        (error: HoldfastError) => /^HF_BAD_(APP|VALUE|OPTIONS)$/.test(error.code),
      );
    }
    assert.deepEqual(await app.schedules.list(), []);
    assert.deepEqual(await app.ask(to, "read"), []);
  });
});

describe("data directories", () => {
  appTest("in use are refused with the pid of who uses them, in the same and in another process", async (lab) => {
    const app = await lab.start("desk");
    await app.send(journal.at("a"), { line: 1 });
    await refused(lab.start("desk"), "HF_LOCKED", /this process.*stop it first, or use another dataDir/);
    const code = `
      import { start } from ${JSON.stringify(library)};
      try { await start(new URL(${JSON.stringify(appUrl("desk").href)}), { dataDir: ${JSON.stringify(lab.dataDir)}, shards: 3 }); }
      catch ({ code, message }) { console.log(JSON.stringify({ code, message })); }`;
    const said = JSON.parse(
      execFileSync(process.execPath, ["--input-type=module", "-e", code], { encoding: "utf8" }),
    ) as { code: string; message: string };
    assert.equal(said.code, "HF_LOCKED");
    assert.match(said.message, new RegExp(`process ${process.pid}\\b`));
    assert.deepEqual(await app.ask(journal.at("a"), "read"), [1]);
  });

  appTest("of another application are refused, and are still good for their own", async (lab) => {
    await (await lab.start("bank")).stop();
    await refused(lab.start("desk"), "HF_OTHER_APP", /another application \("bank"\).*another data directory/);
    const bank = await lab.start("bank");
    assert.deepEqual(await bank.ask(account.at("1"), "read"), { balance: 0, passed: 0 });
  });

  appTest("that cannot be made or written are refused", async (lab) => {
    const file = join(lab.folder, "file");
    writeFileSync(file, "not a directory");
    for (const dataDir of [file, join(file, "below")]) {
      await refused(lab.start("desk", { dataDir }), "HF_DATA_DIR", /writable|another/);
      await refused(start(appUrl("desk"), { dataDir }), "HF_DATA_DIR", /writable|another/);
    }
  });
});

describe("a full disk", () => {
  appTest("is said, nothing that was acknowledged is lost, and it goes on when can grow again", async (lab, t) => {
    mkdirSync(lab.dataDir);
    if (!mount(["-t", "tmpfs", "-o", "size=8m", "tmpfs", lab.dataDir]))
      return t.skip("this system does not let us mount a small disk");
    try {
      const app = await lab.start("desk"); // what the log takes in advance fills it
      const freed = new Promise<void>((resolve) => {
        app.on("warning", ({ message }) => {
          if (/can grow again/.test(message)) resolve();
        });
      });
      await refused(app.send(journal.at("a"), { line: 1 }), "HF_DISK_FULL", /no space left.*make room/);
      mount(["-o", "remount,size=16m", lab.dataDir]);
      await freed;
      const kept = await fill(app);
      const error = await refused(app.stopped, "HF_DISK_FULL", /no space left|No space left|base .* failed/);
      assert.equal(app.status().state, "failed");
      await refused(app.send(journal.at("a"), { line: 1 }), "HF_DISK_FULL");
      assert.ok(error.message.length > 40);
      await refused(lab.start("desk"), "HF_DISK_FULL");

      mount(["-o", "remount,size=128m", lab.dataDir]);
      const again = await lab.start("desk");
      for (const id of kept) assert.equal((await again.ask(journal.at(id), "read")).length, 1);
      await again.stop();
    } finally {
      execFileSync("umount", ["-l", lab.dataDir]);
    }
  });
});

/** Sends large state until it is refused; returns the addresses whose message was acknowledged. */
async function fill(app: Application): Promise<string[]> {
  const kept: string[] = [];
  for (;;) {
    const id = `a${kept.length}`;
    try {
      await app.send(journal.at(id), { line: randomBytes(250_000) as never });
      kept.push(id);
    } catch {
      return kept;
    }
  }
}

function mount(args: readonly string[]): boolean {
  try {
    execFileSync("mount", args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
