/** What a bench is: one function from options to a result that ends as one line of JSON. */

/** What the command line (or a test) asks for. Where a number is missing the bench has its own default. */
export interface BenchOptions {
  /** Seconds in place of a minute: for tests. Too noisy to quote. */
  readonly quick: boolean;
  readonly rounds?: number;
  readonly shards?: number;
  /** Readers of one file. */
  readonly splits?: number;
  /** Addresses that messages go to. */
  readonly keys?: number;
  /** Messages of one round. */
  readonly messages?: number;
  /** Part of the maximum rate that an open-loop load offers, above 0 and below 1. */
  readonly load?: number;
  /** Chains of messages per shard. */
  readonly chains?: number;
  /** Addresses that exist. */
  readonly addresses?: number;
  /** With a cap on resident addresses. */
  readonly cap?: boolean;
  /** Takes lines for a person: progress, and what does not belong into the result. */
  readonly log: (line: string) => void;
}

/** The last line of a bench, as JSON. */
export interface BenchResult {
  readonly name: string;
  /** In `unit`. */
  readonly value: number;
  readonly unit: string;
  /** What the same run measured of the thing it compares with. */
  readonly baseline?: number;
  /** What the targets compare: `value` to `baseline`, in most benches. */
  readonly ratio?: number;
  /** Of times, in `unit`. */
  readonly p50?: number;
  readonly p99?: number;
  readonly max?: number;
  /** Rounds that the median is of. */
  readonly rounds: number;
  /** (largest - smallest) / median of the rounds. */
  readonly spread: number;
  /** A number that comes out only when every message took effect exactly once; the bench fails otherwise. */
  readonly checksum: number;
  /** What one needs to know to read the value: shards, keys, and so on. */
  readonly [context: string]: unknown;
}

/** What a module of a bench exports. */
export interface Bench {
  run(options: BenchOptions): Promise<BenchResult>;
}
