/** A thread that runs batches for main.ts, each world as it would be anywhere else. */
import { parentPort, workerData } from "node:worker_threads";
import { type Batch, runBatch } from "./batch.js";
import { type Mutant, plantMutant } from "./mutants.js";

const { mutant } = workerData as { mutant: Mutant | undefined };
if (mutant !== undefined) plantMutant(mutant);
parentPort?.on("message", async (batch: Batch) => parentPort?.postMessage(await runBatch(batch)));
