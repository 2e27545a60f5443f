/** The commands that make up the evidence, what each proves, and what of their verdicts adds up. */
import { judgedLivesMin } from "../soak/slope.js";

/** The last line of a command, as an object. */
export type Verdict = Readonly<Record<string, unknown>>;

/** What all commands together went through. */
export interface Totals {
  readonly "seeds of the model"?: number;
  readonly "seeds of the simulator"?: number;
  readonly "simulated crashes"?: number;
  readonly "planted bugs that were caught"?: number;
  readonly "kills with SIGKILL"?: number;
  readonly "ends of threads"?: number;
  readonly "damaged directories"?: number;
  readonly "calls of storage that failed"?: number;
  readonly faults?: number;
  readonly "messages and records"?: number;
}

/** How thorough a run is. */
export type Extent = "quick" | "full";

/** One command. */
export interface EvidenceCommand {
  readonly name: string;
  /** Below `dist/test/`, without `.js`. */
  readonly program: string;
  /** As a reader would type it. */
  readonly typed: string;
  readonly shows: string;
  /** Its arguments; undefined where it is not part of such a run. */
  readonly arguments: Readonly<Record<Extent, readonly string[] | undefined>>;
  totals(verdict: Verdict): Totals;
  /** What it did not look at, although it passed. */
  caveat?(verdict: Verdict): string | undefined;
}

/** In the order in which they run: first what is fast. */
export const evidenceCommands: readonly EvidenceCommand[] = [
  {
    name: "model",
    program: "model/main",
    typed: "npm run model --",
    shows: "the protocol keeps its rules, and every bug planted in it breaks one",
    arguments: {
      quick: ["--seeds", "2000", "--mutants"],
      full: ["--seeds", "20000", "--mutants"],
    },
    totals: (verdict) => ({
      "seeds of the model": count(verdict.seeds),
      "simulated crashes": count(verdict.crashes),
      "planted bugs that were caught": count(verdict.mutants) - length(verdict.survivors),
    }),
  },
  {
    name: "sim",
    program: "simulation/main",
    typed: "npm run sim --",
    shows: "the real shard, coordinator and storage keep their rules in simulated worlds; the canary is caught",
    arguments: { quick: ["--seeds", "400"], full: ["--seeds", "20000"] },
    totals: (verdict) => ({
      "seeds of the simulator": count(verdict.seeds),
      "simulated crashes": count(verdict.crashes),
      "planted bugs that were caught": verdict.canary === true ? 1 : 0,
    }),
  },
  {
    name: "mutants",
    program: "run",
    typed: "node dist/test/run.js",
    shows: "every bug planted in the engine, and every seed that once failed, is what the simulator says it is",
    arguments: { quick: undefined, full: ["simulation/simulation"] },
    totals: () => ({}),
  },
  {
    name: "failkth",
    program: "failkth/main",
    typed: "npm run failkth --",
    shows: "any call of storage may fail in any way: it recovers, or stops with a typed error",
    arguments: { quick: ["--rounds", "1", "--stride", "5"], full: ["--rounds", "3"] },
    totals: (verdict) => ({ "calls of storage that failed": count(verdict.cases) }),
  },
  {
    name: "corrupt",
    program: "corrupt/main",
    typed: "npm run corrupt --",
    shows: "damage is refused, or ignored where it is above the last commit; it is never silent",
    arguments: { quick: ["--count", "100"], full: ["--count", "2000"] },
    totals: (verdict) => ({ "damaged directories": count(verdict.count) }),
  },
  {
    name: "faults",
    program: "faults/main",
    typed: "npm run faults --",
    shows: "whatever happens to threads, processes and their surroundings: nothing is lost, nothing is doubled",
    arguments: {
      quick: ["--only", "end of a shard's thread,end of the storage thread,process.abort,clock jumps,full disk"],
      full: ["--rounds", "3"],
    },
    totals: (verdict) => ({ faults: sumOf(verdict.faults) }),
    caveat: ({ skipped }) => {
      const missing = Object.entries(skipped ?? {}).map(([fault, why]) => `${fault} (${why})`);
      return missing.length === 0 ? undefined : `without ${missing.join(", ")}`;
    },
  },
  {
    name: "smoke",
    program: "smoke/main",
    typed: "npm run smoke --",
    shows: "the smoke workload of Apache StateFun with kills: every counter is exact",
    arguments: {
      quick: ["--messages", "5000", "--instances", "128", "--kills", "3"],
      full: ["--messages", "100000", "--instances", "128", "--kills", "20"],
    },
    totals: (verdict) => ({
      "kills with SIGKILL": count(verdict.kills),
      "ends of threads": count(verdict.threadEnds),
      "messages and records": count(verdict.invocations),
    }),
  },
  {
    name: "chaos",
    program: "chaos/main",
    typed: "npm run chaos --",
    shows: "the real command, killed at any moment: nothing is lost, nothing is doubled, in files and in state",
    arguments: { quick: ["--kills", "4"], full: ["--kills", "200"] },
    totals: (verdict) => ({
      "kills with SIGKILL": count(verdict.kills),
      "ends of threads": count(verdict.workerExits),
      "messages and records": count(verdict.records),
    }),
  },
  {
    name: "soak",
    program: "soak/main",
    typed: "npm run soak --",
    shows: "under steady load with kills memory does not grow, and recoveries stay short",
    arguments: { quick: ["--minutes", "0.6", "--kill-every", "12"], full: ["--minutes", "10"] },
    totals: (verdict) => ({
      "kills with SIGKILL": count(verdict.kills),
      "messages and records": count(verdict.invocations),
    }),
    caveat: ({ rssMiBAtEndOfLives: lives }) =>
      length(lives) >= judgedLivesMin
        ? undefined
        : `memory was not judged, which takes ${judgedLivesMin} whole lives of a process; there were ${length(lives)}`,
  },
];

/** The sum, name by name. */
export function addTotals(parts: readonly Totals[]): Map<string, number> {
  const sum = new Map<string, number>();
  for (const part of parts)
    for (const [name, value] of Object.entries(part)) sum.set(name, (sum.get(name) ?? 0) + value);
  return sum;
}

/** What is not a number does not count. */
function count(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0;
}

function length(value: unknown): number {
  return Array.isArray(value) ? value.length : 0;
}

function sumOf(values: unknown): number {
  if (typeof values !== "object" || values === null) return 0;
  return Object.values(values).reduce((sum: number, value) => sum + count(value), 0);
}
