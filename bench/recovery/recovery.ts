/**
 * `recovery`: how long a process takes from its start to its first turn, with much state and a log that was not merged
 * when the process before was killed. Each round recovers a copy of the same data directory.
 */
import { once } from "node:events";
import { closeSync, fsyncSync, openSync, readdirSync, statSync } from "node:fs";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { BenchOptions, BenchResult } from "../bench.js";
import { spawnModule } from "../child-process.js";
import { decimals, median, spread } from "../statistics.js";
import { textLength } from "./archive.app.js";
import type { FirstTurn, Looked, RecoveryTask } from "./recovery-process.js";

const MiB = 1024 * 1024;
/** What a page takes in the log and in the base beside its text, about. */
const overheadBytes = 60;
/** Less than what starts a merge early. */
const tailMiB = 63;

interface Recovered {
  readonly seconds: number;
  readonly versions: number;
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log } = options;
  const rounds = options.rounds ?? (quick ? 1 : 5);
  const shards = options.shards ?? 2;
  const pageBytes = textLength + overheadBytes;
  const pages = options.addresses ?? Math.ceil(((quick ? 2 : 1024) * MiB) / pageBytes);
  const tailPages = Math.min(pages, Math.floor(((quick ? 0.5 : tailMiB) * MiB) / pageBytes));
  const directory = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  try {
    const prepared = join(directory, "prepared");
    const task = { shards, pages, tailPages, merged: !quick };
    await prepare({ ...task, kind: "prepare", dataDir: prepared });
    log(
      `prepared: ${megabytes(join(prepared, "state"))} MiB of state, ${megabytes(join(prepared, "log"))} MiB of log files`,
    );
    const times: number[] = [];
    let checksum = 0;
    for (let round = 0; round < rounds; round++) {
      const dataDir = join(directory, `round-${round}`);
      await cp(prepared, dataDir, { recursive: true });
      syncFiles(dataDir); // writing it out belongs to the copy, not to the recovery
      const { seconds, versions } = await recover({ ...task, kind: "recover", dataDir });
      log(`round ${round + 1}: ${seconds.toFixed(2)} s`);
      times.push(seconds);
      checksum = versions;
      await rm(dataDir, { recursive: true, force: true });
    }
    const sorted = [...times].sort((a, b) => a - b);
    return {
      name: "recovery",
      value: decimals(median(times), 2),
      unit: "s",
      p50: decimals(median(times), 2),
      max: decimals(sorted[sorted.length - 1], 2),
      rounds,
      spread: decimals(spread(times), 2),
      checksum,
      shards,
      stateMiB: megabytes(join(prepared, "state")),
      tailMiB: decimals((tailPages * pageBytes) / MiB, 1),
      addresses: pages,
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function prepare(task: RecoveryTask): Promise<void> {
  const child = spawnModule(new URL("./recovery-process.js", import.meta.url), task);
  child.stdout?.resume();
  const [, signal] = (await once(child, "exit")) as [number | null, string | null];
  if (signal !== "SIGKILL") throw new Error("the data directory could not be prepared");
}

/** Seconds from the start of a process to the word that its first turn is committed. */
async function recover(task: RecoveryTask): Promise<Recovered> {
  const began = performance.now();
  const child = spawnModule(new URL("./recovery-process.js", import.meta.url), task);
  if (child.stdout === null) throw new Error("a child's output is read");
  const exit = once(child, "exit");
  const lines = createInterface({ input: child.stdout });
  let seconds = 0;
  let versions = 0;
  for await (const line of lines) {
    const said = JSON.parse(line) as FirstTurn | Looked;
    if ("version" in said) seconds = (performance.now() - began) / 1000;
    else versions = said.versions;
  }
  await exit;
  if (versions !== task.pages + task.tailPages) throw new Error("not exactly once: see above");
  return { seconds, versions };
}

function filesIn(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => join(directory, name))
    .filter((path) => statSync(path).isFile());
}

function syncFiles(directory: string): void {
  for (const path of filesIn(directory)) {
    const fd = openSync(path, "r+");
    fsyncSync(fd);
    closeSync(fd);
  }
}

function megabytes(directory: string): number {
  return Math.round(filesIn(directory).reduce((sum, path) => sum + statSync(path).size, 0) / MiB);
}
