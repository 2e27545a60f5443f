/** The features that worlds may have, by name. */
import type { MakeFeature } from "./feature.js";
import { operationsFeature } from "./operations-feature.js";

export const features: { readonly [name: string]: MakeFeature } = { operations: operationsFeature };
