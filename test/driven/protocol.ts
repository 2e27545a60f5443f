/** What a driven application and the process that drives it tell each other. */
import type { StartOptions, Status } from "../../lib/index.js";

/** What the driven application starts with; it comes in the environment. */
export interface DrivenPlan {
  /** URL of the application module. */
  readonly module: string;
  readonly options: StartOptions;
  /** How often the status is told. */
  readonly statusEveryMs: number;
}

export const planVariable = "HOLDFAST_DRIVEN_PLAN";

/** An error as the driven application tells it. */
export interface ToldError {
  /** `HF_…` for a typed error, or that of the system. */
  readonly code: string | undefined;
  readonly message: string;
}

/** What can be asked of a driven application. */
export interface DrivenCalls {
  /**
   * Waits until no message, timer or operation is pending any more. Delayed messages that are due in more than `farMs` by
   * the wall clock are not waited for. What a kill has made look guilty (`HF_KILLS_WORKER`) is released from quarantine.
   */
  quiesce(farMs: number): Quiescence;
  /** Ends the thread of a shard from outside, wherever it is. False when there was none. */
  endShard(dice: number): boolean;
  /** Ends the storage thread. */
  endStorage(): void;
  /** `process.abort` on the main thread. */
  abort(): void;
  /** `app.send` to `namespace/name` and id. */
  send(type: string, id: string, message: unknown): void;
  /** Opens files until none can be opened any more, closes them after so many milliseconds; how many there were. */
  useUpFiles(ms: number): number;
  /** `app.stop`, then the process ends by itself. */
  stop(): void;
}

export interface Quiescence {
  /** Delayed messages that were not waited for. */
  readonly farTimers: number;
  /** Addresses that were quarantined because threads or processes had died while they had a turn; they were released. */
  readonly released: number;
  readonly status: Status;
}

export type DrivenCall = {
  readonly [K in keyof DrivenCalls]: {
    readonly call: number;
    readonly name: K;
    readonly args: Parameters<DrivenCalls[K]>;
  };
}[keyof DrivenCalls];

export type DrivenSaid =
  /** The program runs; nothing was started yet. */
  | { readonly kind: "hello" }
  /** `start` has resolved. */
  | { readonly kind: "running" }
  | { readonly kind: "status"; readonly status: Status; readonly rssBytes: number }
  | { readonly kind: "restarted"; readonly reason: ToldError }
  | { readonly kind: "warning"; readonly message: string }
  /** `error` is what was thrown. */
  | { readonly kind: "parked"; readonly address: string; readonly error: ToldError }
  /** The start was refused, or the application has ended with an error; the process exits with 1. */
  | { readonly kind: "failed"; readonly error: ToldError }
  | { readonly kind: "answer"; readonly call: number; readonly value: unknown; readonly error: ToldError | undefined };
