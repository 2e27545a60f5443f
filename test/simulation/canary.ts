/**
 * A bug that is planted on one seed in every run. A run in which it is not found says nothing about bugs that nobody
 * planted: then what draws, steps or judges the worlds is broken.
 */
import { type Mutant, plantMutant } from "./mutants.js";
import type { Overrides } from "./params.js";
import { runSeed } from "./world.js";

const bug: Mutant = "norecord";
/** In a world without features, so that a new one does not change it. */
export const canarySeed = 24;
const overrides: Overrides = { features: [] };

/** True when the planted bug was found. */
export async function canaryIsCaught(): Promise<boolean> {
  const takeOut = plantMutant(bug);
  try {
    await runSeed(canarySeed, overrides);
    return false;
  } catch {
    return true;
  } finally {
    takeOut();
  }
}
