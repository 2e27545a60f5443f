/** Fuzzes on a thread with little memory, and takes a hang or a death of that thread for a failure of what it was at. */
import { Worker } from "node:worker_threads";
import type { FuzzOptions, FuzzResult } from "./run.js";

/** A batch takes far less than a second. */
const hangMs = 60_000;
const heapMb = 256;

type Report = { readonly target: string; readonly seed: number } | { readonly result: FuzzResult };

export async function fuzzApart(options: FuzzOptions): Promise<FuzzResult> {
  const worker = new Worker(new URL("./worker.js", import.meta.url), {
    workerData: options,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
  });
  let at = { target: "", seed: options.seed };
  const died = (report: string): FuzzResult => ({ cases: {}, failures: [{ ...at, path: "", report }] });
  let timer: NodeJS.Timeout | undefined;
  try {
    return await new Promise((resolve) => {
      const wait = (): void => {
        clearTimeout(timer);
        timer = setTimeout(() => resolve(died(`one batch took more than ${hangMs} ms`)), hangMs);
      };
      worker.on("message", (report: Report) => {
        wait();
        if ("result" in report) resolve(report.result);
        else at = report;
      });
      worker.on("error", (error) => resolve(died(String(error))));
      worker.on("exit", (code) => resolve(died(`its thread ended with ${code}`)));
      wait();
    });
  } finally {
    clearTimeout(timer);
    await worker.terminate();
  }
}
