/** The features that the killed application uses. */
import type { ChaosFeature } from "./feature.js";

export const features: readonly ChaosFeature[] = [];
