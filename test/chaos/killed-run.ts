/**
 * One run of the command in a child process, killed after a while or watched to its end.
 *
 * Owner and thread: main.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A run that shows no progress for this long hangs. */
const hangMs = 60_000;
const lookEveryMs = 10;
const outputKept = 16_384;
/** The exit code of a run at its end with addresses in quarantine. */
const exitQuarantined = 3;

/** What the last line of a run that came to its end says. */
interface RunEnd {
  readonly event: string;
  readonly parked: number;
  readonly orphans: number;
}

/** When a run is killed. */
export interface KillTime {
  readonly after: "start" | "takeover";
  readonly ms: number;
}

export interface RunPlan {
  readonly module: URL;
  readonly dataDir: string;
  readonly shards: number;
  /** Files whose growth is progress. */
  readonly outputs: readonly string[];
  /** Undefined: not killed. */
  readonly kill: KillTime | undefined;
  /** Addresses that are quarantined when the run comes to its end: not one more or less. */
  readonly quarantined: number;
}

export interface RunOutcome {
  readonly kind: "killed" | "done" | "failed" | "hung";
  readonly how: string;
  readonly ms: number;
  /** From the signal to the end of the process: a process in the middle of a sync ends after it. */
  readonly dyingMs: number;
  /** Until the run had taken the data directory over: its log is read then; undefined when it did not come so far. */
  readonly takeoverMs: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const cli = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

/** Runs the command once. */
export function run(plan: RunPlan): Promise<RunOutcome> {
  const args = ["run", fileURLToPath(plan.module), "--data", plan.dataDir, "--shards", String(plan.shards)];
  const child = spawn(process.execPath, [cli, ...args, "--exit-when-done", "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  return new Watch(child, plan).outcome;
}

class Watch {
  readonly outcome: Promise<RunOutcome>;
  readonly #child: ChildProcess;
  readonly #plan: RunPlan;
  readonly #began = performance.now();
  readonly #generation: string;
  #takeoverMs: number | undefined;
  #stdout = "";
  #stderr = "";
  #killTimer: NodeJS.Timeout | undefined;
  #killed = false;
  #killedAt = 0;
  #hung = false;
  #progress = "";
  /** Looks since the last progress: looks and not time, because this process may have been stopped meanwhile. */
  #looksInVain = 0;

  constructor(child: ChildProcess, plan: RunPlan) {
    this.#child = child;
    this.#plan = plan;
    this.#generation = this.#current();
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.#stdout = (this.#stdout + text).slice(-outputKept);
    });
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(-outputKept);
    });
    const look = setInterval(() => this.#look(), lookEveryMs);
    this.#schedule("start");
    const onExit = (): boolean => child.kill("SIGKILL");
    process.once("exit", onExit);
    this.outcome = new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("close", (code, signal) => {
        clearInterval(look);
        clearTimeout(this.#killTimer);
        process.removeListener("exit", onExit);
        resolve(this.#outcome(code, signal));
      });
    });
  }

  #schedule(reached: KillTime["after"]): void {
    const { kill } = this.#plan;
    if (kill?.after !== reached) return;
    this.#killTimer = setTimeout(() => {
      this.#killed = this.#child.kill("SIGKILL");
      this.#killedAt = performance.now();
    }, kill.ms);
  }

  #look(): void {
    if (this.#takeoverMs === undefined && this.#current() !== this.#generation) {
      this.#takeoverMs = performance.now() - this.#began;
      this.#schedule("takeover");
    }
    const progress = this.#progressNow();
    this.#looksInVain = progress === this.#progress ? this.#looksInVain + 1 : 0;
    this.#progress = progress;
    if (this.#looksInVain > hangMs / lookEveryMs && !this.#hung) {
      this.#hung = true;
      this.#child.kill("SIGKILL");
    }
  }

  /** Lengths of the outputs and what the command last said, times and rates excepted. */
  #progressNow(): string {
    const lengths = this.#plan.outputs.map((path) => statSync(path, { throwIfNoEntry: false })?.size ?? 0);
    const counts = this.#stdout.slice(this.#stdout.lastIndexOf('"state"')).match(/"(ingested|turns)":\d+/g) ?? [];
    return [...lengths, ...counts].join(" ");
  }

  #current(): string {
    try {
      return readFileSync(join(this.#plan.dataDir, "CURRENT"), "utf8");
    } catch {
      return ""; // not there before the first start
    }
  }

  /** At its end, with just the addresses in quarantine that must be there, and no message for an unknown function. */
  #isDone(code: number | null): boolean {
    const { quarantined } = this.#plan;
    if (code !== (quarantined > 0 ? exitQuarantined : 0)) return false;
    const said = JSON.parse(this.#stdout.trimEnd().split("\n").at(-1) ?? "null") as Partial<RunEnd> | null;
    return said?.event === "done" && said.parked === quarantined && said.orphans === 0;
  }

  #outcome(code: number | null, signal: NodeJS.Signals | null): RunOutcome {
    const killed = this.#killed && signal === "SIGKILL";
    const kind = this.#hung ? "hung" : killed ? "killed" : this.#isDone(code) ? "done" : "failed";
    return {
      kind,
      how: signal ?? `exit code ${code}`,
      ms: performance.now() - this.#began,
      dyingMs: killed ? performance.now() - this.#killedAt : 0,
      takeoverMs: this.#takeoverMs,
      stdout: this.#stdout,
      stderr: this.#stderr,
    };
  }
}
