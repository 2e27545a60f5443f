/** Writes `docs/evidence.md`: what was run, on what, and what came of it. Nothing is on the page that no run said. */
import type { CommandOutcome } from "./command-run.js";
import { addTotals, type EvidenceCommand, type Extent } from "./commands.js";

/** On what it was run. */
export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the last minute, before the first command: what else the machine was busy with. */
  readonly load: number;
}

/** A bug that the simulator found, as `test/seeds.txt` has it. */
export interface FoundBug {
  readonly seed: number;
  readonly what: string;
}

/** One run of all commands. */
export interface Evidence {
  readonly date: string;
  readonly commit: string;
  readonly extent: Extent;
  readonly machine: Machine;
  /** In order; without an outcome where a command has not run yet. */
  readonly runs: readonly { readonly command: EvidenceCommand; readonly outcome: CommandOutcome | undefined }[];
  readonly bugs: readonly FoundBug[];
}

/** The page as Markdown. */
export function evidencePage(evidence: Evidence): string {
  return `${[
    heading(evidence),
    ranOn(evidence),
    verdicts(evidence),
    totals(evidence),
    lastLines(evidence),
    bugsFound(evidence),
  ].join("\n\n")}\n`;
}

/** Lines of `SEED # what it found`. */
export function bugsIn(seedsFile: string): FoundBug[] {
  const lines = seedsFile.matchAll(/^(\d+)\s*#\s*(?:\(\d+\)\s*)?(.+)$/gm);
  return [...lines].map(([, seed, what]) => ({ seed: Number(seed), what: what as string }));
}

function heading({ extent, runs }: Evidence): string {
  const of = (kind: CommandOutcome["kind"]): number => runs.filter(({ outcome }) => outcome?.kind === kind).length;
  const missing = runs.filter(({ outcome }) => outcome === undefined).length;
  const parts = [`${of("passed")} of ${runs.length} commands passed`];
  if (of("failed") > 0) parts.push(`**${of("failed")} failed**`);
  if (of("skipped") > 0) parts.push(`${of("skipped")} skipped`);
  if (missing > 0) parts.push(`${missing} not run`);
  const size =
    extent === "full"
      ? "A full run"
      : "A quick run, with small numbers: it shows that the commands work, not how far they go";
  return `# Evidence

Written by \`npm run evidence\`; do not edit. What each guarantee rests on is in [guarantees.md](guarantees.md).

${size}. ${parts.join(", ")}.`;
}

function ranOn({ date, commit, machine }: Evidence): string {
  const { processor, cores, memoryGiB, kernel, node, load } = machine;
  return `| | |
|---|---|
| date | ${date} |
| commit | ${commit} |
| machine | ${cores} cores (${processor}), ${memoryGiB.toFixed(1)} GiB |
| kernel | ${kernel} |
| Node | ${node} |
| load before | ${load.toFixed(1)} |`;
}

function verdicts({ runs, extent }: Evidence): string {
  const rows = runs.map(({ command, outcome }) => {
    const seconds = outcome === undefined || outcome.kind === "skipped" ? "" : outcome.seconds.toFixed(0);
    return `| ${command.name} | ${command.shows} | ${typed(command, extent)} | ${said(command, outcome)} | ${seconds} |`;
  });
  return `## Commands

| | shows that | command | verdict | seconds |
|---|---|---|---|---|
${rows.join("\n")}`;
}

function said(command: EvidenceCommand, outcome: CommandOutcome | undefined): string {
  if (outcome === undefined) return "not run";
  if (outcome.kind === "passed") {
    const caveat = outcome.verdict === undefined ? undefined : command.caveat?.(outcome.verdict);
    return caveat === undefined ? "passed" : `passed; ${caveat}`;
  }
  const kind = outcome.kind === "failed" ? "**failed**" : outcome.kind;
  return `${kind}: ${outcome.why}`;
}

function typed({ typed: command, arguments: given }: EvidenceCommand, extent: Extent): string {
  const words = given[extent]?.map((word) => (/[^\w.,/-]/.test(word) ? `"${word}"` : word));
  return words === undefined ? "" : `\`${[command, ...words].join(" ")}\``;
}

/** Only what held counts. */
function totals({ runs }: Evidence): string {
  const parts = runs.flatMap(({ command, outcome }) =>
    outcome?.kind === "passed" && outcome.verdict !== undefined ? [command.totals(outcome.verdict)] : [],
  );
  const rows = [...addTotals(parts)].map(([name, value]) => `| ${name} | ${value.toLocaleString("en-US")} |`);
  return `## In all

Of the commands that passed:

| | |
|---|---|
${rows.join("\n")}`;
}

function lastLines({ runs }: Evidence): string {
  const lines = runs
    .filter(({ outcome }) => outcome?.verdict !== undefined)
    .map(({ command, outcome }) => `${command.name}: ${JSON.stringify(outcome?.verdict)}`);
  return `## What they said

The last line of each, as it came:

\`\`\`text
${lines.join("\n")}
\`\`\``;
}

function bugsFound({ bugs }: Evidence): string {
  const rows = bugs.map(({ seed, what }) => `| ${seed} | ${what} |`);
  return `## Bugs that seeds of the simulator found

All are fixed; the seeds run with every \`npm test\`. A seed repeats its bug only as long as worlds are drawn as they were
then ([seeds.txt](../test/seeds.txt)).

| seed | what it found |
|---|---|
${rows.join("\n")}`;
}
