/**
 * A data directory that faults happen to, the letters that were given to the application there, and the audit of them.
 *
 * L1. Letters go to the model when they go to the file.
 */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Random } from "../../lib/base/random.js";
import type { ErrorCode, StartOptions } from "../../lib/index.js";
import { type DrivenEnd, DrivenProcess, type DrivenSetup, describe } from "../driven/driven-process.js";
import {
  type Accident,
  type Arrival,
  files,
  finiteVariable,
  firstRelay,
  folderVariable,
  type Letter,
  nextRelay,
  relays,
  relayType,
  type Tally,
} from "./relay.js";

const module = new URL("./relay.app.js", import.meta.url).href;
const shardsMax = 3;
const hops = 6;
const statusEveryMs = 20;
/** From an error that a caller gets to the end of the process. */
const failMs = 10_000;

/** What was found wrong, counted by kind, with the first examples. */
export class FaultFindings {
  lost = 0;
  duplicated = 0;
  /** Anything else: an end that must not be, a restart without reason. */
  wrong = 0;
  readonly examples: string[] = [];

  get any(): boolean {
    return this.lost + this.duplicated + this.wrong > 0;
  }

  add(kind: "lost" | "duplicated" | "wrong", what: string, count = 1): void {
    this[kind] += count;
    if (this.examples.length < 20) this.examples.push(`${kind}: ${what}`);
  }
}

/** How the application is started. */
export interface FaultStart extends Pick<DrivenSetup, "before" | "execArgv" | "env"> {
  readonly options?: Partial<StartOptions>;
  /** Waits for more letters when it has taken all. Default: ends with the file. */
  readonly follow?: boolean;
}

export class FaultLab {
  readonly folder = mkdtempSync(join(tmpdir(), "holdfast-faults-"));
  readonly dataDir: string;
  readonly random: Random;
  readonly findings: FaultFindings;
  readonly #passed = new Array<number>(relays).fill(0);
  /** By letter: where it arrives. */
  readonly #arrives: number[] = [];
  #marker = 0;
  #inquiries = 0;

  /** Without `dataDir` it is in the folder. */
  constructor(random: Random, findings: FaultFindings, dataDir?: string) {
    this.random = random;
    this.findings = findings;
    this.dataDir = dataDir ?? join(this.folder, "data");
  }

  /** Gives so many letters to the application; one in the middle carries the accident. Returns the accident's marker. */
  load(count: number, accident?: Accident, cargoLength = 20): string {
    const marker = `happened-${this.#marker++}`;
    const at = Math.floor(count * (0.2 + 0.6 * this.random.next()));
    const lines = Array.from({ length: count }, (_, place) => {
      const letter = { id: this.#arrives.length, hops, cargo: "x".repeat(cargoLength) };
      this.#expect(letter);
      return JSON.stringify(
        place === at && accident !== undefined ? { ...letter, accident: { kind: accident, marker } } : letter,
      );
    });
    appendFileSync(join(this.folder, files.input), `${lines.join("\n")}\n`);
    return marker;
  }

  begin({ options, follow, ...setup }: FaultStart = {}): DrivenProcess {
    return new DrivenProcess({
      ...setup,
      module,
      options: { dataDir: this.dataDir, shards: 1 + this.random.below(shardsMax), ...options },
      statusEveryMs,
      env: { ...setup.env, [folderVariable]: this.folder, [finiteVariable]: follow === true ? "0" : "1" },
    });
  }

  expect(holds: boolean, what: string): void {
    if (!holds) this.findings.add("wrong", what);
  }

  hasHappened(marker: string): void {
    this.expect(existsSync(join(this.folder, marker)), "the accident did not happen");
  }

  /** A moment at which most letters are on their way. */
  midst(): Promise<void> {
    return this.pause(this.random.next() * 150);
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** Starts the application as it ought to be started, and settles. */
  async settleAnew(start: FaultStart = {}): Promise<void> {
    const process = this.begin(start);
    await process.running;
    await this.settle(process);
  }

  /** As `settle`, for a process that may end with one of these errors instead; it is then started anew. */
  async settleOrFail(process: DrivenProcess, codes: readonly ErrorCode[]): Promise<void> {
    try {
      return await this.settle(process);
    } catch (error) {
      await Promise.race([process.ended, this.pause(failMs)]); // what it failed with may reach a caller first
      process.kill("SIGKILL");
      const end = await process.ended;
      if (end.failure === undefined) throw error;
      this.failedWith(end, codes);
      await this.settleAnew();
    }
  }

  /** The process must have ended with one of these errors, and have said so. */
  failedWith(end: DrivenEnd, codes: readonly ErrorCode[]): void {
    const typed = end.code === 1 && codes.some((code) => code === end.failure?.code);
    this.expect(typed, `it was to fail with ${codes.join(" or ")}, not ${describe(end)}`);
  }

  /** Lets a process work everything off and stop, and compares what came out with what must have. */
  async settle(process: DrivenProcess): Promise<void> {
    const inquiry = this.#inquiries++;
    await process.call("quiesce", Number.MAX_SAFE_INTEGER);
    for (let relay = 0; relay < relays; relay++) await process.call("send", relayType, String(relay), { inquiry });
    await process.call("quiesce", Number.MAX_SAFE_INTEGER);
    await process.call("stop");
    const end = await process.ended;
    this.expect(end.code === 0, `the application ended with ${describe(end)}`);
    for (const parked of process.parked) this.findings.add("wrong", `quarantined: ${parked}`);
    this.#audit(inquiry);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** L1 */
  #expect(letter: Letter): void {
    let relay = firstRelay(letter);
    this.#passed[relay]++;
    for (let hop = 0; hop < letter.hops; hop++) {
      relay = nextRelay(relay, letter.id);
      this.#passed[relay]++;
    }
    this.#arrives.push(relay);
  }

  #audit(inquiry: number): void {
    const arrivals = new Map<number, number>();
    for (const { id, at } of this.#read<Arrival>(files.arrivals)) {
      if (at !== this.#arrives[id]) this.findings.add("wrong", `letter ${id} arrived at ${at}`);
      arrivals.set(id, (arrivals.get(id) ?? 0) + 1);
    }
    for (let id = 0; id < this.#arrives.length; id++) this.#compare(`letter ${id} arrived`, arrivals.get(id) ?? 0, 1);
    const tallies = this.#read<Tally>(files.tallies).filter((tally) => tally.inquiry === inquiry);
    for (const [relay, passed] of this.#passed.entries()) {
      const told = tallies.filter((tally) => tally.relay === relay);
      this.#compare(`relay ${relay} answered`, told.length, 1);
      this.#compare(`relay ${relay} has counted`, told[0]?.passed ?? 0, passed);
    }
  }

  #compare(what: string, found: number, expected: number): void {
    if (found < expected) this.findings.add("lost", `${what} ${found} times of ${expected}`, expected - found);
    if (found > expected) this.findings.add("duplicated", `${what} ${found} times of ${expected}`, found - expected);
  }

  #read<T>(file: string): T[] {
    const lines = readFileSync(join(this.folder, file), "utf8").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line) as T);
  }
}
