/**
 * The commands of the smoke workload: small random programs that the functions run. After Apache StateFun's smoke test.
 *
 * An instance is a number in them: three function types share the ids, so instance n is of type n mod 3 and has the id
 * ⌊n / 3⌋.
 */

export type Command =
  /** The counter of the instance, plus one. */
  | { readonly kind: "increment" }
  | { readonly kind: "send"; readonly target: number; readonly commands: Commands }
  | {
      readonly kind: "sendAfter";
      readonly target: number;
      readonly delayMs: number;
      readonly token?: string;
      readonly commands: Commands;
    }
  /** `race`: the message may have been sent already. Whether it was is told to an egress under this number. */
  | { readonly kind: "cancelSendAfter"; readonly token: string; readonly race?: number }
  /** The number tells the record apart from all others. */
  | { readonly kind: "sendEgress"; readonly number: number }
  /** Work outside of the turn that succeeds or fails; the commands run when its result comes, whatever that is. */
  | { readonly kind: "asyncOperation"; readonly failure: boolean; readonly resolvedCommands: Commands }
  /** Tells the verification egress what the instance has counted. */
  | { readonly kind: "verify"; readonly expected: number };

export type Commands = readonly Command[];

/** One line of the ingress. */
export interface SourceCommand {
  readonly target: number;
  readonly commands: Commands;
}

/** A line of the verification egress. */
export interface VerificationResult {
  readonly id: number;
  readonly expected: number;
  readonly actual: number;
  /** Messages the instance took, this one included. */
  readonly invocations: number;
  /** What must not happen within one instance: messages out of order, a cancelling that finds nothing. */
  readonly surprises: number;
}

/** A line of the discard egress. */
export interface Discarded {
  readonly number: number;
  readonly at: number;
}

/** A line of the egress of cancellations. */
export interface Cancellation {
  readonly race: number;
  readonly cancelled: boolean;
}

/** Where the run keeps its files, for the application module. */
export const folderVariable = "HOLDFAST_SMOKE_FOLDER";
/** "1": the ingress ends with its file. */
export const finiteVariable = "HOLDFAST_SMOKE_FINITE";

/** Names in that folder. */
export const files = {
  data: "data",
  commands: "commands.ndjson",
  rejects: "rejects.ndjson",
  discarded: "discard-sink.ndjson",
  verified: "verification-sink.ndjson",
  cancelled: "cancellations.ndjson",
};

export const typesCount = 3;
