/** `holdfast verify`: is a data directory whole? */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";

/** What the command line reads of a report. */
export interface VerifyReport {
  readonly dataDir: string;
  readonly sound: boolean;
  readonly committed: number | undefined;
  readonly lastGood: number | undefined;
  readonly files: readonly { readonly path: string; readonly checked: string; readonly damage: readonly string[] }[];
  readonly notes: readonly string[];
}

interface VerifyOptions {
  readonly json: boolean;
}

interface VerifyPorts {
  verify(dataDir: string): Promise<VerifyReport>;
  readonly stdout: { write(text: string): unknown };
}

const exitSound = 0;
const exitDamaged = 1;

export function addVerifyCommand(
  program: Command,
  run: (directory: string, options: VerifyOptions) => Promise<void>,
): void {
  program
    .command("verify")
    .description("read everything in a data directory that no application has open, and say what is damaged")
    .argument("<directory>", "the data directory", (text) => {
      if (text.trim() === "") throw new InvalidArgumentError("It must be the path of a directory.");
      return resolve(text);
    })
    .option("--json", "the whole report as one JSON object", false)
    .addHelpText("after", verifyHelp)
    .action(run);
}

const verifyHelp = `
Exit codes:
  0  all that was committed is there
  1  something is damaged, or could not be read
  2  wrong usage, no such directory, or an application has it open
`;

/** Prints the report; returns the exit code. */
export async function runVerify(directory: string, { json }: VerifyOptions, ports: VerifyPorts): Promise<number> {
  const report = await ports.verify(directory);
  const lines = json ? [JSON.stringify(report)] : linesOf(report);
  for (const line of lines) ports.stdout.write(`${line}\n`);
  return report.sound ? exitSound : exitDamaged;
}

function linesOf({ files, notes, sound, committed, lastGood }: VerifyReport): string[] {
  const lines = files.flatMap(({ path, checked, damage }) => [
    `${damage.length === 0 ? "sound  " : "DAMAGED"} ${path}: ${checked}`,
    ...damage.map((what) => `        ${what}`),
  ]);
  lines.push(...notes.map((note) => `note    ${note}`));
  if (sound) lines.push(`sound: everything committed is there, up to epoch ${committed}`);
  else if (lastGood !== undefined)
    lines.push(`damaged: the last good epoch is ${lastGood} (holdfast run --recover-to ${lastGood})`);
  else lines.push("damaged: no epoch can be recovered, restore the data directory from a copy");
  return lines;
}
