/** Every bench by its name. Modules are loaded when they are run: what one needs another one need not have. */
import type { Bench } from "./bench.js";

export const benches: ReadonlyMap<string, () => Promise<Bench>> = new Map<string, () => Promise<Bench>>([
  ["throughput", () => import("./throughput/throughput.js")],
  ["checkpoint-cost", () => import("./checkpoint-cost/checkpoint-cost.js")],
  ["scaling", () => import("./scaling/scaling.js")],
  ["latency", () => import("./latency/latency.js")],
  ["pause", () => import("./pause/pause.js")],
  ["local", () => import("./local/local.js")],
  ["ingest", () => import("./ingest/ingest.js")],
  ["memory", () => import("./memory/memory.js")],
  ["recovery", () => import("./recovery/recovery.js")],
  ["timers", () => import("./timers/timers.js")],
  ["micro", () => import("./micro/micro.js")],
  ["peers", () => import("./peers/peers.js")],
  ["curve", () => import("./curve/curve.js")],
]);
