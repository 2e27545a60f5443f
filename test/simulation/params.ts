/** What a seed's world is like: drawn once per seed, each seed a different mixture of features and faults. */
import type { Random } from "../../lib/base/random.js";

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
  feature: 3,
};

export interface Params {
  readonly shards: number;
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
  readonly intervalMs: number | undefined;
  readonly idleIntervalMs: number;
  /** How often others go on in the middle of a shard's step. */
  readonly preemptP: number;
  readonly steps: number;
  readonly crashes: number;
  /** The calls that crashes wait for; undefined for any, another one each time. */
  readonly crashCall: string | undefined;
  /** The committed epoch of the data directory at the beginning; near the end of 32 bits, say. */
  readonly firstEpoch: number;
  readonly ioErrorP: number;
  readonly diskFullP: number;
  readonly weights: readonly number[];
}

export function drawParams(random: Random): Params {
  const pick = <T>(...choices: readonly T[]): T => choices[random.below(choices.length)];
  const chance = (p: number): boolean => random.next() < p;
  const shards = pick(1, 2, 2, 3, 3, 4);
  const egress = chance(0.75);
  return {
    shards,
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
    segmentBytes: pick(1_024, 2_048, 4_096, 16_384),
    zeroAheadBytes: pick(512, 1_024),
    mergeIntervalMs: pick(0, 5, 30),
    intervalMs: pick(undefined, 1, 5, 20),
    idleIntervalMs: pick(2, 20),
    preemptP: pick(0, 0.03, 0.2),
    steps: 150 + random.below(850),
    crashes: random.below(7),
    crashCall: pick(undefined, undefined, undefined, "base sync"),
    firstEpoch: pick(0, 0, 0, 2 ** 31 - 4, 2 ** 32 - 4),
    ioErrorP: pick(0, 0, 0.3),
    diskFullP: pick(0, 0, 0, 0.3),
    weights: actionNames.map((name) => baseWeights[name] * pick(0.3, 1, 1, 2)),
  };
}
