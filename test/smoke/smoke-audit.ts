/**
 * Compares what the application wrote into its egresses with what the tracker says.
 *
 * Only for a quiescent application: nothing is pending, so what is missing is lost.
 */
import type { Cancellation, Discarded, VerificationResult } from "./commands.js";
import type { Findings } from "./findings.js";
import type { FunctionStateTracker } from "./function-state-tracker.js";

/** Decides the races by what was told of them: each must have been told once. To be done before anything is compared. */
export function decideRaces(told: readonly Cancellation[], tracker: FunctionStateTracker, findings: Findings): void {
  for (const { race, cancelled } of told) {
    if (!tracker.decide(race, cancelled)) findings.add(`race ${race} was told twice, or is none`);
  }
  for (const race of tracker.races.keys()) findings.add(`race ${race} was never told`);
}

/** The records must be the expected ones, each once. */
export function compareDiscarded(
  records: readonly Discarded[],
  { discarded }: FunctionStateTracker,
  findings: Findings,
): void {
  const seen = new Set<number>();
  for (const { number, at } of records) {
    if (discarded.get(number) !== at) findings.add(`record ${number} of instance ${at} must not be there`);
    else if (seen.has(number)) findings.add(`record ${number} is there twice`);
    seen.add(number);
  }
  for (const number of discarded.keys()) if (!seen.has(number)) findings.add(`record ${number} is missing`);
}

/** Every instance must have told once, and what it told must be what the model has. */
export function compareVerified(
  results: readonly VerificationResult[],
  { counts, invocations }: FunctionStateTracker,
  findings: Findings,
): void {
  const told = new Map<number, VerificationResult>();
  for (const result of results) {
    if (told.has(result.id)) findings.add(`instance ${result.id} told its counter twice`);
    told.set(result.id, result);
  }
  for (const [id, count] of counts.entries()) {
    const result = told.get(id);
    if (result === undefined) {
      findings.add(`instance ${id} did not tell its counter`);
      continue;
    }
    const { actual, expected, surprises } = result;
    if (actual !== count || expected !== count) {
      findings.add(`instance ${id} has counted ${actual}, must be ${count} (it was asked for ${expected})`);
    }
    if (result.invocations !== invocations[id]) {
      findings.add(`instance ${id} has taken ${result.invocations} messages, must be ${invocations[id]}`);
    }
    if (surprises !== 0) findings.add(`instance ${id} had ${surprises} messages out of order or cancellings in vain`);
  }
}
