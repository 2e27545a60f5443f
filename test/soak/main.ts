/**
 * `node dist/test/soak/main.js --minutes M [--rate R] [--kill-every S] [--instances N] [--seed S]`: the smoke workload at a
 * steady rate of R commands per second, killed with SIGKILL every S seconds, and audited in the end.
 *
 * Memory must not grow: a line is fitted through what the processes take before they are killed, all at the same age. (While
 * a process is young its heaps grow, until V8 finds it time to collect.) Each recovery must be done in time. What the data
 * directory takes is told.
 *
 * Progress goes to stderr; the last line of stdout is JSON. Exits with 1 when something is wrong, and leaves the folder of
 * the run then.
 */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { seededRandom } from "../../lib/base/random.js";
import { type DrivenProcess, describe } from "../driven/driven-process.js";
import { SmokeWorkload } from "../smoke/smoke-workload.js";
import { judgedLivesMin, type Point, slope } from "./slope.js";

const MiB = 1024 * 1024;
const shards = 2;
const sampleEveryMs = 1_000;
/** The part of a life, its end, that counts for the memory of the process. */
const lateShare = 1 / 3;
const recoveryMsMax = 2_000;
/** Growth from process to process. What is left of the noise of collections is a fraction of it. */
const growthMiBPerMinuteMax = 4;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    rate: { type: "string", default: "1000" },
    "kill-every": { type: "string", default: "30" },
    instances: { type: "string", default: "32" },
    seed: { type: "string", default: "1" },
  },
});
const [minutes, rate, killEvery, instances, seed] = [
  values.minutes,
  values.rate,
  values["kill-every"],
  values.instances,
  values.seed,
].map(Number);
if (![minutes, rate, killEvery, instances, seed].every((number) => Number.isFinite(number) && number > 0)) {
  console.error("--minutes, --rate, --kill-every, --instances and --seed are numbers above 0");
  process.exit(2);
}
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1)); // takes the child along

/** What was seen at one moment. */
interface Sample {
  readonly atMs: number;
  /** Since the application ran in this process. */
  readonly ageMs: number;
  readonly rssMiB: number;
  readonly logMiB: number;
  readonly basesMiB: number;
}

const workload = new SmokeWorkload(instances, seededRandom(seed ^ 0x5eed));
const samples: Sample[][] = [];
const recoveriesMs: number[] = [];
const began = performance.now();

await main();

async function main(): Promise<void> {
  const { findings } = workload;
  try {
    const end = began + minutes * 60_000;
    while (performance.now() < end) await live(Math.min(end, performance.now() + killEvery * 1_000));
    await workload.finish(shards);
  } catch (error) {
    findings.add(error instanceof Error ? error.message : String(error));
  }
  report();
}

/** One process, until it is killed. */
async function live(until: number): Promise<void> {
  const process = workload.begin(shards);
  await process.running;
  const ranAt = performance.now();
  recoveriesMs.push(Math.round(process.startMs ?? 0));
  const life: Sample[] = [];
  samples.push(life);
  do {
    workload.grow(Math.round((rate * sampleEveryMs) / 1_000));
    await new Promise((resolve) => setTimeout(resolve, sampleEveryMs));
    life.push(look(process, ranAt));
  } while (performance.now() < until);
  process.kill("SIGKILL");
  const end = await process.ended;
  if (end.signal !== "SIGKILL" || end.hung) throw new Error(`a process ended before it was killed: ${describe(end)}`);
  workload.check(process);
  for (const reason of process.restarts) workload.findings.add(`restarted: ${reason}`);
  const { rssMiB, logMiB, basesMiB } = life.at(-1)!;
  const sizes = `${rounded(rssMiB)} MiB RSS, ${rounded(logMiB)} MiB log, ${rounded(basesMiB)} MiB bases`;
  console.error(
    `life ${samples.length}: started in ${recoveriesMs.at(-1)} ms, ${sizes}, ${process.status?.turns} turns`,
  );
}

function look({ rssBytes }: DrivenProcess, ranAt: number): Sample {
  const now = performance.now();
  const [logMiB, basesMiB] = ["log", "state"].map((name) => sizeOf(join(workload.dataDir, name)) / MiB);
  return { atMs: now - began, ageMs: now - ranAt, rssMiB: rssBytes / MiB, logMiB, basesMiB };
}

/** Of the files below a folder. Files may come and go meanwhile. */
function sizeOf(folder: string): number {
  let bytes = 0;
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const found = statSync(join(folder, name), { throwIfNoEntry: false });
    if (found?.isFile()) bytes += found.size;
  }
  return bytes;
}

/**
 * What each process takes before it is killed: the mean of its last part. All have the same age then; the first one, which
 * begins with nothing, and one that was cut short do not count.
 */
function atEndOfLives(pick: (sample: Sample) => number): Point[] {
  const whole = samples.slice(1).filter((life) => life.at(-1)!.ageMs >= killEvery * 1_000 - 3 * sampleEveryMs);
  return whole.map((life) => {
    const late = life.slice(-Math.ceil(life.length * lateShare));
    return { x: late[0].atMs / 60_000, y: late.reduce((sum, sample) => sum + pick(sample), 0) / late.length };
  });
}

function judge(lives: number, slopeMiBPerMinute: number): void {
  const { findings } = workload;
  if (lives >= judgedLivesMin && slopeMiBPerMinute > growthMiBPerMinuteMax) {
    findings.add(
      `memory grows by ${rounded(slopeMiBPerMinute)} MiB per minute, at most ${growthMiBPerMinuteMax} may be`,
    );
  }
  for (const ms of recoveriesMs) if (ms > recoveryMsMax) findings.add(`a recovery took ${ms} ms`);
}

function report(): void {
  const all = samples.flat();
  const rss = atEndOfLives(({ rssMiB }) => rssMiB);
  judge(rss.length, slope(rss));
  const { findings, tracker } = workload;
  for (const example of findings.examples) console.error(example);
  if (findings.count > 0) console.error(`seed ${seed}: the folder of the run is ${workload.folder}`);
  else workload.remove();
  const most = (pick: (sample: Sample) => number): number => rounded(Math.max(...all.map(pick)));
  console.log(
    JSON.stringify({
      minutes,
      rate,
      invocations: tracker.invocationsTotal,
      kills: samples.length,
      mismatches: findings.count,
      rssMiBMax: most(({ rssMiB }) => rssMiB),
      rssMiBAtEndOfLives: rss.map(({ y }) => rounded(y)),
      rssSlopeMiBPerMinute: rounded(slope(rss)),
      logMiBMax: most(({ logMiB }) => logMiB),
      basesMiBMax: most(({ basesMiB }) => basesMiB),
      basesSlopeMiBPerMinute: rounded(slope(atEndOfLives(({ basesMiB }) => basesMiB))),
      recoveryMsMax: Math.max(...recoveriesMs),
      recoveriesMs,
      seed,
    }),
  );
  process.exit(findings.count > 0 ? 1 : 0); // takes along a process that was left running
}

function rounded(number: number): number {
  return Math.round(number * 10) / 10;
}
