/**
 * What a seed's world is like: drawn once per seed, each seed a different mixture of features and faults. Worlds lack
 * many things, another selection each, so that everything is also met without what would hide it (swarm testing).
 */
import { captureRowsPerStepMax, mergeSliceRowsMax, receivePerStepMax, turnsPerStepMax } from "../../lib/base/limits.js";
import { type Random, seededRandom } from "../../lib/base/random.js";
import { hashId } from "../../lib/partition/hash.js";

/** The actions of the scheduler, by how often they are chosen. */
export const actionNames = [
  "shard",
  "storage",
  "delta",
  "notice",
  "promise",
  "send",
  "flush",
  "feed",
  "sink",
  "clock",
  "pressure",
  "request",
  "feature",
] as const;
export type ActionName = (typeof actionNames)[number];

const baseWeights: Record<ActionName, number> = {
  shard: 40,
  storage: 14,
  delta: 10,
  notice: 5,
  promise: 4,
  send: 5,
  flush: 4,
  feed: 2,
  sink: 3,
  clock: 6,
  pressure: 1,
  request: 1,
  feature: 6,
};

export interface Params {
  readonly shards: number;
  /** How often a new process has another number of shards. */
  readonly rescaleP: number;
  readonly keyGroups: number;
  readonly ringBytes: number;
  readonly nearWrap: boolean;
  readonly types: number;
  readonly addresses: number;
  readonly skewed: boolean;
  readonly asyncP: number;
  readonly throwP: number;
  readonly bigP: number;
  readonly burstP: number;
  readonly splits: number;
  readonly recordsPerSplit: number;
  readonly badRecordP: number;
  /** Without it the application has no egress at all, and no ingress (whose rejects are one). */
  readonly egress: boolean;
  readonly sends: number;
  readonly askP: number;
  readonly parking: boolean;
  readonly residentInstancesMax: number;
  readonly admissionBytesMax: number;
  readonly turnAttemptsMax: number;
  readonly turnTimeoutMs: number;
  readonly segmentBytes: number;
  readonly zeroAheadBytes: number;
  readonly mergeIntervalMs: number;
  /** With one, a crash may come in the middle of a merge. */
  readonly mergeSliceRowsMax: number;
  readonly intervalMs: number | undefined;
  readonly idleIntervalMs: number;
  /** How often others go on in the middle of a shard's step. */
  readonly preemptP: number;
  /** What a shard does at most in one of its steps; with little, messages stay in the rings for epochs. */
  readonly receivePerStepMax: number;
  readonly turnsPerStepMax: number;
  readonly captureRowsPerStepMax: number;
  /** How often the first shard, when it may step, does not: its thread has no core. */
  readonly lagP: number;
  /** Many messages come at once and find large rings. */
  readonly crowded: boolean;
  /** How often, at a capture, memory has another room than before: for one instance, for two, or for any number. */
  readonly roomP: number;
  readonly steps: number;
  readonly crashes: number;
  /** The steps that they come before. */
  readonly crashesAt: readonly number[];
  /** How often a crash waits for a call to disk or base. */
  readonly callCrashP: number;
  /** The calls that crashes wait for; undefined for any, another one each time. */
  readonly crashCall: string | undefined;
  /** The committed epoch of the data directory at the beginning; near the end of 32 bits, say. */
  readonly firstEpoch: number;
  /** The longest that a sync takes; others go on meanwhile. */
  readonly syncMsMax: number;
  readonly ioErrorP: number;
  readonly diskFullP: number;
  readonly weights: readonly number[];
}

/** What a run changes in the world of a seed: to find out what a failure needs, or to have one feature in every world. */
export interface Overrides {
  /** Exactly these features, whatever was drawn. */
  readonly features?: readonly string[];
  /** Without these features, conditions and actions. */
  readonly without?: readonly string[];
  readonly steps?: number;
  readonly crashes?: number;
  readonly addresses?: number;
}

/** What worlds can do without, by name; actions and features besides. */
const conditions: { readonly [name: string]: Partial<Params> } = {
  async: { asyncP: 0 },
  throws: { throwP: 0 },
  big: { bigP: 0 },
  bursts: { burstP: 0 },
  splits: { splits: 0 },
  rejects: { badRecordP: 0 },
  egress: { egress: false, splits: 0 },
  asks: { askP: 0 },
  parking: { parking: false },
  preemption: { preemptP: 0 },
  lag: { lagP: 0 },
  crowds: { crowded: false },
  slices: { receivePerStepMax, turnsPerStepMax, captureRowsPerStepMax },
  "merge-slices": { mergeSliceRowsMax },
  rescale: { rescaleP: 0 },
  skew: { skewed: false },
  wrap: { nearWrap: false },
  age: { firstEpoch: 0 },
  eviction: { residentInstancesMax: 1_000 },
  memory: { roomP: 0 },
  admission: { admissionBytesMax: 1_000_000 },
  timeouts: { turnTimeoutMs: 60_000 },
  latency: { syncMsMax: 0 },
  "call-crashes": { callCrashP: 0, crashCall: undefined },
  "io-errors": { ioErrorP: 0 },
  "disk-full": { diskFullP: 0 },
};

/** Names that `--without` knows besides those of features. */
export const dispensable: readonly string[] = [
  ...Object.keys(conditions),
  ...actionNames.filter((name) => name !== "shard" && name !== "storage" && name !== "delta"),
];

/** The numbers of one part of a world. Each part has its own, so that a world without one is otherwise much the same. */
export function streamOf(seed: number, part: string): Random {
  return seededRandom(Math.imul(seed, 0x9e3779b1) ^ hashId(part));
}

/** The world of a seed, with what the run changes in it. */
export function paramsOf(seed: number, overrides: Overrides): Params {
  const drawn = {
    ...draw(streamOf(seed, "params")),
    ...drawSlices(streamOf(seed, "slices")),
    roomP: picking(streamOf(seed, "room"))(0, 0, 0.3),
    mergeSliceRowsMax: picking(streamOf(seed, "merges"))(1, mergeSliceRowsMax, mergeSliceRowsMax),
  };
  const { without = [], steps = drawn.steps, crashes = drawn.crashes, addresses = drawn.addresses } = overrides;
  const lacking = without.map((name) => conditions[name] ?? {});
  const weights = drawn.weights.map((weight, action) => (without.includes(actionNames[action]) ? 0 : weight));
  const crashesAt = drawn.crashesAt.slice(0, crashes); // those that are left come when they came
  return Object.assign({}, drawn, ...lacking, { weights, steps, crashes, crashesAt, addresses });
}

type Slices = Pick<Params, "receivePerStepMax" | "turnsPerStepMax" | "captureRowsPerStepMax" | "lagP" | "crowded">;

function drawSlices(random: Random): Slices {
  const pick = picking(random);
  return {
    receivePerStepMax: pick(1, 3, receivePerStepMax),
    turnsPerStepMax: pick(1, turnsPerStepMax),
    captureRowsPerStepMax: pick(1, 4, captureRowsPerStepMax),
    lagP: pick(0, 0, 0.7, 0.95),
    crowded: pick(false, false, false, true),
  };
}

function picking(random: Random): <T>(...choices: readonly T[]) => T {
  return (...choices) => choices[random.below(choices.length)];
}

function draw(random: Random): Omit<Params, keyof Slices | "roomP" | "mergeSliceRowsMax"> {
  const pick = picking(random);
  const chance = (p: number): boolean => random.next() < p;
  const shards = pick(1, 2, 2, 2, 3, 3, 3, 4, 5, 6);
  const egress = chance(0.75);
  const steps = 150 + random.below(850);
  const crashes = random.below(7);
  const crashCall = pick(undefined, undefined, undefined, "base sync");
  return {
    shards,
    rescaleP: crashCall === undefined ? pick(0, 0.3, 0.3, 0.8) : 0, // a new layout is written, and synced, anew
    keyGroups: 8 + random.below(9),
    ringBytes: pick(64, 128, 256, 512),
    nearWrap: chance(0.7),
    types: pick(2, 3),
    addresses: Math.max(2, shards) + random.below(9 - Math.max(2, shards)),
    skewed: chance(0.4),
    asyncP: pick(0, 0.1, 0.4),
    throwP: pick(0, 0, 0.05, 0.2),
    bigP: pick(0, 0.1, 0.4),
    burstP: pick(0, 0.1, 0.3),
    splits: egress ? random.below(4) : 0,
    recordsPerSplit: 4 + random.below(16),
    badRecordP: pick(0, 0.1),
    egress,
    sends: egress ? random.below(30) : 10 + random.below(20),
    askP: pick(0, 0.3),
    parking: chance(0.5),
    residentInstancesMax: pick(1, 2, 1_000),
    admissionBytesMax: pick(400, 2_000, 1_000_000),
    turnAttemptsMax: pick(2, 8),
    turnTimeoutMs: pick(20, 60_000),
    segmentBytes: pick(2_048, 2_048, 4_096, 16_384), // a commit record lists its deltas and has to fit
    zeroAheadBytes: pick(512, 1_024),
    mergeIntervalMs: crashCall === undefined ? pick(0, 5, 30) : 0, // a base is synced behind each merge
    intervalMs: pick(undefined, 1, 5, 20),
    idleIntervalMs: pick(2, 20),
    preemptP: pick(0, 0.03, 0.1, 0.3),
    steps,
    crashes,
    crashesAt: Array.from({ length: crashes }, () => random.below(steps)),
    callCrashP: pick(0, 0.5, 0.5),
    crashCall,
    firstEpoch: pick(0, 0, 0, 2 ** 31 - 4, 2 ** 32 - 4),
    syncMsMax: pick(0, 0, 3, 15),
    ioErrorP: pick(0, 0, 0.3),
    diskFullP: pick(0, 0, 0, 0.3),
    weights: actionNames.map((name) => baseWeights[name] * pick(0.3, 1, 1, 2)),
  };
}
