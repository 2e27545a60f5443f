/** The features that worlds may have, by name. */
import type { MakeFeature } from "./feature.js";
import { timersFeature } from "./timers-feature.js";

export const features: { readonly [name: string]: MakeFeature } = { timers: timersFeature };
