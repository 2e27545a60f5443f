/** Every bench by its name. Modules are loaded when they are run: what one needs another one need not have. */
import type { Bench } from "./bench.js";

export const benches: ReadonlyMap<string, () => Promise<Bench>> = new Map<string, () => Promise<Bench>>([
  ["throughput", () => import("./throughput/throughput.js")],
]);
