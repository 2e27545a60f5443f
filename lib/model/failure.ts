/** What happens to a message whose turn fails: declared per function, in `defineFunction({ failure })`. */
import { HoldfastError } from "../base/errors.js";
import type { Address } from "./address.js";
import type { EgressDefinition } from "./egress.js";

/** How a turn that failed is tried again. Other addresses go on in the meantime. */
export interface RetryPolicy {
  /** Attempts in all, 1 to 1,000. Default: the start option `turnAttempts`, 3. */
  readonly maxAttempts?: number;
  /** Pause before the second attempt in milliseconds, at least 0. Default: the start option `turnRetryMs`, 10. */
  readonly backoffMs?: number;
  /** The longest pause in milliseconds, jitter included. Default 60,000. */
  readonly maxBackoffMs?: number;
  /** Each pause is this many times the one before, at least 1. Default 2. */
  readonly factor?: number;
  /** The part of each pause that is random, 0 to 1, so that addresses that failed together do not come back together. Default 0.2. */
  readonly jitter?: number;
}

/** A message whose turn failed for good, as it is sent to where dead letters go. */
export interface DeadLetter {
  /** The address it was for, `namespace/name@id`. */
  readonly address: string;
  /** The message, as it was sent. */
  readonly message: unknown;
  /** What the last attempt threw. Message and stack are cut off at 8,000 code units. */
  readonly error: {
    readonly name: string;
    readonly code?: string;
    readonly message: string;
    readonly stack?: string;
  };
  /** Attempts that were made. */
  readonly attempts: number;
  /** `ctx.messageId` of the turn: unique, the same whenever the letter is sent again. */
  readonly messageId: string;
}

/** What becomes of a message after the last attempt. */
export type FailureEnd =
  /** The address waits with its messages, in order and durably, until `app.quarantine` says what to do. */
  | "quarantine"
  /** The application stops with `HF_FUNCTION_FAILED`; the message is tried again at the next start. */
  | "fail"
  /** The message is removed and a `DeadLetter` goes to an egress or a function, in the same commit. */
  | { readonly deadLetter: EgressDefinition<DeadLetter> | Address<DeadLetter, unknown> };

/** What happens when a turn throws, rejects or takes too long. */
export interface FailurePolicy {
  readonly retry?: RetryPolicy;
  /** True for an error that comes again however often the turn is tried: no attempt follows it. Default: never. */
  readonly nonRetryable?: (error: unknown) => boolean;
  /** Limit of an async turn in milliseconds, at least 1. Default: the start option `turnTimeoutMs`, 60,000. */
  readonly turnTimeoutMs?: number;
  /** What comes after the last attempt. Default `"quarantine"`. */
  readonly after?: FailureEnd;
}

const policyKeys = new Set(["retry", "nonRetryable", "turnTimeoutMs", "after"]);
const retryKeys = new Set(["maxAttempts", "backoffMs", "maxBackoffMs", "factor", "jitter"]);
const millisecondsMax = 2 ** 31 - 1;

/**
 * Refuses a policy that makes no sense.
 *
 * @throws `HF_BAD_APP`
 */
export function checkFailurePolicy(type: string, policy: FailurePolicy): void {
  checkObject(type, "failure", policy, policyKeys);
  const { retry, nonRetryable, turnTimeoutMs, after } = policy;
  if (retry !== undefined) {
    checkObject(type, "failure.retry", retry, retryKeys);
    checkNumber(type, "retry.maxAttempts", retry.maxAttempts, 1, 1_000);
    if (retry.maxAttempts !== undefined && !Number.isInteger(retry.maxAttempts))
      throw bad(type, "failure.retry.maxAttempts must be an integer");
    checkNumber(type, "retry.backoffMs", retry.backoffMs, 0, millisecondsMax);
    checkNumber(type, "retry.maxBackoffMs", retry.maxBackoffMs, 0, millisecondsMax);
    checkNumber(type, "retry.factor", retry.factor, 1, 1_000);
    checkNumber(type, "retry.jitter", retry.jitter, 0, 1);
  }
  if (nonRetryable !== undefined && typeof nonRetryable !== "function")
    throw bad(type, "failure.nonRetryable must be a function");
  checkNumber(type, "turnTimeoutMs", turnTimeoutMs, 1, millisecondsMax);
  if (after === undefined || after === "quarantine" || after === "fail") return;
  if (deadLetterTarget(after) === undefined)
    throw bad(type, 'failure.after must be "quarantine", "fail" or { deadLetter: an egress or fn.at(id) }');
  if (deadLetterTarget(after)?.type === type) throw bad(type, "its own dead letters cannot go to itself");
}

/** Where dead letters go: the name of an egress, or a function type and id. Undefined when it is neither. */
export function deadLetterTarget(
  end: FailureEnd | undefined,
):
  | { readonly egress: string; readonly type?: undefined }
  | { readonly type: string; readonly id: string; readonly egress?: undefined }
  | undefined {
  if (typeof end !== "object" || end === null) return undefined;
  const target = end.deadLetter as { name?: unknown; type?: unknown; id?: unknown } | undefined;
  if (typeof target?.name === "string") return { egress: target.name };
  if (typeof target?.type === "string" && typeof target.id === "string") return { type: target.type, id: target.id };
  return undefined;
}

function checkObject(type: string, name: string, given: unknown, keys: ReadonlySet<string>): void {
  if (typeof given !== "object" || given === null) throw bad(type, `${name} must be an object`);
  for (const key of Object.keys(given)) {
    if (!keys.has(key)) throw bad(type, `there is no ${name}.${key}; there are ${[...keys].join(", ")}`);
  }
}

function checkNumber(type: string, name: string, given: unknown, min: number, max: number): void {
  if (given === undefined || (typeof given === "number" && given >= min && given <= max)) return; // false for NaN
  throw bad(type, `failure.${name} must be a number from ${min} to ${max}, not ${String(given)}`);
}

function bad(type: string, what: string): HoldfastError {
  return new HoldfastError("HF_BAD_APP", `function ${type}: ${what}`);
}
