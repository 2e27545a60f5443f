/**
 * `holdfast run`: arguments in, exit code out. Everything outside comes in through ports, so that a test can hold it.
 *
 * Owner and thread: main.
 * C1. Usage errors and errors of a start that changed nothing exit with 2; what fails after the start, with 1.
 * C2. The first signal drains, also while the start is under way; the second ends the process at once.
 * C3. stdout has the result only (with --json: all objects); progress, warnings and errors go to stderr.
 */
import { statSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { Argument, Command, CommanderError, InvalidArgumentError } from "commander";
import type { Clock } from "../base/clock.js";
import { HoldfastError, toWire, type WireError } from "../base/errors.js";
import { shardsMax } from "../base/limits.js";
import { countOf, durationOf, jsonOf, Progress, progressMode } from "./progress.js";
import {
  parseAddress,
  type QuarantineAction,
  type QuarantinePort,
  quarantineActions,
  runQuarantine,
} from "./quarantine.js";
import { addTimersCommand, listTimers, type PendingTimer } from "./timers.js";
import { addVerifyCommand, runVerify, type VerifyReport } from "./verify.js";

const exitDone = 0;
const exitFailed = 1;
const exitUsage = 2;
const exitParked = 3;
/** Warnings of one kind that are printed before the rest is only counted. */
const warningsMax = 5;
const causesMax = 5;
const warningLengthMax = 500;
/** Codes of a start that found the configuration wrong and changed nothing, besides HF_BAD_…. */
const configurationCodes = ["HF_LOCKED", "HF_OTHER_APP", "HF_FORMAT", "HF_DATA_DIR"];

/** What the command line reads of an application's status. */
export interface RunStatus {
  readonly state: string;
  readonly shards: number;
  readonly committed: number;
  readonly turns: number;
  readonly ingested: number;
  readonly rejected: number;
  readonly parked: number;
  readonly orphans: number;
  readonly restarts: number;
  readonly exhausted: boolean;
}

/** What the command line uses of an application. */
export interface RunningApplication extends Partial<QuarantinePort> {
  status(): RunStatus;
  readonly timers: {
    list(options: { limit: number }): Promise<readonly PendingTimer[]>;
  };
  drained(): Promise<void>;
  stop(): Promise<void>;
  readonly stopped: Promise<void>;
  on(event: "parked", listener: (event: { address: string; error: unknown }) => void): unknown;
  on(event: "rejected", listener: (event: { ingress: string; where: string; error: unknown }) => void): unknown;
  on(event: "restarted", listener: (event: { reason: unknown; attempt: number }) => void): unknown;
  on(event: "warning", listener: (event: { message: string }) => void): unknown;
}

/** Somewhere to write to. */
export interface OutputPort {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

/** The outside of the command line. */
export interface CliPorts {
  start(
    module: URL,
    options: { dataDir: string; shards?: number; paused?: boolean; recoverTo?: number },
  ): Promise<RunningApplication>;
  verify(dataDir: string): Promise<VerifyReport>;
  readonly stdout: OutputPort;
  readonly stderr: OutputPort;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  readonly version: string;
  /** Calls `listener` for SIGINT and SIGTERM. */
  onSignal(listener: (signal: string) => void): void;
  /** Ends the process at once. */
  exit(code: number): void;
}

interface RunOptions {
  readonly data: string;
  readonly shards?: number;
  readonly recoverTo?: number;
  readonly exitWhenDone: boolean;
  readonly json: boolean;
  readonly progress: boolean;
}

/** Runs the command line. Resolves with the exit code; does not reject. */
export async function runCli(argv: readonly string[], ports: CliPorts): Promise<number> {
  let code = exitDone;
  const program = commandLine(ports, async (module, options) => {
    code = await new RunCommand(options, ports).run(module);
  });
  addTimersCommand(program, async (module, options) => {
    code = await attempt(ports, () => listTimers(moduleUrl(module), options, ports));
  });
  addVerifyCommand(program, async (directory, options) => {
    code = await attempt(ports, () => runVerify(directory, options, ports));
  });
  addQuarantine(program, async (action, module, address, options) => {
    code = await quarantineCommand(action, module, address, options, ports);
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitDone : exitUsage; // already printed
    printError(error, ports);
    return exitFailed;
  }
}

function commandLine(ports: CliPorts, run: (module: string, options: RunOptions) => Promise<void>): Command {
  const program = new Command("holdfast")
    .description("Stateful functions for Node: every core, one commit, no server.")
    .version(ports.version, "-V, --version")
    .exitOverride()
    .configureOutput({
      writeOut: (text) => ports.stdout.write(text),
      writeErr: (text) => ports.stderr.write(text),
    })
    .showHelpAfterError("(--help says more)")
    .addHelpText("after", "\nExample:\n  holdfast run greeter.app.js --data ./data --shards 2\n");
  program
    .command("run")
    .description("run an application until it is told to stop, or with --exit-when-done to the end of its input")
    .argument(
      "<module>",
      "the application: a JavaScript or TypeScript module whose default export is made by defineApp",
    )
    .requiredOption("-d, --data <directory>", "the data directory; made when it does not exist", parseDirectory)
    .option(
      "-s, --shards <n>",
      `worker threads, 1 to ${shardsMax}; default: as in the last run, at first one per core`,
      parseShards,
    )
    .option(
      "--recover-to <epoch>",
      "where the log is damaged: go back to this epoch, which the refused start named, and lose what came after it",
      parseEpoch,
    )
    .option("--exit-when-done", "end once every finite ingress is exhausted and all effects are committed", false)
    .option("--json", "progress, warnings and result as one JSON object per line on stdout", false)
    .option("--no-progress", "no progress")
    .addHelpText("after", runHelp)
    .action((module: string, options: RunOptions) => run(module, options));
  return program;
}

interface QuarantineOptions {
  readonly data: string;
  readonly json: boolean;
}

type RunQuarantine = (
  action: QuarantineAction,
  module: string,
  address: string | undefined,
  options: QuarantineOptions,
) => Promise<void>;

function addQuarantine(program: Command, run: RunQuarantine): void {
  program
    .command("quarantine")
    .description("look at addresses whose turn failed for good, and say what becomes of their messages; runs nothing")
    .addArgument(new Argument("<action>", "what to do").choices(quarantineActions))
    .argument("<module>", "the application module")
    .argument("[address]", "namespace/name@id; for all but list")
    .requiredOption("-d, --data <directory>", "the data directory", parseDirectory)
    .option("--json", "one JSON object per line", false)
    .addHelpText("after", quarantineHelp)
    .action(run);
}

const quarantineHelp = `
Actions:
  list   the quarantined addresses, with what was thrown
  retry  the message that failed is tried again at the next start, then those behind it
  skip   the message that failed is dropped, those behind it run at the next start
  purge  all messages of the address are dropped
`;

async function quarantineCommand(
  action: QuarantineAction,
  module: string,
  address: string | undefined,
  { data, json }: QuarantineOptions,
  ports: CliPorts,
): Promise<number> {
  let app: RunningApplication | undefined;
  try {
    const target = address === undefined ? undefined : parseAddress(address);
    if (action !== "list" && target === undefined)
      throw new HoldfastError("HF_BAD_OPTIONS", `${action} needs an address, namespace/name@id`);
    app = await ports.start(moduleUrl(module), { dataDir: data, paused: true });
    for (const line of await runQuarantine(app as QuarantinePort, action, target as never, json))
      ports.stdout.write(`${line}\n`);
    return exitDone;
  } catch (error) {
    printError(error, ports);
    return isConfiguration(error) ? exitUsage : exitFailed;
  } finally {
    await app?.stop();
  }
}

const runHelp = `
Examples:
  holdfast run greeter.app.js --data ./data
  holdfast run flights.app.ts --data ./data --shards 4 --exit-when-done
  holdfast run flights.app.js --data ./data --exit-when-done --json | jq .committed

Exit codes:
  0  done: stopped by a signal, or finished with --exit-when-done
  1  failed; what was committed is kept, and the next start goes on from there
  2  wrong usage or configuration; nothing was started
  3  finished, but messages wait: their addresses are quarantined, or their function is not defined

SIGINT and SIGTERM drain, commit and exit with 0; a second signal exits at once.
HOLDFAST_DEBUG=1 prints the stacks of errors.
`;

/** How a run comes to its end. */
type Ending = { readonly kind: "drained" | "ended" } | { readonly kind: "signal"; readonly signal: string };

class RunCommand {
  readonly #options: RunOptions;
  readonly #ports: CliPorts;
  readonly #progress: Progress;
  readonly #startedAt: number;
  readonly #warnings = new Map<string, number>();
  #phase: "starting" | "running" | "over" = "starting";
  #signal: string | undefined;
  #signalled!: (signal: string) => void;
  readonly #firstSignal = new Promise<string>((settle) => {
    this.#signalled = settle;
  });

  constructor(options: RunOptions, ports: CliPorts) {
    this.#options = options;
    this.#ports = ports;
    this.#progress = new Progress(progressMode(options, ports.stderr, ports.env), ports);
    this.#startedAt = ports.clock.now();
  }

  async run(module: string): Promise<number> {
    this.#ports.onSignal((signal) => this.#onSignal(signal));
    try {
      const url = moduleUrl(module);
      const { data, shards, recoverTo } = this.#options;
      const chosen = { ...(shards === undefined ? {} : { shards }), ...(recoverTo === undefined ? {} : { recoverTo }) };
      const app = await this.#ports.start(url, { dataDir: data, ...chosen });
      this.#phase = "running";
      return await this.#attend(app);
    } catch (error) {
      this.#progress.end();
      return this.#fail(error);
    } finally {
      this.#progress.end();
      this.#phase = "over"; // a late signal must not change the exit code
    }
  }

  async #attend(app: RunningApplication): Promise<number> {
    this.#report(app);
    this.#progress.begin(() => app.status());
    const ending = await this.#ending(app);
    if (ending.kind !== "ended") await app.stop();
    await app.stopped;
    return this.#finish(app.status(), ending);
  }

  /** Waits for the first reason to end. @throws what made the application fail */
  async #ending(app: RunningApplication): Promise<Ending> {
    const endings: Promise<Ending>[] = [
      app.stopped.then(() => ({ kind: "ended" })),
      this.#firstSignal.then((signal) => ({ kind: "signal", signal })),
    ];
    if (this.#options.exitWhenDone) endings.push(this.#drained(app));
    return Promise.race(endings);
  }

  /** A drain that is cut off by the end of the application leaves it to `stopped` to say why. */
  async #drained(app: RunningApplication): Promise<Ending> {
    try {
      await app.drained();
      return { kind: "drained" };
    } catch (error) {
      await app.stopped;
      throw error;
    }
  }

  #finish(status: RunStatus, ending: Ending): number {
    this.#progress.end();
    const left = status.parked + status.orphans;
    const code = ending.kind === "drained" && left > 0 ? exitParked : exitDone;
    const elapsedMs = Math.round(this.#ports.clock.now() - this.#startedAt);
    const how = ending.kind === "signal" ? `stopped by ${ending.signal}` : "done";
    if (this.#options.json) {
      const averages = {
        ingestedPerSecond: perSecond(status.ingested, elapsedMs),
        turnsPerSecond: perSecond(status.turns, elapsedMs),
      };
      this.#json({ event: "done", exitCode: code, how, ...jsonOf({ status, elapsedMs, ...averages }) });
    } else {
      this.#ports.stdout.write(`${how}: ${summaryOf(status, elapsedMs)}\n`);
    }
    this.#explainLeft(status);
    return code;
  }

  #explainLeft({ parked, orphans, rejected }: RunStatus): void {
    const where = `wait in ${this.#options.data}`;
    if (rejected > 0) this.#say(`bad records, now in the reject files: ${countOf(rejected)}`);
    if (parked > 0)
      this.#say(
        `${countOf(parked)} addresses are parked, their messages ${where}: correct the function, then holdfast quarantine retry`,
      );
    if (orphans > 0)
      this.#say(
        `${countOf(orphans)} messages for functions that are not defined ${where}: define the functions and start again`,
      );
  }

  #fail(error: unknown): number {
    const code = this.#phase === "starting" && isConfiguration(error) ? exitUsage : exitFailed; // C1
    if (this.#options.json) {
      const { code: errorCode, message } = toWire(error);
      this.#json({
        event: "failed",
        exitCode: code,
        code: errorCode ?? null,
        message,
        causes: causesOf(toWire(error)),
      });
    }
    printError(error, this.#ports);
    return code;
  }

  #onSignal(signal: string): void {
    if (this.#phase === "over") return;
    if (this.#signal !== undefined) {
      this.#progress.end();
      this.#ports.exit(exitFailed); // C2
      return;
    }
    this.#signal = signal;
    this.#say(`${signal}: draining and committing; once more ends at once`);
    this.#signalled(signal);
  }

  #report(app: RunningApplication): void {
    app.on("parked", ({ address, error }) =>
      this.#warn("parked", { address, error: messageOf(error) }, `parked ${address}: ${messageOf(error)}`),
    );
    app.on("rejected", ({ ingress, where, error }) =>
      this.#warn(
        "rejected",
        { ingress, where, error: messageOf(error) },
        `rejected ${ingress}, ${where}: ${messageOf(error)}`,
      ),
    );
    app.on("warning", ({ message }) => this.#warn("warning", { message }, message));
    app.on("restarted", ({ reason, attempt }) =>
      this.#warn(
        "restarted",
        { reason: messageOf(reason), attempt },
        `restarted all shards (attempt ${attempt}): ${messageOf(reason)}`,
      ),
    );
  }

  #warn(event: string, fields: object, text: string): void {
    const count = (this.#warnings.get(event) ?? 0) + 1;
    this.#warnings.set(event, count);
    if (count > warningsMax + 1) return;
    if (count === warningsMax + 1) {
      if (!this.#options.json) this.#progress.note(`warning: more of "${event}" follow, they are only counted`, true);
    } else if (this.#options.json) this.#json({ event, ...fields });
    else this.#progress.note(`warning: ${oneLine(text)}`, true);
  }

  #say(text: string): void {
    if (!this.#options.json) this.#progress.note(text); // C3
  }

  #json(fields: object): void {
    this.#ports.stdout.write(`${JSON.stringify(fields)}\n`);
  }
}

/** Runs a command that looks at what is stored; says what went wrong. */
async function attempt(ports: CliPorts, command: () => Promise<number | void>): Promise<number> {
  try {
    return (await command()) ?? exitDone;
  } catch (error) {
    printError(error, ports);
    return isConfiguration(error) ? exitUsage : exitFailed;
  }
}

function moduleUrl(module: string): URL {
  const path = module.startsWith("file:") ? fileURLToPath(module) : isAbsolute(module) ? module : resolve(module);
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isFile() !== true) {
    const what = found === undefined ? "does not exist" : "is not a file";
    throw new HoldfastError(
      "HF_BAD_MODULE",
      `the application module ${path} ${what}: give the path of a JavaScript or TypeScript file`,
    );
  }
  return pathToFileURL(path);
}

function parseDirectory(text: string): string {
  if (text.trim() === "") throw new InvalidArgumentError("It must be the path of a directory.");
  return resolve(text);
}

function parseShards(text: string): number {
  const shards = Number(text);
  if (!/^\d+$/.test(text) || shards < 1 || shards > shardsMax) {
    throw new InvalidArgumentError(`It must be an integer from 1 to ${shardsMax}.`);
  }
  return shards;
}

function parseEpoch(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError("It must be the epoch that the refused start named.");
  return Number(text);
}

function isConfiguration(error: unknown): boolean {
  const { code } = toWire(error);
  return (
    code !== undefined && code !== "HF_BAD_RECORD" && (code.startsWith("HF_BAD_") || configurationCodes.includes(code))
  );
}

/** Code and message, then the messages of the causes; stacks with HOLDFAST_DEBUG=1. */
function printError(error: unknown, { stderr, env }: Pick<CliPorts, "stderr" | "env">): void {
  const wire = toWire(error);
  if (env.HOLDFAST_DEBUG === "1") {
    for (let at: WireError | undefined = wire; at !== undefined; at = at.cause) {
      stderr.write(`${at === wire ? "" : "caused by: "}${at.stack ?? at.message}\n`);
    }
    return;
  }
  stderr.write(`${wire.message === "" ? wire.name : wire.message}\n`);
  for (const message of causesOf(wire)) stderr.write(`  caused by: ${message}\n`);
}

/** The messages of the causes, without those that the message above already quotes. */
function causesOf(error: WireError): string[] {
  const messages: string[] = [];
  let above = error.message;
  for (let at = error.cause; at !== undefined && messages.length < causesMax; at = at.cause) {
    if (at.message !== "" && !above.includes(at.message)) messages.push(at.message);
    above = at.message;
  }
  return messages;
}

/** What an event says of its error, which may have come as data. */
function messageOf(error: unknown): string {
  const message = (error as { message?: unknown } | null | undefined)?.message;
  return typeof message === "string" ? message : toWire(error).message;
}

function oneLine(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length > warningLengthMax ? `${line.slice(0, warningLengthMax)}…` : line;
}

function perSecond(count: number, elapsedMs: number): number {
  return elapsedMs === 0 ? 0 : Math.round((count / elapsedMs) * 1_000);
}

function summaryOf({ ingested, turns, committed, rejected, parked }: RunStatus, elapsedMs: number): string {
  const counts = [
    `${countOf(ingested)} records`,
    `${countOf(turns)} turns`,
    `epoch ${committed} committed`,
    `${countOf(rejected)} rejected`,
    `${countOf(parked)} parked`,
  ];
  return `${counts.join(", ")} in ${durationOf(elapsedMs)}`;
}
