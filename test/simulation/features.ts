/** The features that worlds may have, by name. */
import { makeFailures } from "./failures-feature.js";
import type { MakeFeature } from "./feature.js";

export const features: { readonly [name: string]: MakeFeature } = { failures: makeFailures };
