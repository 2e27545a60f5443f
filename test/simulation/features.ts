/** The features that worlds may have, by name. */
import type { MakeFeature } from "./feature.js";
import { requestsFeature } from "./requests-feature.js";

export const features: { readonly [name: string]: MakeFeature } = {
  requests: requestsFeature,
};
