/**
 * `node dist/test/chaos/main.js --kills N [--seed S]`: runs the transfer application with the real command in a child
 * process, kills it N times with SIGKILL, also while it recovers, lets it finish, and checks that nothing was lost or
 * doubled, in its files and in its state. Worker threads die on the way, too.
 *
 * The input grows by a batch whenever a run comes to its end before the last kill. Everything comes from the seed, but
 * what a kill hits is up to the machine. Progress goes to stderr; the last line of stdout is JSON. Exits with 1 when
 * something is wrong, and leaves the folder of the run then.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Random, seededRandom } from "../../lib/base/random.js";
import { Audit } from "./audit.js";
import { features } from "./features.js";
import { type KillTime, type RunOutcome, run } from "./killed-run.js";
import { directoryVariable, files } from "./transfer.js";
import { TransferInput } from "./transfer-input.js";

const shardsMax = 3;
const module = new URL("./transfer.app.js", import.meta.url);

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    batch: { type: "string", default: "20000" },
  },
});
const [kills, seed, batch] = [values.kills, values.seed, values.batch].map(Number);
if (![kills, seed, batch].every((number) => Number.isSafeInteger(number) && number >= 0) || batch < 100) {
  console.error("--kills and --seed are whole numbers, --batch (transfers the input grows by) is one from 100");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "holdfast-chaos-"));
const dataDir = join(folder, files.data);
const outputs = [join(folder, files.credits), join(folder, files.rejects)];
process.env[directoryVariable] = folder;

const random = seededRandom(seed);
const input = new TransferInput(join(folder, files.input), seededRandom(seed ^ 0x5eed));
const audit = new Audit(input, { credits: join(folder, files.credits), rejects: join(folder, files.rejects) });
const counts = { killed: 0, beforeTakeover: 0, runs: 0, takeoverMsMax: 0 };
const began = performance.now();

for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1)); // takes the child along

await main();

async function main(): Promise<void> {
  mkdirSync(dataDir);
  input.grow(batch);
  let trouble = await killAndFinish();
  if (trouble === undefined) {
    await audit.checkState(module, dataDir, shardsOf(random));
    audit.checkFiles();
    trouble = checkExits();
  }
  report(trouble);
}

/** Until every kill is done and a run has come to its end. What is said is what went wrong. */
async function killAndFinish(): Promise<string | undefined> {
  for (;;) {
    const last = counts.killed >= kills;
    const shards = shardsOf(random);
    const kill = last ? undefined : killTime(random);
    const outcome = await run({ module, dataDir, shards, outputs, kill, quarantined: quarantinedNow() });
    note(outcome, shards);
    if (outcome.kind === "hung" || outcome.kind === "failed") {
      return `a run ${outcome.kind} (${outcome.how})\n${outcome.stdout}\n${outcome.stderr}`;
    }
    if (outcome.kind === "killed") audit.remember();
    else audit.checkFiles();
    if (audit.findings.any) return "the audit of the files failed";
    if (outcome.kind === "done") {
      if (last) return undefined;
      input.grow(batch);
    }
  }
}

function quarantinedNow(): number {
  const ids = input.transfers.length;
  return features.reduce((total, { quarantined }) => total + (quarantined?.(ids) ?? 0), 0);
}

/** Some kills hit the start, some the recovery, most the work, a few a merge. */
function killTime(from: Random): KillTime {
  const dice = from.next();
  const between = (least: number, most: number): number => least + from.next() * (most - least);
  if (dice < 0.25) return { after: "start", ms: between(0, 150) };
  if (dice < 0.5) return { after: "takeover", ms: between(0, 300) };
  if (dice < 0.85) return { after: "start", ms: between(200, 2_000) };
  return { after: "start", ms: between(2_000, 4_000) };
}

function shardsOf(from: Random): number {
  return 1 + from.below(shardsMax);
}

function checkExits(): string | undefined {
  const exits = readdirSync(folder).filter((name) => name.startsWith(files.exitMark)).length;
  return exits === input.exits ? undefined : `${exits} of ${input.exits} worker exits happened`;
}

function note({ kind, how, ms, dyingMs, takeoverMs, stdout }: RunOutcome, shards: number): void {
  counts.runs++;
  if (kind === "killed") {
    counts.killed++;
    if (takeoverMs === undefined) counts.beforeTakeover++;
  }
  counts.takeoverMsMax = Math.max(counts.takeoverMsMax, Math.round(takeoverMs ?? 0));
  const takeover = takeoverMs === undefined ? "before its takeover" : `takeover after ${Math.round(takeoverMs)} ms`;
  if (dyingMs > 1_000) console.error(`  the killed process took ${Math.round(dyingMs)} ms to end`);
  const plan = `run ${counts.runs}, ${shards} shards`;
  console.error(`${plan}: ${kind} (${how}) after ${Math.round(ms)} ms, ${takeover}; ${counts.killed} kills`);
  for (const line of stdout.split("\n")) if (line.includes('"event":"restarted"')) console.error(`  ${line}`);
}

function report(trouble: string | undefined): void {
  const { findings, rejected } = audit;
  const failed = trouble !== undefined || findings.any;
  if (trouble !== undefined) console.error(trouble);
  for (const example of findings.examples) console.error(example);
  if (failed) console.error(`seed ${seed}: the folder of the run is ${folder}`);
  else rmSync(folder, { recursive: true, force: true });
  const { lost, duplicated, wrong } = findings;
  const { killed, beforeTakeover, runs, takeoverMsMax } = counts;
  const seconds = Math.round((performance.now() - began) / 100) / 10;
  const head = { kills: killed, records: input.transfers.length, lost, duplicated, wrong, rejected };
  console.log(
    JSON.stringify({ ...head, workerExits: input.exits, beforeTakeover, runs, takeoverMsMax, seconds, seed }),
  );
  process.exitCode = failed ? 1 : 0;
}
