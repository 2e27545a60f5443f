/** A process of base.stress.test.ts that exits while one of its threads writes a base and another reads it. */
import { Worker } from "node:worker_threads";
import { closeGate, type Gate } from "../../lib/store/lmdb-base.js";
import type { StressOrder } from "./base.stress.worker.js";

const gates: Gate[] = [];
process.on("exit", () => {
  for (const gate of gates) closeGate(gate, 1_000);
});

async function run(role: StressOrder["role"]): Promise<void> {
  const gate: Gate = { words: new Int32Array(new SharedArrayBuffer(4)), index: 0 };
  gates.push(gate);
  const workerData: StressOrder = {
    role,
    path: process.argv[2]!,
    gate,
    stop: new Int32Array(new SharedArrayBuffer(4)),
  };
  const worker = new Worker(new URL("./base.stress.worker.js", import.meta.url), { workerData });
  await new Promise((resolve) => worker.once("message", resolve));
}

await run("write");
await run("read for ever");
setTimeout(() => process.exit(0), 30);
