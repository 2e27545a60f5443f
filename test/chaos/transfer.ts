/** What the killed application and its auditor agree on. */

/** Something that a transfer does beside moving money. */
export type Trick =
  /** its first turn throws once in every thread that sees it */
  | "throw"
  /** its first turn ends the worker thread, once */
  | "exit"
  /** it passes accounts in asynchronous turns */
  | "slow"
  /** its messages are larger than a frame of a ring */
  | "large";

/** One line of the input. */
export interface Transfer {
  readonly id: number;
  readonly from: string;
  readonly to: string;
  readonly via: readonly string[];
  readonly amount: number;
  readonly trick?: Trick;
}

/** One line of the output. */
export interface Credit {
  readonly id: number;
  readonly from: string;
  readonly to: string;
  readonly amount: number;
  /** Counts the credits of the account `to`. */
  readonly seq: number;
  /** Over all credits of the account, in their order. */
  readonly chain: number;
}

/** What an account says of itself. */
export interface Statement {
  readonly balance: number;
  readonly debits: number;
  readonly passes: number;
  readonly credits: number;
  readonly chain: number;
}

export const startBalance = 1_000;

/** The folder of a run, for the application module. */
export const directoryVariable = "HOLDFAST_CHAOS_DIR";

/** Names in that folder. */
export const files = {
  input: "input.ndjson",
  credits: "credits.ndjson",
  rejects: "rejects.ndjson",
  data: "data",
  exitMark: "exited-",
};

/** The next link of an account's chain: depends on every credit before and on their order. */
export function chain(before: number, id: number, amount: number): number {
  let hash = before;
  for (const part of [id, amount]) hash = Math.imul(hash ^ part, 0x01000193) >>> 0;
  return (hash ^ (hash >>> 15)) >>> 0;
}
