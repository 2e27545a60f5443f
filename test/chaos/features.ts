/** The features that the killed application uses. */
import type { ChaosFeature } from "./feature.js";
import { requestsFeature } from "./requests-feature.js";

export const features: readonly ChaosFeature[] = [requestsFeature];
