/** Start options: checked and completed once; below, every field is there. */

import { resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { HoldfastError, isHoldfastError } from "../base/errors.js";
import {
  admissionBytesMax,
  captureRowsPerStepMax,
  epochIdleIntervalMs,
  gatewayBytesMax,
  keyGroupsDefault,
  keyGroupsMax,
  mergeIntervalMs,
  mergeSliceRowsMax,
  overloadBytesMax,
  receivePerStepMax,
  recentRowsMax,
  recentSlabBytes,
  shardsMax,
  timersResidentMax,
  turnAttemptsMax,
  turnRetryBaseMs,
  turnsPerStepMax,
  turnTimeoutMs,
  unmergedCellsMin,
  watchdogTimeoutMs,
} from "../base/limits.js";
import type { ShardLimits } from "../shard/ports.js";
import type { GenerationOptions } from "../snapshot/storage.js";
import { defaultShards } from "../supervisor/supervisor.js";

/** How often the application commits. */
export interface CheckpointOptions {
  /**
   * A fixed interval between commits of busy shards, in milliseconds (1 to 60,000). Default: adaptive. While
   * somebody outside waits (for a reply, a record, or that a message is durable) commits take at most a fifth of a core
   * and come every 2 to 100 ms, otherwise 3 % of a core and every 2 to 400 ms. Idle shards with a caller waiting commit at
   * once in either case.
   */
  readonly intervalMs?: number;
  /**
   * The interval when the shards are idle and nobody waits, in milliseconds. Default 100. While `drained` or `stop` waits,
   * idle shards commit as often as for a caller.
   */
  readonly idleIntervalMs?: number;
}

/** What `start` takes. */
export interface StartOptions {
  /** The directory that holds everything durable. Made when it does not exist. One process owns it at a time. */
  readonly dataDir: string;
  /**
   * Worker threads with a part of the addresses each, 1 to 64. Default: what the directory was last used with, or one
   * per core. May differ from run to run: the state is dealt anew. With one per core or more, V8 collects young objects
   * of this process without helper threads (`--no-parallel-scavenge`), as these would wait for a core.
   */
  readonly shards?: number;
  readonly checkpoint?: CheckpointOptions;
  /** Number of key groups of a new data directory, 1 to 32,768. Default 128; never changes afterwards. */
  readonly keyGroups?: number;
  /** Attempts of a turn that throws, where its function does not say otherwise, 1 to 100. Default 3. */
  readonly turnAttempts?: number;
  /** Pause before the second attempt, in milliseconds; it doubles. Default 10. */
  readonly turnRetryMs?: number;
  /** Time an asynchronous turn may take, in milliseconds. Default 60,000. */
  readonly turnTimeoutMs?: number;
  /** Time a synchronous turn may hold its thread before the thread is replaced, in milliseconds. Default 30,000. */
  readonly watchdogMs?: number;
  /**
   * Addresses one shard keeps in memory at most, some 200 bytes each beside their state; idle clean ones above are evicted
   * and read again on use. While merges are behind there are at most twice as many, or 131,072 more. Default: as many as
   * there is memory for. In any case what lives in the heap of a shard's thread is to stay below half of the heap's limit
   * (`shardHeapMb`), and that of all shards below a quarter of the memory of the machine or container; garbage comes on
   * top, at most as much again. With less than 1,000,000, V8 collects old garbage of this process when a heap has grown by a
   * fifth (`--heap-growing-percent=20`): what was evicted is such.
   */
  readonly residentMax?: number;
  /**
   * Heap of each shard's thread in MiB, 32 to 65,536. A thread that needs more ends, and all shards restart from the last
   * commit. Default: what Node gives a thread.
   */
  readonly shardHeapMb?: number;
  /**
   * Start without taking anything from ingresses and without running a turn: to look at what is stored, and to mend it
   * (`app.quarantine`, `app.timers`, …). Messages sent meanwhile are kept. Default false.
   */
  readonly paused?: boolean;
  /**
   * Where committed epochs of the log are damaged, the start is refused and the error names the last good epoch. Giving
   * it here accepts that everything committed after it is lost. Of no effect on a data directory that is whole.
   */
  readonly recoverTo?: number;
}

/** Start options, complete. */
export interface ResolvedOptions {
  readonly moduleUrl: string;
  readonly dataDir: string;
  readonly shards: number;
  readonly keyGroups: number;
  readonly limits: ShardLimits;
  readonly generation: GenerationOptions;
  readonly watchdogTimeoutMs: number;
  readonly gatewayBytesMax: number;
  readonly paused: boolean;
  readonly shardHeapMb: number | undefined;
  readonly recoverTo: number | undefined;
}

const known: ReadonlySet<string> = new Set([
  "dataDir",
  "shards",
  "checkpoint",
  "keyGroups",
  "turnAttempts",
  "turnRetryMs",
  "turnTimeoutMs",
  "watchdogMs",
  "residentMax",
  "paused",
  "shardHeapMb",
  "recoverTo",
] satisfies (keyof StartOptions)[]);
const knownCheckpoint: ReadonlySet<string> = new Set([
  "intervalMs",
  "idleIntervalMs",
] satisfies (keyof CheckpointOptions)[]);

/** @throws `HF_BAD_OPTIONS` naming the option and what it may be. */
export function resolveOptions(module: URL | string, options: StartOptions): ResolvedOptions {
  if (typeof options !== "object" || options === null) throw bad("start needs options: { dataDir: … }");
  checkKeys(options, known, "");
  const { dataDir, checkpoint = {} } = options;
  if (typeof dataDir !== "string" || dataDir === "" || dataDir.includes("\0"))
    throw bad('dataDir must be the path of a directory, such as "./data"');
  if (typeof checkpoint !== "object" || checkpoint === null)
    throw bad("checkpoint must be an object such as { intervalMs: 50 }");
  checkKeys(checkpoint, knownCheckpoint, "checkpoint.");
  const directory = resolve(dataDir);
  const residentMax =
    options.residentMax === undefined
      ? Number.POSITIVE_INFINITY
      : integer(options.residentMax, "residentMax", 1, 2 ** 31);
  return {
    moduleUrl: moduleUrlOf(module),
    dataDir: directory,
    shards: options.shards === undefined ? usualShards(directory) : integer(options.shards, "shards", 1, shardsMax),
    keyGroups: integer(options.keyGroups ?? keyGroupsDefault, "keyGroups", 1, keyGroupsMax),
    limits: {
      residentInstancesMax: residentMax,
      admissionBytesMax,
      overloadBytesMax,
      turnAttemptsMax: integer(options.turnAttempts ?? turnAttemptsMax, "turnAttempts", 1, 100),
      turnRetryBaseMs: milliseconds(options.turnRetryMs ?? turnRetryBaseMs, "turnRetryMs", 0),
      turnTimeoutMs: milliseconds(options.turnTimeoutMs ?? turnTimeoutMs, "turnTimeoutMs", 1),
      timersResidentMax,
      recentRowsMax,
      recentSlabBytes,
      receivePerStepMax,
      turnsPerStepMax,
      captureRowsPerStepMax,
      unmergedCellsMin,
    },
    generation: {
      pace: {
        intervalMs:
          checkpoint.intervalMs === undefined
            ? undefined
            : milliseconds(checkpoint.intervalMs, "checkpoint.intervalMs", 1, 60_000),
        idleIntervalMs: milliseconds(
          checkpoint.idleIntervalMs ?? epochIdleIntervalMs,
          "checkpoint.idleIntervalMs",
          1,
          60_000,
        ),
      },
      mergeIntervalMs,
      mergeSliceRowsMax,
    },
    watchdogTimeoutMs: milliseconds(options.watchdogMs ?? watchdogTimeoutMs, "watchdogMs", 100),
    gatewayBytesMax,
    paused: boolean(options.paused ?? false, "paused"),
    shardHeapMb:
      options.shardHeapMb === undefined ? undefined : integer(options.shardHeapMb, "shardHeapMb", 32, 65_536),
    recoverTo:
      options.recoverTo === undefined ? undefined : integer(options.recoverTo, "recoverTo", 0, Number.MAX_SAFE_INTEGER),
  };
}

/** What says that a data directory is of no use. */
export function badDataDir(dataDir: string, cause: unknown): HoldfastError {
  return new HoldfastError(
    "HF_DATA_DIR",
    `the data directory ${dataDir} cannot be written: make it writable for this user, or choose another`,
    { cause },
  );
}

function usualShards(directory: string): number {
  try {
    return Math.min(defaultShards(directory), shardsMax);
  } catch (error) {
    throw isHoldfastError(error, "HF_IO") ? badDataDir(directory, error) : error;
  }
}

function moduleUrlOf(module: URL | string): string {
  if (module instanceof URL && module.protocol !== "file:") {
    throw bad(`the application module must be a file: URL, not ${module.protocol}`);
  }
  const given = module instanceof URL ? module.href : module;
  if (typeof given !== "string" || given === "")
    throw bad('start needs the URL of the application module: new URL("./app.js", import.meta.url)');
  if (!given.startsWith("file:")) return pathToFileURL(resolve(given)).href;
  checkFileUrl(given);
  return new URL(given).href;
}

function checkFileUrl(url: string): void {
  try {
    fileURLToPath(url);
  } catch (error) {
    throw new HoldfastError("HF_BAD_OPTIONS", `the application module ${url} is no file here`, { cause: error });
  }
}

function checkKeys(given: object, allowed: ReadonlySet<string>, prefix: string): void {
  for (const key of Object.keys(given)) {
    if (allowed.has(key)) continue;
    throw bad(
      `there is no option ${prefix}${key}; the options are ${[...allowed].map((name) => prefix + name).join(", ")}`,
    );
  }
}

function integer(given: unknown, name: string, min: number, max: number): number {
  if (typeof given !== "number" || !Number.isInteger(given) || given < min || given > max) {
    throw bad(`${name} must be a whole number from ${min} to ${max}, not ${String(given)}`);
  }
  return given;
}

function boolean(given: unknown, name: string): boolean {
  if (typeof given !== "boolean") throw bad(`${name} must be true or false, not ${String(given)}`);
  return given;
}

function milliseconds(given: unknown, name: string, min: number, max = 2 ** 31 - 1): number {
  if (typeof given !== "number" || !(given >= min) || given > max) {
    throw bad(`${name} must be milliseconds from ${min} to ${max}, not ${String(given)}`);
  }
  return given;
}

function bad(message: string): HoldfastError {
  return new HoldfastError("HF_BAD_OPTIONS", message);
}
