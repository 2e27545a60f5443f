/** The features that the killed application uses. */
import type { ChaosFeature } from "./feature.js";
import { operationsFeature } from "./operations-feature.js";

export const features: readonly ChaosFeature[] = [operationsFeature];
