/**
 * Lets every call of storage into its ports fail once: the whole script runs anew for each call and each way to fail.
 *
 * K1. An error ends the generation, like in the supervisor, and recovery goes on from the last commit; a crash gives a
 *     new process on what the disk has, after a loss of power without what was not synced.
 * K2. Only typed errors of the disk come out: anything else (a failed invariant, damage) is a violation, and so is a row
 *     that is not there, or is there and should not.
 */
import { type ErrorCode, isHoldfastError } from "../../lib/base/errors.js";
import { type Random, seededRandom } from "../../lib/base/random.js";
import { SimBase } from "../simulation/sim-base.js";
import { SimDisk, SimulatedCrash } from "../simulation/sim-disk.js";
import { type Step, script } from "../stored/script.js";
import { type StoredPorts, StoredWorkload } from "../stored/stored-workload.js";
import { type Fault, FaultyCalls, FaultyDisk, faultKinds, faultyBase } from "./faulty-calls.js";

/** What was done and what was seen. */
export interface FailKthReport {
  /** Calls of the script when none fails. */
  readonly calls: number;
  readonly cases: number;
  readonly violations: readonly string[];
}

export interface FailKthOptions {
  readonly rounds: number;
  readonly seed: number;
  /** Only each so-manyth call fails; 1 for all. */
  readonly stride?: number;
  progress?(done: number, of: number): void;
}

const dataDir = "/data";
const lossKinds = ["process", "os"] as const;
type Loss = (typeof lossKinds)[number];
/** What a call of the disk that failed becomes. */
const expected: readonly ErrorCode[] = ["HF_IO", "HF_DISK_FULL"];
const retriesMax = 3;

/** Runs the script once per call and way to fail. */
export function failEachCall(options: FailKthOptions): FailKthReport {
  const steps = script(options.rounds);
  const calls = new Run(steps, options.seed, undefined, "process").run();
  const violations: string[] = [];
  let cases = 0;
  for (let call = 1; call <= calls; call += options.stride ?? 1) {
    for (const kind of faultKinds) {
      for (const loss of kind.startsWith("crash") ? lossKinds : (["process"] as const)) {
        cases++;
        const run = new Run(steps, options.seed, { call, kind }, loss);
        try {
          run.run();
        } catch (error) {
          const why = error instanceof Error ? error.message : String(error);
          violations.push(`call ${call} (${run.failed}), ${kind}, loss of ${loss}: ${why}`);
        }
      }
    }
    options.progress?.(call, calls);
  }
  return { calls, cases, violations };
}

class Run {
  readonly #steps: readonly Step[];
  readonly #random: Random;
  readonly #loss: Loss;
  readonly #calls: FaultyCalls;
  readonly #disk: SimDisk;
  readonly #bases = new Map<string, SimBase>();
  readonly #workload: StoredWorkload;
  #shards = 0;

  constructor(steps: readonly Step[], seed: number, fault: Fault | undefined, loss: Loss) {
    this.#steps = steps;
    this.#random = seededRandom(seed);
    this.#loss = loss;
    this.#calls = new FaultyCalls(fault);
    this.#disk = new SimDisk(seededRandom(seed + 1));
    this.#disk.mkdir(dataDir);
    this.#disk.syncDirectory("/");
    this.#workload = new StoredWorkload(dataDir, this.#random, this.#ports());
  }

  /** The call that failed. */
  get failed(): string | undefined {
    return this.#calls.failed;
  }

  /** Runs the script, and reads everything back once more. @throws a violation @returns how many calls there were */
  run(): number {
    for (const step of this.#steps) this.#attempt(step);
    const { calls } = this.#calls;
    this.#attempt((workload) => workload.close());
    this.#workload.replaceProcess(this.#powerLoss());
    this.#workload.start(this.#shards);
    return calls;
  }

  #attempt(step: Step): void {
    let again = step;
    for (let retry = 0; ; retry++) {
      try {
        again(this.#noting());
        return;
      } catch (error) {
        if (retry === retriesMax) throw error;
        if (error instanceof SimulatedCrash) {
          this.#crash(this.#loss);
          this.#workload.replaceProcess(this.#ports());
        } else if (!isHoldfastError(error) || !expected.includes(error.code)) throw error; // K2
        again = (workload) => workload.start(this.#shards); // K1
      }
    }
  }

  /** The workload, remembering the shard count of its last start. */
  #noting(): StoredWorkload {
    const workload = this.#workload;
    return new Proxy(workload, {
      get: (_, name) => {
        const value: unknown = Reflect.get(workload, name, workload);
        if (typeof value !== "function") return value;
        return (...args: unknown[]): unknown => {
          if (name === "start") this.#shards = args[0] as number;
          return value.apply(workload, args);
        };
      },
    });
  }

  #powerLoss(): StoredPorts {
    this.#crash("os");
    return this.#ports();
  }

  #crash(loss: Loss): void {
    this.#disk.crash(loss);
    for (const base of this.#bases.values()) base.crash(loss, this.#random);
  }

  #ports(): StoredPorts {
    const calls = this.#calls;
    return {
      disk: new FaultyDisk(this.#disk, calls),
      openBase: (path) => {
        const base = this.#bases.get(path) ?? new SimBase();
        const writer = calls.call(`open base ${path}`, "change", () => {
          this.#bases.set(path, base);
          this.#disk.mkdir(path);
          return base.openWriter();
        });
        return faultyBase(writer, path, calls);
      },
      destroyBase: (path) => {
        calls.call(`destroy base ${path}`, "change", () => this.#bases.delete(path));
      },
    };
  }
}
