/**
 * One run of the smoke workload: its files, its model and its audit. Who uses it starts and kills the processes.
 *
 * W1. Commands go to the model when they go to the file.
 */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "../../lib/base/random.js";
import { DrivenProcess, describe } from "../driven/driven-process.js";
import { CommandGenerator, defaultParameters } from "./command-generator.js";
import { files, finiteVariable, folderVariable, type SourceCommand } from "./commands.js";
import { Findings } from "./findings.js";
import { FunctionStateTracker } from "./function-state-tracker.js";
import { compareDiscarded, compareVerified, decideRaces } from "./smoke-audit.js";

const module = new URL("./smoke.app.js", import.meta.url).href;
const statusEveryMs = 20;
/** Nothing that is not cancelled is delayed for so long. */
const farMs = 600_000;
/** Lines that are written at once. */
const linesPerWrite = 10_000;

export class SmokeWorkload {
  readonly folder = mkdtempSync(join(tmpdir(), "holdfast-smoke-"));
  readonly findings = new Findings();
  readonly tracker: FunctionStateTracker;
  /** Addresses whose messages kills had made look guilty. */
  released = 0;
  readonly #generator: CommandGenerator;

  constructor(instances: number, random: Random) {
    this.tracker = new FunctionStateTracker(instances);
    this.#generator = new CommandGenerator({ ...defaultParameters, instances }, random);
  }

  get dataDir(): string {
    return join(this.folder, files.data);
  }

  /** Appends so many source commands. */
  grow(messages: number): void {
    for (let written = 0; written < messages; written += linesPerWrite) {
      this.#write(Array.from({ length: Math.min(linesPerWrite, messages - written) }, () => this.#generator.get()));
    }
  }

  /** The application in a process; unless it is `finite` it waits for more commands when it has taken all. */
  begin(shards: number, finite = false): DrivenProcess {
    return new DrivenProcess({
      module,
      options: { dataDir: this.dataDir, shards },
      statusEveryMs,
      env: { [folderVariable]: this.folder, [finiteVariable]: finite ? "1" : "0" },
    });
  }

  /** Works off what is left and compares everything, with processes of its own. */
  async finish(shards: number, during: (process: DrivenProcess) => void = () => {}): Promise<void> {
    await this.#toQuiescence(shards, during);
    const { tracker, findings } = this;
    decideRaces(this.#read(files.cancelled), tracker, findings);
    compareDiscarded(this.#read(files.discarded), tracker, findings);
    const instances = tracker.counts.entries();
    this.#write(Array.from(instances, ([target, expected]) => ({ target, commands: [{ kind: "verify", expected }] })));
    await this.#toQuiescence(shards, () => {});
    compareVerified(this.#read(files.verified), tracker, findings);
    if (existsSync(join(this.folder, files.rejects))) findings.add("commands were rejected");
  }

  /** What a process says that must not happen in any run. */
  check({ parked }: DrivenProcess): void {
    for (const address of parked) this.findings.add(`quarantined: ${address}`);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  async #toQuiescence(shards: number, during: (process: DrivenProcess) => void): Promise<void> {
    const process = this.begin(shards, true);
    await process.running;
    during(process);
    const { farTimers, released, status } = await process.call("quiesce", farMs);
    this.released += released;
    if (farTimers > 0) this.findings.add(`${farTimers} messages are pending that were cancelled`);
    if (status.parked > 0 || status.orphans > 0) this.findings.add(`messages wait: ${JSON.stringify(status)}`);
    await process.call("stop");
    const end = await process.ended;
    if (end.code !== 0) this.findings.add(`the process ended with ${describe(end)}`);
    this.check(process);
  }

  /** W1 */
  #write(lines: readonly SourceCommand[]): void {
    for (const line of lines) this.tracker.apply(line);
    appendFileSync(join(this.folder, files.commands), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
  }

  #read<T>(file: string): T[] {
    const lines = readFileSync(join(this.folder, file), "utf8").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as T);
  }
}
