/**
 * `npm run evidence [-- --quick] [--only NAME,…] [--out FILE]`: runs the commands of the evidence one after the other and
 * writes `docs/evidence.md`, after each of them, so that a run that is cut short leaves what it has.
 *
 * `--quick` takes small numbers, for a minute or so each. With `--only` the other commands are `not run`. Their progress
 * goes to stderr. Exits with 1 when a command failed.
 */
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus, loadavg, release, totalmem, type } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type CommandOutcome, runCommand } from "./command-run.js";
import { type Extent, evidenceCommands } from "./commands.js";
import { bugsIn, type Evidence, evidencePage, type Machine } from "./evidence-page.js";

const root = join(import.meta.dirname, "../../..");
const secondsMax: Readonly<Record<Extent, number>> = { quick: 240, full: 3_600 };

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string" },
    out: { type: "string", default: join(root, "docs/evidence.md") },
  },
});
const extent: Extent = values.quick ? "quick" : "full";
const chosen = values.only?.split(",") ?? evidenceCommands.map(({ name }) => name);
const known = evidenceCommands.map(({ name }) => name);
if (chosen.some((name) => !known.includes(name))) {
  console.error(`--only takes ${known.join(", ")}`);
  process.exit(2);
}
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1)); // takes the command along

const about = {
  date: new Date().toISOString().slice(0, 10),
  commit: commitNow(),
  extent,
  machine: machineNow(),
  bugs: bugsIn(readFileSync(join(root, "test/seeds.txt"), "utf8")),
};
const outcomes = new Map<string, CommandOutcome>();
for (const command of evidenceCommands) {
  if (!chosen.includes(command.name)) continue;
  console.error(`==> ${command.name}`);
  const outcome = await runCommand(command, extent, secondsMax[extent]);
  outcomes.set(command.name, outcome);
  console.error(`${command.name}: ${outcome.kind}${outcome.why === undefined ? "" : ` (${outcome.why})`}`);
  const runs = evidenceCommands.map((each) => ({ command: each, outcome: outcomes.get(each.name) }));
  const evidence: Evidence = { ...about, runs };
  writeFileSync(values.out, evidencePage(evidence));
}
const kinds = [...outcomes].map(([name, { kind }]) => [name, kind]);
console.log(JSON.stringify(Object.fromEntries(kinds)));
process.exitCode = [...outcomes.values()].some(({ kind }) => kind === "failed") ? 1 : 0;

function machineNow(): Machine {
  return {
    processor: cpus()[0]?.model.trim() || "unknown",
    cores: availableParallelism(),
    memoryGiB: totalmem() / 2 ** 30,
    kernel: `${type()} ${release()}`,
    node: process.version,
    load: loadavg()[0] as number,
  };
}

/** What is not committed is said; the page itself does not count. */
function commitNow(): string {
  try {
    const git = (...words: string[]): string => execFileSync("git", words, { cwd: root, encoding: "utf8" }).trim();
    const changed = git("status", "--porcelain", "--", ".", ":!docs/evidence.md") !== "";
    return `${git("rev-parse", "--short", "HEAD")}${changed ? ", with changes that are not committed" : ""}`;
  } catch {
    return "unknown";
  }
}
