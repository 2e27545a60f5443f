/**
 * `memory`: what a resident idle address with one counter weighs; with `--cap`, where the memory of the whole process
 * stays while more addresses are written to than may be resident. In a process of its own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions, BenchResult } from "../bench.js";
import { childResult } from "../child-process.js";
import { decimals, median, spread } from "../statistics.js";
import type { MemoryReport, MemoryTask } from "./memory-process.js";

const MiB = 1024 * 1024;
/** Addresses that each shard may keep in memory with `--cap`. */
const cappedResidents = { full: 100_000, quick: 1_000 };

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, cap = false, log } = options;
  const shards = options.shards ?? 2;
  const rounds = options.rounds ?? (quick || cap ? 1 : 3);
  const addresses = options.addresses ?? (quick ? 20_000 : cap ? 20_000_000 : 1_000_000);
  const residentMax = cap ? (quick ? cappedResidents.quick : cappedResidents.full) : undefined;
  const reports: MemoryReport[] = [];
  for (let round = 0; round < rounds; round++) {
    const report = await inProcess({ shards, addresses, residentMax });
    if (report.sum !== addresses) throw new Error(`not exactly once: ${addresses} counters, their sum ${report.sum}`);
    log(`round ${round + 1}: ${JSON.stringify(report)}`);
    reports.push(report);
  }
  const over = (pick: (report: MemoryReport) => number): number => median(reports.map(pick));
  const values = reports.map(cap ? cappedMiB : ({ fullHeap, emptyHeap }) => (fullHeap - emptyHeap) / addresses);
  const common = { rounds, spread: decimals(spread(values), 2), checksum: addresses, shards, addresses };
  if (cap) {
    return {
      name: "memory",
      value: decimals(median(values), 0),
      unit: "MiB over the empty engine, mapped files excepted",
      max: decimals(
        over(({ plateauMax, empty }) => (plateauMax.own - empty.own) / MiB),
        0,
      ),
      ...common,
      residentMax,
      rssMiB: decimals(
        over(({ plateau, empty }) => (plateau.rss - empty.rss) / MiB),
        0,
      ),
      emptyRssMiB: decimals(
        over(({ empty }) => empty.rss / MiB),
        0,
      ),
      messagesPerSecond: Math.round(over(({ seconds }) => addresses / seconds)),
    };
  }
  return {
    name: "memory",
    value: decimals(median(values), 0),
    unit: "bytes of heap per address",
    ...common,
    rssPerAddress: decimals(
      over(({ full, empty }) => (full.own - empty.own) / addresses),
      0,
    ),
    emptyRssMiB: decimals(
      over(({ empty }) => empty.rss / MiB),
      0,
    ),
    messagesPerSecond: Math.round(over(({ seconds }) => addresses / seconds)),
  };
}

function cappedMiB({ plateau, empty }: MemoryReport): number {
  return (plateau.own - empty.own) / MiB;
}

async function inProcess(task: Omit<MemoryTask, "dataDir">): Promise<MemoryReport> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  try {
    const script = new URL("./memory-process.js", import.meta.url);
    return await childResult<MemoryReport>(script, { ...task, dataDir } satisfies MemoryTask, {
      nodeFlags: ["--expose-gc"],
    });
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}
