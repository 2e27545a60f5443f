/** The features that the killed application uses. */

import { failuresFeature } from "./failures-feature.js";
import type { ChaosFeature } from "./feature.js";
import { operationsFeature } from "./operations-feature.js";
import { requestsFeature } from "./requests-feature.js";
import { stateFeature } from "./state-feature.js";
import { timersFeature } from "./timers-feature.js";

export const features: readonly ChaosFeature[] = [
  failuresFeature,
  operationsFeature,
  requestsFeature,
  stateFeature,
  timersFeature,
];
