/**
 * A bug that is planted in every run. A run in which it is not found says nothing about bugs that nobody planted: then what
 * draws, steps or judges the worlds is broken.
 */
import { type Mutant, plantMutant } from "./mutants.js";
import type { Overrides } from "./params.js";
import { runSeed } from "./world.js";

const bug: Mutant = "norecord";
/** In worlds without features, so that a new one does not change them. */
export const canaryWorlds: Overrides = { features: [] };
/** Worlds in which it has to be found; about one of three shows it. */
const seedsMax = 60;

/** The first seeds whose worlds show the planted bug: so many, if there are as many. */
export async function canarySeeds(count: number): Promise<number[]> {
  const takeOut = plantMutant(bug);
  try {
    const seeds: number[] = [];
    for (let seed = 1; seed <= seedsMax && seeds.length < count; seed++) if (await breaks(seed)) seeds.push(seed);
    return seeds;
  } finally {
    takeOut();
  }
}

async function breaks(seed: number): Promise<boolean> {
  try {
    await runSeed(seed, canaryWorlds);
    return false;
  } catch {
    return true;
  }
}
