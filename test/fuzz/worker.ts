/** The thread that fuzzes: it may hang or run out of memory, which its parent notices. */
import { parentPort, workerData } from "node:worker_threads";
import { type FuzzOptions, fuzz } from "./run.js";

const result = await fuzz(workerData as FuzzOptions, (target, seed) => parentPort?.postMessage({ target, seed }));
parentPort?.postMessage({ result });
