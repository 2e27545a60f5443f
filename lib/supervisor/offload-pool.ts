/**
 * The threads that offloaded tasks run on: one pool for all shards, so that tasks never take more cores than there are.
 *
 * Owner and thread: the supervisor, main; shards reach it through ports of their own.
 * L1. The pool is started by the first task, and its idle threads end by themselves.
 * L2. Tasks of a port end with it: nobody waits for them any more.
 * L3. Inputs and results pass main as bytes or as moved buffers: main reads none of them.
 */
import { availableParallelism } from "node:os";
import type { MessagePort } from "node:worker_threads";
import type { Piscina } from "piscina";
import { HoldfastError, toWire } from "../base/errors.js";
import type { FromOffload, OffloadOutcome, ToOffload } from "./thread-protocol.js";

/** After this time without a task a thread ends. */
const idleTimeoutMs = 10_000;

export class OffloadPool {
  #pool: Promise<Piscina> | undefined;
  #closed = false;

  /** Runs the tasks that come in through a port, until it closes. */
  serve(port: MessagePort): void {
    const running = new Map<number, AbortController>();
    port.on("message", (message: ToOffload) => {
      if ("abort" in message) running.get(message.abort)?.abort();
      else void this.#run(message, port, running);
    });
    port.on("close", () => {
      for (const abort of running.values()) abort.abort(); // L2
    });
    port.unref();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const pool = this.#pool;
    this.#pool = undefined;
    await (await pool)?.destroy();
  }

  async #run(
    { number, task, transfer }: Exclude<ToOffload, { readonly abort: number }>,
    port: MessagePort,
    running: Map<number, AbortController>,
  ): Promise<void> {
    const abort = new AbortController();
    running.set(number, abort);
    let outcome: OffloadOutcome;
    try {
      const pool = await this.#threads();
      outcome = await pool.run(task, { signal: abort.signal, transferList: [...transfer] });
    } catch (error) {
      outcome = { error: toWire(error) }; // its thread died, or it was aborted
    }
    running.delete(number);
    const answer: FromOffload = { number, outcome };
    port.postMessage(answer, "bytes" in outcome ? [outcome.bytes.buffer as ArrayBuffer] : []);
  }

  /** L1 */
  #threads(): Promise<Piscina> {
    if (this.#closed) throw new HoldfastError("HF_STOPPED", "the application has ended");
    this.#pool ??= import("piscina").then(
      ({ Piscina }) =>
        new Piscina({
          filename: new URL("./offload-worker.js", import.meta.url).href,
          name: "run",
          minThreads: 0,
          maxThreads: availableParallelism(),
          idleTimeout: idleTimeoutMs,
        }),
    );
    return this.#pool;
  }
}
