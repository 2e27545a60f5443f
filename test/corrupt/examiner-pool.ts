/**
 * Child processes that examine cases. One that dies, or does not answer in time, has found something: its case is
 * silent, and another child takes its place.
 */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Verdict } from "./examine.js";
import type { Task } from "./examiner.js";
import type { Specimen } from "./specimen.js";

/** A case that takes longer hangs; the machine may be busy with other things. */
const hangMs = 60_000;
const entry = fileURLToPath(new URL("./examiner.js", import.meta.url));
const unknown = { file: "?", what: "?", changed: true };

/** One case and how it ended. */
export interface Outcome extends Verdict {
  readonly seed: number;
  readonly specimen: string;
}

/** Examines the cases `first` to `first + count - 1` with `workers` children; each case's specimen follows from its seed. */
export async function examineAll(
  specimens: readonly Specimen[],
  first: number,
  count: number,
  workers: number,
  root: string,
  see: (outcome: Outcome) => void,
): Promise<void> {
  let next = first;
  const work = async (worker: number): Promise<void> => {
    let child: ChildProcess | undefined;
    while (next < first + count) {
      const seed = next++;
      const specimen = specimens[seed % specimens.length]!;
      child ??= fork(entry, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
      const verdict = await ask(child, { specimen, seed, scratch: join(root, `scratch-${worker}`) });
      if (!child.connected || child.exitCode !== null || child.signalCode !== null) child = undefined;
      see({ ...verdict, seed, specimen: specimen.name });
    }
    child?.disconnect();
  };
  await Promise.all(Array.from({ length: workers }, (_, worker) => work(worker)));
}

function ask(child: ChildProcess, task: Task): Promise<Verdict> {
  return new Promise((settle) => {
    const finish = (verdict: Verdict): void => {
      clearTimeout(timer);
      child.removeAllListeners();
      settle(verdict);
    };
    const fail = (why: string): void => finish({ verdict: "silent", damage: unknown, why, recovered: false });
    const timer = setTimeout(() => {
      child.removeAllListeners();
      child.once("exit", () => fail("hung"));
      child.kill("SIGKILL");
    }, hangMs);
    child.once("message", (verdict: Verdict) => finish(verdict));
    child.once("exit", (code, signal) => fail(`the process ended with ${signal ?? `code ${code}`}`));
    child.once("error", (error) => fail(error.message));
    child.send(task);
  });
}
