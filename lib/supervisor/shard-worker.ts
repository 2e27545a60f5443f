/**
 * One shard thread as main sees it.
 *
 * Owner and thread: the supervisor, main.
 * W1. Its end is reported once, with the reason that is known best: what the shard said, what Node said, the exit code.
 * W2. It is terminated only outside lmdb: its gate is closed first (a thread terminated inside aborts the process). It
 *     begins inside, as it loads lmdb; main waits for the end of that without standing still, however long it takes.
 */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { fromWire, HoldfastError } from "../base/errors.js";
import { beginInside, closeGate, closeGateOfEnded, type Gate } from "../store/lmdb-base.js";
import { Remote } from "./control-plane.js";
import type { ShardControl } from "./shard-thread.js";
import { type ShardNotice, type ShardThreadData, type ShardToMain, shardGate } from "./thread-protocol.js";

/** How long a terminating thread may stay inside lmdb. */
const gateTimeoutMs = 1_000;

export interface ShardWorkerEvents {
  message(message: ShardNotice): void;
  /** The thread is gone or of no use any more (W1). */
  ended(reason: Error): void;
}

export class ShardWorker {
  readonly control: Remote<ShardControl>;
  readonly port: MessagePort;
  /** Tasks come in, their outcomes go out. */
  readonly offloadPort: MessagePort;
  readonly #worker: Worker;
  readonly #gate: Gate;
  readonly #exited: Promise<void>;
  readonly #loaded: Promise<void>;
  #ended = false;
  readonly #events: ShardWorkerEvents;

  constructor(
    entry: URL,
    index: number,
    gates: SharedArrayBuffer,
    heapMb: number | undefined,
    events: ShardWorkerEvents,
  ) {
    this.#events = events;
    this.#gate = { words: new Int32Array(gates), index: shardGate(index) };
    beginInside(this.#gate); // W2
    const main = new MessageChannel();
    const control = new MessageChannel();
    const offload = new MessageChannel();
    this.offloadPort = offload.port1;
    const workerData: ShardThreadData = {
      index,
      gates,
      mainPort: main.port2,
      controlPort: control.port2,
      offloadPort: offload.port2,
    };
    this.#worker = new Worker(entry, {
      name: `holdfast shard ${index}`,
      workerData,
      transferList: [main.port2, control.port2, offload.port2],
      ...(heapMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: heapMb } }),
    });
    this.port = main.port1;
    this.#exited = new Promise((resolve) => this.#worker.once("exit", () => resolve()));
    this.#loaded = new Promise((resolve) => {
      void this.#exited.then(resolve);
      this.port.on("message", (message: ShardToMain) => {
        if (message.kind === "loaded") resolve();
        else if (message.kind === "failed") this.#end(fromWire(message.error));
        else events.message(message);
      });
    });
    this.port.unref(); // the worker itself keeps the process alive
    const ended = this.#watch(index);
    this.control = new Remote(control.port1, ended);
    control.port1.unref();
  }

  /** Ends the thread from outside (W2). */
  async terminate(): Promise<void> {
    this.#ended = true;
    await this.#loaded; // W2
    closeGate(this.#gate, gateTimeoutMs);
    await this.#worker.terminate();
    this.port.close();
    this.offloadPort.close();
  }

  /** Lets the thread end by itself, after its loop has. */
  async close(): Promise<void> {
    this.#ended = true;
    try {
      await this.control.call("close");
      await Promise.race([this.#exited, new Promise((resolve) => setTimeout(resolve, gateTimeoutMs).unref())]);
    } finally {
      await this.terminate();
    }
  }

  /** Reports a thread that hangs as ended. */
  giveUp(reason: Error): void {
    this.#end(reason);
  }

  #watch(index: number): Promise<never> {
    const ended = new Promise<never>((_, reject) => {
      this.#worker.once("error", (error) => {
        const reason = new HoldfastError(
          "HF_WORKER_FAILED",
          `shard ${index}: ${error instanceof Error ? error.message : String(error)}`,
          {
            cause: error,
          },
        );
        reject(reason);
        this.#end(reason);
      });
      this.#worker.once("exit", (code) => {
        closeGateOfEnded(this.#gate);
        const reason = new HoldfastError("HF_WORKER_FAILED", `shard ${index}: its thread exited with code ${code}`);
        reject(reason);
        this.#end(reason);
      });
    });
    ended.catch(() => {}); // it is looked at by calls, of which there may be none
    return ended;
  }

  #end(reason: Error): void {
    if (this.#ended) return; // W1
    this.#ended = true;
    this.#events.ended(reason);
  }
}
