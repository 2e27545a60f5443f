/**
 * The threads of the application in this process, to be ended from outside: `Worker` is replaced by one that keeps account.
 *
 * T1. A thread is ended wherever it is, but outside of lmdb, as the engine does it: inside it would take the process along.
 */
import { syncBuiltinESMExports } from "node:module";
import threads, { type Worker, type WorkerOptions } from "node:worker_threads";
import { closeGate, type Gate } from "../../lib/store/lmdb-base.js";
import { shardGate, storageGate } from "../../lib/supervisor/thread-protocol.js";

const gateTimeoutMs = 1_000;

interface Thread {
  readonly kind: "shard" | "storage";
  readonly worker: Worker;
  readonly gate: Gate;
}

const running = new Set<Thread>();

threads.Worker = class extends threads.Worker {
  constructor(entry: string | URL, options: WorkerOptions = {}) {
    super(entry, options);
    const kind = /^holdfast (shard|storage)/.exec(options.name ?? "")?.[1] as Thread["kind"] | undefined;
    if (kind === undefined) return;
    const { gates, index } = options.workerData as { readonly gates: SharedArrayBuffer; readonly index: number };
    const words = new Int32Array(gates);
    const thread = { kind, worker: this, gate: { words, index: kind === "shard" ? shardGate(index) : storageGate } };
    running.add(thread);
    this.once("exit", () => running.delete(thread));
  }
};
syncBuiltinESMExports();

/** Those that run now. */
export function threadsOf(kind: Thread["kind"]): readonly Thread[] {
  return [...running].filter((thread) => thread.kind === kind);
}

/** T1 */
export function endThread({ worker, gate }: Thread): void {
  closeGate(gate, gateTimeoutMs);
  void worker.terminate();
}
