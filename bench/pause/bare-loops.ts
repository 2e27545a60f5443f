/**
 * The baseline of `pause`: as many threads as there are shards do nothing but read the clock. What their gaps are longer
 * than nothing, the machine takes: its interrupts and whatever else it runs, which on as many cores as threads runs in
 * place of one of them. This file is both the main thread's side and, in a worker, a loop.
 */
import { once } from "node:events";
import { isMainThread, type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";
import { type Gap, GapLane, GapNotes } from "./gap-notes.js";

export class BareLoops {
  readonly #notes: GapNotes;
  readonly #workers: readonly Worker[];

  private constructor(notes: GapNotes, workers: readonly Worker[]) {
    this.#notes = notes;
    this.#workers = workers;
  }

  static async start(threads: number): Promise<BareLoops> {
    const notes = new GapNotes(threads);
    const workers = Array.from({ length: threads }, () => {
      return new Worker(new URL(import.meta.url), { workerData: notes.buffer });
    });
    await Promise.all(workers.map((worker) => once(worker, "message")));
    return new BareLoops(notes, workers);
  }

  /** The gaps of every loop in so many milliseconds, the time before first. */
  async run(ms: number): Promise<readonly (readonly Gap[])[]> {
    this.#notes.begin();
    const ended = this.#workers.map((worker) => once(worker, "message"));
    for (const worker of this.#workers) worker.postMessage(ms);
    await Promise.all(ended);
    this.#notes.end();
    return this.#notes.read();
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }
}

if (!isMainThread) {
  const main = parentPort as MessagePort;
  const lane = new GapLane(workerData as SharedArrayBuffer);
  main.on("message", (ms: number) => {
    const end = performance.now() + ms;
    while (performance.now() < end) lane.turn();
    main.postMessage("ended");
  });
  main.postMessage("ready");
}
