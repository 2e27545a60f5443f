/**
 * `timers`: what pending delayed messages weigh, and how late those are that come due beside them. In a process of its
 * own.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { BenchOptions, BenchResult } from "../bench.js";
import { childResult } from "../child-process.js";
import { decimals, median, quantile, spread } from "../statistics.js";
import type { TimersReport, TimersTask } from "./timers-process.js";

const MiB = 1024 * 1024;
const duePerSecond = 10_000;

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log } = options;
  const shards = options.shards ?? 2;
  const rounds = options.rounds ?? 1;
  const pending = options.messages ?? (quick ? 20_000 : 5_000_000);
  const due = duePerSecond * (quick ? 1 : 10);
  const reports: TimersReport[] = [];
  for (let round = 0; round < rounds; round++) {
    const report = await inProcess({ shards, pending, due, perSecond: duePerSecond, leadMs: quick ? 500 : 3_000 });
    reports.push(report);
    const { lateness, seconds } = report;
    log(
      `round ${round + 1}: ${over(report).toFixed(0)} MiB, set in ${seconds.toFixed(1)} s, p99 late ${quantile(lateness, 0.99).toFixed(2)} ms`,
    );
  }
  const values = reports.map(over);
  const late = (part: number): number => decimals(median(reports.map(({ lateness }) => quantile(lateness, part))), 2);
  return {
    name: "timers",
    value: decimals(median(values), 0),
    unit: "MiB over the empty engine, mapped files excepted",
    rounds,
    spread: decimals(spread(values), 2),
    checksum: due,
    shards,
    pending,
    rssMiB: decimals(median(reports.map(({ full, empty }) => (full.rss - empty.rss) / MiB)), 0),
    emptyRssMiB: decimals(median(reports.map(({ empty }) => empty.rss / MiB)), 0),
    setPerSecond: Math.round(pending / median(reports.map(({ seconds }) => seconds))),
    duePerSecond,
    lateMs: { p50: late(0.5), p99: late(0.99), max: late(1) },
  };
}

function over({ full, empty }: TimersReport): number {
  return (full.own - empty.own) / MiB;
}

async function inProcess(task: Omit<TimersTask, "dataDir">): Promise<TimersReport> {
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  try {
    const script = new URL("./timers-process.js", import.meta.url);
    return await childResult<TimersReport>(script, { ...task, dataDir } satisfies TimersTask);
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
}
