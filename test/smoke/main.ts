/**
 * `node dist/test/smoke/main.js --messages N --instances N [--kills N] [--seed S]`: the smoke workload of Apache StateFun.
 *
 * Random programs are sent to instances that run them, and the counters of all instances must be exactly those of a plain
 * model in the end. On the way the process is killed with SIGKILL and threads of shards are ended from outside, both at
 * random instants, and the number of shards changes with each start. The commands come from the seed; what a kill hits is
 * up to the machine.
 *
 * Progress goes to stderr; the last line of stdout is JSON. Exits with 1 when something is wrong, and leaves the folder of
 * the run then.
 */
import { parseArgs } from "node:util";
import { type Random, seededRandom } from "../../lib/base/random.js";
import { type DrivenProcess, describe } from "../driven/driven-process.js";
import { SmokeWorkload } from "./smoke-workload.js";

const shardsMax = 3;
/** Of one process: it survives five in a minute. */
const threadEndsMax = 3;
const startKillMsMax = 250;
const workMsMax = 500;

const { values } = parseArgs({
  options: {
    messages: { type: "string", default: "100000" },
    instances: { type: "string", default: "128" },
    kills: { type: "string", default: "20" },
    seed: { type: "string", default: "1" },
  },
});
const [messages, instances, kills, seed] = [values.messages, values.instances, values.kills, values.seed].map(Number);
if (
  ![messages, instances, kills, seed].every((number) => Number.isSafeInteger(number) && number >= 0) ||
  instances < 1
) {
  console.error("--messages, --instances (from 1), --kills and --seed are whole numbers");
  process.exit(2);
}
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1)); // takes the child along

const random = seededRandom(seed);
const workload = new SmokeWorkload(instances, seededRandom(seed ^ 0x5eed));
const counts = { kills: 0, killsAtWork: 0, threadEnds: 0 };
const began = performance.now();

await main();

async function main(): Promise<void> {
  const { findings } = workload;
  try {
    for (let run = 0; run < kills && findings.count === 0; run++) {
      workload.grow(portion(run));
      await killedRun();
    }
    if (findings.count === 0) {
      workload.grow(portion(kills));
      await workload.finish(shardsOf(random), (process) => endThreads(process));
    }
  } catch (error) {
    findings.add(error instanceof Error ? error.message : String(error));
  }
  report();
}

/** All messages, in one part more than there are kills. */
function portion(run: number): number {
  const upTo = (parts: number): number => Math.floor((messages * parts) / (kills + 1));
  return upTo(run + 1) - upTo(run);
}

/** Some kills hit the start, most the work. */
async function killedRun(): Promise<void> {
  const shards = shardsOf(random);
  const duringStart = random.below(5) === 0;
  const killMs = random.next() * (duringStart ? startKillMsMax : workMsMax);
  const process = workload.begin(shards);
  let [turns, busy] = [0, true]; // nothing is committed yet, but there is always something to do
  process.onStatus = (status) => {
    busy = status.turns !== turns || status.turns === 0 || status.inFlight > 0 || status.state !== "running";
    turns = status.turns;
  };
  if (!duringStart) {
    await process.running;
    endThreads(process);
  }
  await pause(killMs);
  process.kill("SIGKILL");
  const end = await process.ended;
  if (end.signal !== "SIGKILL" || end.hung) workload.findings.add(`a run ended before it was killed: ${describe(end)}`);
  workload.check(process);
  counts.kills++;
  if (busy) counts.killsAtWork++;
  const when = `${Math.round(killMs)} ms after ${duringStart ? "the process began" : "the application ran"}`;
  console.error(`kill ${counts.kills}, ${shards} shards: ${when}, ${busy ? "at work" : "idle"}, ${turns} turns`);
  for (const reason of process.restarts) console.error(`  restarted: ${reason}`);
}

/** Ends threads of shards at random instants of a run. */
function endThreads(process: DrivenProcess): void {
  for (let ends = random.below(threadEndsMax + 1); ends > 0; ends--) {
    const [ms, dice] = [random.next() * workMsMax, random.next()];
    void pause(ms).then(async () => {
      if (await process.call("endShard", dice).catch(() => false)) counts.threadEnds++; // it may be killed by then
    });
  }
}

function shardsOf(from: Random): number {
  return 1 + from.below(shardsMax);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function report(): void {
  const { findings, tracker, released } = workload;
  for (const example of findings.examples) console.error(example);
  if (findings.count > 0) console.error(`seed ${seed}: the folder of the run is ${workload.folder}`);
  else workload.remove();
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  const { kills: killed, ...more } = counts;
  const verdict = { invocations: tracker.invocationsTotal, kills: killed, mismatches: findings.count };
  console.log(JSON.stringify({ ...verdict, ...more, released, messages, instances, seconds, seed }));
  process.exit(findings.count > 0 ? 1 : 0); // takes along a process that was left running
}
