/** The features that worlds may have, by name. */
import { makeDestroy } from "./destroy-feature.js";
import { makeFailures } from "./failures-feature.js";
import type { MakeFeature } from "./feature.js";
import { operationsFeature } from "./operations-feature.js";
import { poisonFeature } from "./poison-feature.js";
import { requestsFeature } from "./requests-feature.js";
import { makeStateFeature } from "./state-feature.js";
import { timersFeature } from "./timers-feature.js";

export const features: { readonly [name: string]: MakeFeature } = {
  destroy: makeDestroy,
  failures: makeFailures,
  operations: operationsFeature,
  poison: poisonFeature,
  requests: requestsFeature,
  state: makeStateFeature,
  timers: timersFeature,
};
