/**
 * An application in a process of its own, as the process that drives and kills it sees it.
 *
 * P1. The child never outlives this process.
 * P2. A child that neither says anything new nor answers for `hangMs` is killed, and its end is `hung`.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Status } from "../../lib/index.js";
import {
  type DrivenCall,
  type DrivenCalls,
  type DrivenPlan,
  type DrivenSaid,
  planVariable,
  type ToldError,
} from "./protocol.js";

const hangMs = 60_000;
const lookEveryMs = 1_000;
const outputKept = 16_384;
const program = fileURLToPath(new URL("./driven-app.js", import.meta.url));

/** How a driven process is made. */
export interface DrivenSetup extends DrivenPlan {
  readonly env?: Readonly<Record<string, string>>;
  /** Options for Node itself; its threads get them, too. */
  readonly execArgv?: readonly string[];
  /** Shell commands that run before, in the same process: limits. */
  readonly before?: string;
}

/** How a driven process ended. */
export interface DrivenEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly hung: boolean;
  /** What it said it failed with, as the last thing. */
  readonly failure: ToldError | undefined;
  /** What it wrote to standard error, its end. */
  readonly stderr: string;
}

export class DrivenProcess {
  /** Resolves when the application runs; rejects when the process ends before. */
  readonly running: Promise<void>;
  readonly ended: Promise<DrivenEnd>;
  /** The program had begun: what fails before is Node. */
  begun = false;
  status: Status | undefined;
  rssBytes = 0;
  /** From the making of the process until the application ran. */
  startMs: number | undefined;
  /** Why the shards were restarted, each time. */
  readonly restarts: string[] = [];
  readonly warnings: string[] = [];
  /** What was quarantined, but for what died with its thread or process. */
  readonly parked: string[] = [];
  /** Called for each status. */
  onStatus: (status: Status) => void = () => {};
  readonly #child: ChildProcess;
  readonly #began = performance.now();
  readonly #calls = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #nextCall = 0;
  #ready!: () => void;
  #failure: ToldError | undefined;
  #stderr = "";
  #hung = false;
  #lastSaid = "";
  /** Looks since the last progress: looks and not time, because this process may have been stopped meanwhile. */
  #looksInVain = 0;
  #stopped = false;

  constructor({ env, execArgv = [], before, ...plan }: DrivenSetup) {
    const command = [process.execPath, ...execArgv, program];
    const [file, ...args] = before === undefined ? command : ["/bin/sh", "-c", `${before}; exec "$0" "$@"`, ...command];
    this.#child = spawn(file, args, {
      stdio: ["ignore", "ignore", "pipe", "ipc"],
      env: { ...process.env, ...env, [planVariable]: JSON.stringify(plan satisfies DrivenPlan) },
    });
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-outputKept);
    });
    this.#child.on("message", (said: DrivenSaid) => this.#heard(said));
    this.ended = this.#watch();
    this.running = new Promise((resolve, reject) => {
      this.#ready = resolve;
      this.ended.then((end) => reject(new Error(`the process ended before it ran: ${describe(end)}`)), reject);
    });
    this.running.catch(() => {}); // looking at it is optional
  }

  /** Rejects when the process ends before it has answered. */
  call<K extends keyof DrivenCalls>(name: K, ...args: Parameters<DrivenCalls[K]>): Promise<ReturnType<DrivenCalls[K]>> {
    const call = this.#nextCall++;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { resolve, reject });
      this.#child.send({ call, name, args } as DrivenCall, (error) => {
        if (error !== null) this.#settle(call)?.reject(error);
      });
    });
  }

  kill(signal: NodeJS.Signals): void {
    if (signal === "SIGSTOP") this.#stopped = true;
    if (signal === "SIGCONT") this.#stopped = false;
    this.#child.kill(signal);
  }

  #heard(said: DrivenSaid): void {
    switch (said.kind) {
      case "hello":
        this.begun = true;
        break;
      case "running":
        this.startMs = performance.now() - this.#began;
        this.#ready();
        break;
      case "status":
        this.status = said.status;
        this.rssBytes = said.rssBytes;
        this.onStatus(said.status);
        break;
      case "restarted":
        this.restarts.push(said.reason.message);
        break;
      case "warning":
        this.warnings.push(said.message);
        break;
      case "parked":
        if (said.error.code !== "HF_KILLS_WORKER") this.parked.push(`${said.address}: ${said.error.message}`);
        break;
      case "failed":
        this.#failure = said.error;
        break;
      case "answer": {
        const waiting = this.#settle(said.call);
        if (said.error === undefined) waiting?.resolve(said.value as never);
        else waiting?.reject(Object.assign(new Error(said.error.message), { code: said.error.code }));
      }
    }
  }

  #settle(call: number): { resolve: (value: never) => void; reject: (error: Error) => void } | undefined {
    const waiting = this.#calls.get(call);
    this.#calls.delete(call);
    return waiting;
  }

  #watch(): Promise<DrivenEnd> {
    const child = this.#child;
    const look = setInterval(() => this.#look(), lookEveryMs);
    const onExit = (): boolean => child.kill("SIGKILL"); // P1
    process.once("exit", onExit);
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        clearInterval(look);
        process.removeListener("exit", onExit);
        const end = { code, signal, hung: this.#hung, failure: this.#failure, stderr: this.#stderr };
        const gone = new Error(`the process ended before it answered: ${describe(end)}`);
        for (const { reject: rejectCall } of this.#calls.values()) rejectCall(gone);
        resolve(end);
      });
    });
  }

  /** P2: what counts as progress is any change of what was committed, epochs without content excepted. */
  #look(): void {
    const { turns, ingested, inFlight, restarts } = this.status ?? {};
    const said = [this.begun, this.startMs, turns, ingested, inFlight, restarts].join();
    this.#looksInVain = said === this.#lastSaid && !this.#stopped ? this.#looksInVain + 1 : 0;
    this.#lastSaid = said;
    const waiting = this.startMs === undefined || this.#calls.size > 0;
    if (!waiting || this.#looksInVain * lookEveryMs < hangMs || this.#hung) return;
    this.#hung = true;
    this.#child.kill("SIGKILL");
  }
}

/** For people. */
export function describe({ code, signal, hung, failure, stderr }: DrivenEnd): string {
  const how = hung ? "hung" : (signal ?? `exit code ${code}`);
  const said = failure === undefined ? "" : `, ${failure.message}`;
  return `${how}${said}${stderr === "" ? "" : `\n${stderr}`}`;
}
