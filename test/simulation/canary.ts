/**
 * A bug that is planted on one seed in every run. A run in which it is not found says nothing about bugs that nobody
 * planted: then what draws, steps or judges the worlds is broken.
 */
import { type Mutant, plantMutant } from "./mutants.js";
import { runSeed } from "./world.js";

const bug: Mutant = "norecord";
const seed = 33;

/** True when the planted bug was found. */
export async function canaryIsCaught(): Promise<boolean> {
  const takeOut = plantMutant(bug);
  try {
    await runSeed(seed);
    return false;
  } catch {
    return true;
  } finally {
    takeOut();
  }
}
