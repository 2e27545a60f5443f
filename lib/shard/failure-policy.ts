/** The failure policy of a function with everything filled in, and the pauses it asks for. */
import { retryBackoffMaxMs, retryFactor, retryJitter } from "../base/limits.js";
import type { Random } from "../base/random.js";
import type { FailureEnd, FailurePolicy } from "../model/failure.js";
import type { ShardLimits } from "./ports.js";

export interface ResolvedPolicy {
  readonly maxAttempts: number;
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  readonly factor: number;
  readonly jitter: number;
  readonly turnTimeoutMs: number;
  readonly nonRetryable: ((error: unknown) => boolean) | undefined;
  readonly end: FailureEnd;
}

export function resolvePolicy(given: FailurePolicy | undefined, limits: ShardLimits): ResolvedPolicy {
  const { retry = {} } = given ?? {};
  return {
    maxAttempts: retry.maxAttempts ?? limits.turnAttemptsMax,
    backoffMs: retry.backoffMs ?? limits.turnRetryBaseMs,
    maxBackoffMs: retry.maxBackoffMs ?? retryBackoffMaxMs,
    factor: retry.factor ?? retryFactor,
    jitter: retry.jitter ?? retryJitter,
    turnTimeoutMs: given?.turnTimeoutMs ?? limits.turnTimeoutMs,
    nonRetryable: given?.nonRetryable,
    end: given?.after ?? "quarantine",
  };
}

/** Milliseconds until the attempt that follows `attempts` failed ones. */
export function pauseOf(policy: ResolvedPolicy, attempts: number, random: Random): number {
  const growth = Math.min(Number.MAX_VALUE, policy.factor ** (attempts - 1)); // infinite times 0 is not a number
  const full = Math.min(policy.maxBackoffMs, policy.backoffMs * growth);
  return full * (1 - policy.jitter * random.next());
}

/** True when the function says that the error comes again. A test that itself throws says nothing. */
export function isFinal(policy: ResolvedPolicy, error: unknown): boolean {
  if (policy.nonRetryable === undefined) return false;
  try {
    return policy.nonRetryable(error) === true;
  } catch {
    return false;
  }
}
