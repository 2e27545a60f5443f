/**
 * The baseline of `latency`: a message to another thread over a MessagePort, which writes 20 KB into a preallocated
 * file, waits for the disk, and answers. This file is both the caller and, in a worker, the other end.
 */
import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { isMainThread, type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";

const writeBytes = 20_480;
const fileBytes = 512 * writeBytes;

export class PortRoundTrip {
  readonly #worker: Worker;
  #arrived: () => void = () => {};

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("message", () => this.#arrived());
  }

  static async open(directory: string): Promise<PortRoundTrip> {
    const worker = new Worker(new URL(import.meta.url), { workerData: join(directory, "baseline") });
    await new Promise<void>((resolve, reject) => {
      worker.once("message", () => resolve());
      worker.once("error", reject);
    });
    return new PortRoundTrip(worker);
  }

  /** Milliseconds of one trip. */
  async trip(): Promise<number> {
    const back = new Promise<void>((resolve) => {
      this.#arrived = resolve;
    });
    const began = performance.now();
    this.#worker.postMessage({ add: 1 });
    await back;
    return performance.now() - began;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

if (!isMainThread) {
  const main = parentPort as MessagePort;
  const file = openSync(workerData as string, "w");
  const bytes = new Uint8Array(writeBytes).fill(1);
  for (let at = 0; at < fileBytes; at += writeBytes) writeSync(file, bytes, 0, writeBytes, at);
  fsyncSync(file);
  let at = 0;
  main.on("message", (message: unknown) => {
    writeSync(file, bytes, 0, writeBytes, at);
    fdatasyncSync(file);
    at = (at + writeBytes) % fileBytes;
    main.postMessage(message);
  });
  main.on("close", () => closeSync(file));
  main.postMessage("ready");
}
