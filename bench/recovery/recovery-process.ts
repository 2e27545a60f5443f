/**
 * The processes of the `recovery` bench. One prepares a data directory and kills itself, as a process dies that is
 * killed; the others start from it.
 */
import { setTimeout as pause } from "node:timers/promises";
import { type Application, start } from "../../lib/index.js";
import { childArgument, giveResult } from "../child-process.js";
import { filler, page } from "./archive.app.js";

/** What to do. */
export interface RecoveryTask {
  readonly kind: "prepare" | "recover";
  readonly dataDir: string;
  readonly shards: number;
  /** Pages that exist. */
  readonly pages: number;
  /** The first of them are revised once more at the end: they are in the log alone. */
  readonly tailPages: number;
  /** False: nothing is waited for, so that much more may be in the log alone. */
  readonly merged: boolean;
}

/** Written by a process that has recovered, as soon as its first turn is committed. */
export interface FirstTurn {
  readonly version: number;
}

/** Written when every page that was looked at has the version that it must have. */
export interface Looked {
  /** Sum of the versions that all pages have, taken from those looked at. */
  readonly versions: number;
}

const fillers = 8;
const looks = 2_000;
const idleShare = 0.05;
const idleLooks = 3;
const idleLookMs = 500;
/** Merges begin this late at the latest. */
const mergeWaitMs = 5_000;

const task = childArgument<RecoveryTask>();
const app = await start(new URL("./archive.app.js", import.meta.url), {
  dataDir: task.dataDir,
  shards: task.shards,
});
if (task.kind === "prepare") await prepare();
else await recover();

async function prepare(): Promise<void> {
  await revise(task.pages);
  if (task.merged) await merged();
  await revise(task.tailPages);
  process.kill(process.pid, "SIGKILL");
}

async function recover(): Promise<void> {
  const version = await app.ask(page.at("page-0"), { revise: false });
  giveResult({ version } satisfies FirstTurn);
  giveResult({ versions: await lookAtPages(app) } satisfies Looked);
  await app.stop();
}

async function revise(pages: number): Promise<void> {
  const place = (n: number): number => Math.floor((n * pages) / fillers);
  const works = Array.from({ length: fillers }, (_, n) => ({ next: place(n), end: place(n + 1) }));
  await Promise.all(works.map((work, n) => app.send(filler.at(`filler-${n}`), work)));
  await app.drained();
}

/** Waits until the engine has merged what it has, and does nothing any more. */
async function merged(): Promise<void> {
  await pause(mergeWaitMs);
  for (let idle = 0; idle < idleLooks; ) {
    const before = process.cpuUsage();
    await pause(idleLookMs);
    const { user, system } = process.cpuUsage(before);
    idle = user + system < idleShare * idleLookMs * 1000 ? idle + 1 : 0;
  }
}

/** @throws when a page has another version than it must have */
async function lookAtPages(from: Application): Promise<number> {
  const count = Math.min(looks, task.pages);
  const numbers = Array.from({ length: count }, (_, n) => Math.floor((n * task.pages) / count));
  const versions = await Promise.all(numbers.map((n) => from.ask(page.at(`page-${n}`), { revise: false })));
  for (const [index, version] of versions.entries()) {
    const expected = numbers[index] < task.tailPages ? 2 : 1;
    if (version !== expected) throw new Error(`page ${numbers[index]} has version ${version}, not ${expected}`);
  }
  return task.pages + task.tailPages;
}
