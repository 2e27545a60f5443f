/** Looks for the first seed on which a mutant breaks a rule of the model. */
import { ModelViolation, runModel } from "./epoch-model.js";
import type { Mutant } from "./mutants.js";

/** Within so many seeds every mutant must be caught. */
export const mutantSeedsMax = 500;

/** The first seed that catches it; undefined when it survives all. */
export function catchMutant(mutant: Mutant): number | undefined {
  for (let seed = 1; seed <= mutantSeedsMax; seed++) {
    try {
      runModel(seed, mutant);
    } catch (thrown) {
      if (thrown instanceof ModelViolation) return seed;
      throw thrown;
    }
  }
  return undefined;
}
