/** Runs one command of the evidence in a process of its own and finds its verdict. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import type { EvidenceCommand, Extent, Verdict } from "./commands.js";

/** How a command ended. Only `passed` means that it held: it exited with 0, and said what it had seen. */
export interface CommandOutcome {
  readonly kind: "passed" | "failed" | "skipped";
  /** Why it failed or was skipped. */
  readonly why: string | undefined;
  readonly verdict: Verdict | undefined;
  readonly seconds: number;
}

const programs = join(import.meta.dirname, "..");
const outputKeptMax = 64 * 1024;

/** Its last words are passed on to stderr. A command that takes longer than `secondsMax` is killed with its children, and has failed. */
export function runCommand(command: EvidenceCommand, extent: Extent, secondsMax: number): Promise<CommandOutcome> {
  const given = command.arguments[extent];
  if (given === undefined) {
    return Promise.resolve({
      kind: "skipped",
      why: `not part of a ${extent} run`,
      verdict: undefined,
      seconds: 0,
    });
  }
  const began = performance.now();
  const child = spawn(process.execPath, [join(programs, `${command.program}.js`), ...given], {
    stdio: ["ignore", "pipe", "inherit"],
    detached: true, // a group of its own, to end its children with it
  });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output = (output + text).slice(-outputKeptMax);
  });
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    end(child.pid);
  }, secondsMax * 1_000);
  const stop = (): void => end(child.pid);
  process.once("exit", stop);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      process.removeListener("exit", stop);
      const seconds = (performance.now() - began) / 1_000;
      const how = late ? `not done within ${secondsMax} s` : `exit ${code ?? signal}`;
      resolve({ ...judge(output, !late && code === 0, how), seconds });
    });
  });
}

/** A verdict without a good exit is a failure, and so is a good exit without a verdict. */
export function judge(output: string, exitedWell: boolean, how: string): Omit<CommandOutcome, "seconds"> {
  const verdict = verdictOf(output);
  if (!exitedWell) return { kind: "failed", why: how, verdict };
  if (verdict === undefined) return { kind: "failed", why: "it ended without a verdict", verdict };
  return { kind: "passed", why: undefined, verdict };
}

/** The last line of JSON, or what Node's test runner counted. */
function verdictOf(output: string): Verdict | undefined {
  const last = output.trimEnd().split("\n").at(-1) ?? "";
  if (last.startsWith("{")) {
    try {
      return JSON.parse(last) as Verdict;
    } catch {
      return undefined;
    }
  }
  const counts = [...output.matchAll(/^(?:#|ℹ) (pass|fail|skipped) (\d+)$/gm)];
  return counts.length === 0 ? undefined : Object.fromEntries(counts.map(([, name, number]) => [name, Number(number)]));
}

function end(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch {
    // it has ended
  }
}
