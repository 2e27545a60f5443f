/**
 * A shard's way to the offload pool.
 *
 * Owner and thread: the shard's thread.
 * C1. Each task that was handed over is answered once; what was aborted is settled here at once, and its answer ignored.
 */
import type { MessagePort } from "node:worker_threads";
import { fromWire } from "../base/errors.js";
import { PayloadCodec } from "../codec/payload-codec.js";
import type { TaskInput } from "../shard/ports.js";
import type { FromOffload, ToOffload } from "./thread-protocol.js";

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

export class OffloadClient {
  readonly #port: MessagePort;
  readonly #codec = new PayloadCodec();
  readonly #waiting = new Map<number, Waiting>();
  #number = 0;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (message: FromOffload) => this.#answered(message));
    port.unref();
  }

  run(module: string, name: string, input: TaskInput, signal: AbortSignal): Promise<unknown> {
    const number = ++this.#number;
    return new Promise((resolve, reject) => {
      signal.throwIfAborted();
      const transfer = "bytes" in input ? [input.bytes.buffer as ArrayBuffer] : [...input.transfer];
      const message: ToOffload = { number, task: { module, name, input }, transfer };
      this.#port.postMessage(message, transfer);
      this.#waiting.set(number, { resolve, reject });
      signal.addEventListener("abort", () => this.#abort(number, signal.reason), { once: true });
    });
  }

  close(): void {
    this.#port.close();
  }

  /** C1 */
  #abort(number: number, reason: unknown): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return;
    this.#waiting.delete(number);
    const message: ToOffload = { abort: number };
    this.#port.postMessage(message);
    waiting.reject(reason);
  }

  #answered({ number, outcome }: FromOffload): void {
    const waiting = this.#waiting.get(number);
    if (waiting === undefined) return; // C1
    this.#waiting.delete(number);
    if ("error" in outcome) waiting.reject(fromWire(outcome.error));
    else waiting.resolve(this.#codec.decode(outcome.bytes));
  }
}
