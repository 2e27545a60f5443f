/** The command line with a fake application, and the way out of the process with a real one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import { type ErrorCode, HoldfastError } from "../../lib/base/errors.js";
import { durationOf, Progress } from "../../lib/cli/progress.js";
import { type CliPorts, type RunningApplication, type RunStatus, runCli } from "../../lib/cli/run.js";
import type { PendingTimer } from "../../lib/cli/timers.js";
import type { VerifyReport } from "../../lib/cli/verify.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-cli-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const app = join(folder, "some.app.js");
writeFileSync(app, "");
const data = join(folder, "data");

const idle: RunStatus = {
  state: "running",
  shards: 2,
  committed: 7,
  turns: 30,
  ingested: 10,
  rejected: 0,
  parked: 0,
  orphans: 0,
  restarts: 0,
  exhausted: true,
};

describe("wrong usage exits with 2 and starts nothing", () => {
  const cases: [string, string[], RegExp][] = [
    ["no command", [], /Usage: holdfast/],
    ["an unknown command", ["rum"], /unknown command 'rum'.*\n.*run/],
    ["no module", ["run", "--data", data], /missing required argument 'module'/],
    ["no --data", ["run", app], /--data <directory>' not specified/],
    ["an empty --data", ["run", app, "--data", ""], /path of a directory/],
    ["a misspelt option", ["run", app, "--data", data, "--shard", "2"], /unknown option '--shard'\n.*--shards/],
    ["--shards 0", ["run", app, "--data", data, "--shards", "0"], /'0' is invalid.*from 1 to 64/],
    ["--shards abc", ["run", app, "--data", data, "--shards", "abc"], /'abc' is invalid.*from 1 to 64/],
    ["--shards 1.5", ["run", app, "--data", data, "--shards", "1.5"], /from 1 to 64/],
    ["--shards 65", ["run", app, "--data", data, "--shards", "65"], /from 1 to 64/],
    ["--recover-to last", ["run", app, "--data", data, "--recover-to", "last"], /epoch that the refused start named/],
    ["verify without a directory", ["verify"], /missing required argument 'directory'/],
    ["too many arguments", ["run", app, app, "--data", data], /too many arguments/],
    [
      "a module that does not exist",
      ["run", "nowhere.js", "--data", data],
      /^HF_BAD_MODULE: .*nowhere\.js does not exist/,
    ],
    ["a folder as the module", ["run", folder, "--data", data], /HF_BAD_MODULE: .*is not a file/],
  ];
  for (const [what, argv, said] of cases) {
    test(what, async () => {
      const cli = new FakeCli();
      assert.equal(await cli.run(argv), 2);
      assert.match(cli.err, said);
      assert.equal(cli.out, "");
      assert.equal(cli.started, undefined);
    });
  }

  const configuration: ErrorCode[] = [
    "HF_LOCKED",
    "HF_OTHER_APP",
    "HF_FORMAT",
    "HF_DATA_DIR",
    "HF_BAD_MODULE",
    "HF_BAD_APP",
  ];
  for (const code of configuration) {
    test(`a start that fails with ${code}`, async () => {
      const cli = new FakeCli();
      cli.startFailure = new HoldfastError(code, "do this", { cause: new Error("the reason") });
      assert.equal(await cli.run(["run", app, "--data", data]), 2);
      assert.equal(cli.err, `${code}: do this\n  caused by: the reason\n`);
    });
  }
});

describe("help", () => {
  test("--version prints the version", async () => {
    const cli = new FakeCli();
    assert.equal(await cli.run(["--version"]), 0);
    assert.equal(cli.out, "1.2.3\n");
  });

  test("help has examples and the exit codes", async () => {
    const cli = new FakeCli();
    assert.equal(await cli.run(["run", "--help"]), 0);
    for (const part of ["Examples:", "Exit codes:", "--exit-when-done", "--no-progress"])
      assert.ok(cli.out.includes(part), part);
  });
});

describe("a run", () => {
  test("ends with 0 when everything is drained, after a stop, and says so on stdout", async () => {
    const cli = new FakeCli();
    const running = cli.run(["run", app, "--data", data, "--shards", "2", "--exit-when-done"]);
    cli.application.drain();
    assert.equal(await running, 0);
    assert.equal(cli.application.stops, 1);
    assert.deepEqual(cli.started?.options, { dataDir: data, shards: 2 });
    assert.match(cli.out, /^done: 10 records, 30 turns, epoch 7 committed, 0 rejected, 0 parked in /);
  });

  test("ends with 3 when addresses are parked or messages have no function", async () => {
    for (const left of [{ parked: 2 }, { orphans: 1 }]) {
      const cli = new FakeCli();
      cli.application.now = { ...idle, ...left };
      const running = cli.run(["run", app, "--data", data, "--exit-when-done"]);
      cli.application.drain();
      assert.equal(await running, 3);
      assert.match(cli.err, /wait in .*(start again|quarantine retry)/);
    }
  });

  test("without --exit-when-done goes on until a signal, which drains and ends with 0", async () => {
    const cli = new FakeCli();
    cli.application.now = { ...idle, parked: 1 };
    const running = cli.run(["run", app, "--data", data]);
    cli.application.drain();
    await cli.began;
    assert.equal(cli.application.stops, 0);
    cli.signal("SIGTERM");
    assert.equal(await running, 0);
    assert.equal(cli.application.stops, 1);
    assert.match(cli.out, /^stopped by SIGTERM: /);
  });

  test("a signal while it starts stops it as soon as it runs", async () => {
    const cli = new FakeCli();
    const running = cli.run(["run", app, "--data", data]);
    cli.signal("SIGINT");
    assert.equal(await running, 0);
    assert.equal(cli.application.stops, 1);
  });

  test("a second signal exits with 1 at once, a third when it is over does nothing", async () => {
    const cli = new FakeCli();
    const running = cli.run(["run", app, "--data", data]);
    cli.signal("SIGINT");
    cli.signal("SIGINT");
    assert.deepEqual(cli.exits, [1]);
    await running;
    cli.signal("SIGINT");
    assert.deepEqual(cli.exits, [1]);
  });

  test("a failure ends with 1 and prints code, message and causes, no stack", async () => {
    const cli = new FakeCli();
    const running = cli.run(["run", app, "--data", data, "--exit-when-done"]);
    await cli.began;
    const cause = new Error("outer", { cause: new Error("inner") });
    cli.application.fail(new HoldfastError("HF_BAD_RECORD", "mend it", { cause }));
    assert.equal(await running, 1);
    assert.match(cli.err, /HF_BAD_RECORD: mend it\n {2}caused by: outer\n {2}caused by: inner\n$/);
    assert.doesNotMatch(cli.err, /\n\s+at /);
    assert.equal(cli.out, "");
  });

  test("HOLDFAST_DEBUG=1 prints stacks", async () => {
    const cli = new FakeCli({ HOLDFAST_DEBUG: "1" });
    cli.startFailure = new HoldfastError("HF_IO", "disk", { cause: new Error("EIO") });
    assert.equal(await cli.run(["run", app, "--data", data]), 1);
    assert.match(cli.err, /HF_IO: disk\n\s+at [\s\S]*caused by: Error: EIO\n\s+at /);
  });

  test("what fails while it stops ends with 1", async () => {
    const cli = new FakeCli();
    cli.application.stopFailure = new HoldfastError("HF_DISK_FULL", "make room");
    const running = cli.run(["run", app, "--data", data, "--exit-when-done"]);
    cli.application.drain();
    assert.equal(await running, 1);
    assert.match(cli.err, /HF_DISK_FULL: make room/);
  });

  test("prints five rejected records and then says that it only counts", async () => {
    const cli = new FakeCli();
    const running = cli.run(["run", app, "--data", data, "--exit-when-done"]);
    await cli.began;
    for (let i = 0; i < 9; i++)
      cli.application.emit("rejected", { ingress: "in", where: `byte ${i}`, error: new Error("no\nJSON") });
    cli.application.emit("parked", { address: "a/b@c", error: { message: "HF_FUNCTION_FAILED: it threw" } });
    cli.application.emit("restarted", { reason: new Error("out of memory"), attempt: 1 });
    cli.application.drain();
    await running;
    const warnings = cli.err.split("\n").filter((line) => line.startsWith("warning: "));
    assert.equal(warnings[0], "warning: rejected in, byte 0: no JSON");
    assert.equal(warnings.filter((line) => line.includes("rejected in, byte")).length, 5);
    assert.match(warnings[5] ?? "", /only counted/);
    assert.equal(warnings[6], "warning: parked a/b@c: HF_FUNCTION_FAILED: it threw");
    assert.match(warnings[7] ?? "", /restarted.*attempt 1.*out of memory/);
  });
});

describe("--json", () => {
  test("prints nothing but objects on stdout, the last one done", async () => {
    const cli = new FakeCli();
    const running = cli.run(["run", app, "--data", data, "--exit-when-done", "--json"]);
    await cli.began;
    cli.application.emit("rejected", { ingress: "in", where: "byte 0", error: new Error("no") });
    cli.application.drain();
    assert.equal(await running, 0);
    const objects = cli.out
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual(objects[0], { event: "rejected", ingress: "in", where: "byte 0", error: "no" });
    const { event, exitCode, committed, ingested, turns, parked } = objects.at(-1) ?? {};
    assert.deepEqual(
      { event, exitCode, committed, ingested, turns, parked },
      { event: "done", exitCode: 0, committed: 7, ingested: 10, turns: 30, parked: 0 },
    );
    assert.equal(cli.err, "");
  });

  test("a failure is the last object, and is on stderr too", async () => {
    const cli = new FakeCli();
    cli.startFailure = new HoldfastError("HF_LOCKED", "another process");
    assert.equal(await cli.run(["run", app, "--data", data, "--json"]), 2);
    const { event, exitCode, code } = JSON.parse(cli.out) as Record<string, unknown>;
    assert.deepEqual({ event, exitCode, code }, { event: "failed", exitCode: 2, code: "HF_LOCKED" });
    assert.match(cli.err, /HF_LOCKED/);
  });
});

describe("progress", () => {
  test("on a terminal one row is rewritten, makes room for warnings and is gone at the end", () => {
    const cli = new FakeCli({ NO_COLOR: "1" });
    const progress = new Progress("live", cli.ports);
    progress.begin(() => ({ ...idle, rejected: 1 }));
    cli.now += 2_000;
    progress.show();
    progress.note("warning: x", true);
    progress.end();
    assert.match(cli.err, /^\r0\.0 s {2}epoch 7 {2}10 records \(0\/s\)/);
    assert.ok(cli.err.includes("\r\x1b[Kwarning: x\n\r"));
    assert.ok(cli.err.endsWith("\r\x1b[K"));
    assert.ok(!cli.err.includes("\x1b[33m"), "no colour with NO_COLOR");
    for (const row of cli.err.split("\r")) assert.ok(row.replace("\x1b[K", "").length < 60, "fits the row");
  });

  test("rates come from the counters of the last second or more", () => {
    const cli = new FakeCli();
    const progress = new Progress("plain", cli.ports);
    let status = idle;
    progress.begin(() => status);
    status = { ...idle, ingested: 2_010, turns: 6_030 };
    cli.now += 2_000;
    progress.show();
    status = { ...idle, ingested: 0, turns: 0 }; // workers were restarted
    cli.now += 2_000;
    progress.show();
    progress.end();
    const [first, second] = cli.err.split("\n");
    assert.match(first ?? "", /2\.0 s.*2,010 records \(1,000\/s\) {2}3,000 turns\/s/);
    assert.match(second ?? "", /\(0\/s\) {2}0 turns\/s/);
  });

  test("durations are short", () => {
    assert.deepEqual([0, 1_240, 59_949, 59_950, 725_000, 3_607_000].map(durationOf), [
      "0.0 s",
      "1.2 s",
      "59.9 s",
      "01:00",
      "12:05",
      "1:00:07",
    ]);
  });
});

describe("holdfast verify", () => {
  const files = [
    { path: "CURRENT", checked: "names MANIFEST-3", damage: [] },
    { path: "log/000000000001", checked: "every record", damage: ["offset 8: the record does not verify"] },
  ];

  test("prints file by file what was checked and what is wrong, and the way out", async () => {
    const cli = new FakeCli();
    cli.report = { ...cli.report, sound: false, lastGood: 3, files, notes: ["state/1 is of another layout"] };
    assert.equal(await cli.run(["verify", data]), 1);
    assert.deepEqual(cli.out.trimEnd().split("\n"), [
      "sound   CURRENT: names MANIFEST-3",
      "DAMAGED log/000000000001: every record",
      "        offset 8: the record does not verify",
      "note    state/1 is of another layout",
      "damaged: the last good epoch is 3 (holdfast run --recover-to 3)",
    ]);
    assert.equal(cli.started, undefined);
  });

  test("exits with 0 when all is sound, prints JSON, and says when nothing can be recovered", async () => {
    const sound = new FakeCli();
    assert.equal(await sound.run(["verify", data]), 0);
    assert.match(sound.out, /^sound: .*epoch 7$/m);
    const json = new FakeCli();
    assert.equal(await json.run(["verify", "--json", data]), 0);
    assert.deepEqual(JSON.parse(json.out), { ...JSON.parse(JSON.stringify(json.report)), dataDir: data });
    const lost = new FakeCli();
    lost.report = { ...lost.report, sound: false };
    assert.equal(await lost.run(["verify", data]), 1);
    assert.match(lost.out, /no epoch can be recovered/);
  });
});

test("--recover-to goes to the start", async () => {
  const cli = new FakeCli();
  const ended = cli.run(["run", app, "--data", data, "--recover-to", "41"]);
  await cli.began;
  cli.signal("SIGTERM");
  assert.equal(await ended, 0);
  assert.deepEqual(cli.started?.options, { dataDir: data, recoverTo: 41 });
});

describe("holdfast timers", () => {
  const timer = { due: new Date(0), from: "a/b@\n", to: "a/c@1", token: "t", messageId: "00" };

  test("lists what waits, without running the application, and stops it", async () => {
    const cli = new FakeCli();
    cli.application.pending = [timer, { ...timer, token: undefined }, timer];
    assert.equal(await runCli(["timers", app, "--data", data, "--limit", "2"], cli.ports), 0);
    const line = '1970-01-01T00:00:00.000Z "a/b@\\n" -> "a/c@1"';
    assert.equal(cli.out, `${line} (token "t")\n${line}\n`);
    assert.deepEqual(cli.started?.options, { dataDir: data, paused: true });
    assert.equal(cli.application.stops, 1);
  });

  test("prints JSON lines, says when nothing waits, and refuses a bad limit", async () => {
    const json = new FakeCli();
    json.application.pending = [timer];
    assert.equal(await runCli(["timers", app, "--data", data, "--json"], json.ports), 0);
    assert.deepEqual(JSON.parse(json.out), { ...timer, due: timer.due.toISOString() });
    const empty = new FakeCli();
    assert.equal(await runCli(["timers", app, "--data", data], empty.ports), 0);
    assert.equal(empty.out, "no delayed messages\n");
    const wrong = new FakeCli();
    assert.equal(await runCli(["timers", app, "--data", data, "--limit", "0"], wrong.ports), 2);
    assert.match(wrong.err, /from 1 to 10000/);
  });
});

describe("leaving the process", () => {
  test("returns the code once the event loop is empty", async () => {
    assert.deepEqual(await leaving("leave(3)"), [3, null]);
  });

  test("ends a process that something keeps alive", async () => {
    assert.deepEqual(await leaving("setInterval(() => {}, 1000); leave(3)"), [3, null]);
  });

  test("kills a process whose exit hangs", async () => {
    const hang = 'process.on("exit", () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));';
    assert.deepEqual(await leaving(`${hang} leaveNow(1, 300)`), [null, "SIGKILL"]);
  });
});

/** Exit code and signal of a process that runs `code`. */
function leaving(code: string): Promise<[number | null, string | null]> {
  const module = JSON.stringify(new URL("../../lib/cli/leave.js", import.meta.url).href);
  const script = `import { leave, leaveNow } from ${module}; ${code};`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.on("error", reject).on("exit", (exitCode, signal) => resolve([exitCode, signal]));
  });
}

class FakeApplication implements RunningApplication {
  now = idle;
  pending: PendingTimer[] = [];
  readonly timers = { list: async ({ limit }: { limit: number }) => this.pending.slice(0, limit) };
  stops = 0;
  stopFailure: Error | undefined;
  readonly stopped: Promise<void>;
  readonly #listeners = new Map<string, (event: never) => void>();
  readonly #drained: Promise<void>;
  drain!: () => void;
  fail!: (error: Error) => void;
  #end!: () => void;
  readonly #began: () => void;

  constructor(began: () => void) {
    this.#began = began;
    this.#drained = new Promise((resolve) => {
      this.drain = resolve;
    });
    this.stopped = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.fail = reject;
    });
    this.stopped.catch(() => {});
  }

  status(): RunStatus {
    this.#began();
    return this.now;
  }

  drained(): Promise<void> {
    return this.#drained;
  }

  async stop(): Promise<void> {
    this.stops++;
    if (this.stopFailure !== undefined) this.fail(this.stopFailure);
    this.#end();
    await this.stopped;
  }

  on(event: string, listener: (event: never) => void): this {
    this.#listeners.set(event, listener);
    return this;
  }

  emit(event: string, payload: object): void {
    this.#listeners.get(event)?.(payload as never);
  }
}

class FakeCli {
  out = "";
  err = "";
  now = 0;
  exits: number[] = [];
  started: { module: URL; options: object } | undefined;
  startFailure: Error | undefined;
  report: VerifyReport = { dataDir: "", sound: true, committed: 7, lastGood: undefined, files: [], notes: [] };
  readonly application: FakeApplication;
  /** Resolves when the application is being attended to. */
  readonly began: Promise<void>;
  readonly ports: CliPorts;
  #onSignal: (signal: string) => void = () => {};

  constructor(env: Record<string, string> = {}) {
    let began!: () => void;
    this.began = new Promise((resolve) => {
      began = resolve;
    });
    this.application = new FakeApplication(() => began());
    this.ports = {
      start: async (module, options) => {
        if (this.startFailure !== undefined) throw this.startFailure;
        this.started = { module, options };
        return this.application;
      },
      verify: async (dataDir) => ({ ...this.report, dataDir }),
      stdout: { write: (text) => (this.out += text) },
      stderr: { write: (text) => (this.err += text), columns: 60 },
      env,
      clock: { now: () => this.now, wall: () => 0 },
      version: "1.2.3",
      onSignal: (listener) => {
        this.#onSignal = listener;
      },
      exit: (code) => this.exits.push(code),
    };
  }

  run(argv: readonly string[]): Promise<number> {
    return runCli(argv, this.ports);
  }

  signal(name: string): void {
    this.#onSignal(name);
  }
}
