import assert from "node:assert/strict";
import { once } from "node:events";
import test, { describe } from "node:test";
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { allocateRing } from "../../lib/ring/ring-memory.js";
import type { StressEnd, StressReport } from "./ring-stress-worker.js";

const entry = new URL("./ring-stress-worker.js", import.meta.url);

interface Case {
  readonly name: string;
  readonly capacity: number;
  readonly messages: number;
  readonly bodyBytesMax: number;
}

const cases: Case[] = [
  { name: "the tiniest ring, where most messages are fragments", capacity: 64, messages: 12_000, bodyBytesMax: 200 },
  { name: "a small ring that is often full and often empty", capacity: 512, messages: 80_000, bodyBytesMax: 1000 },
  { name: "a medium ring, with messages larger than it", capacity: 65_536, messages: 600_000, bodyBytesMax: 2000 },
  { name: "messages larger than a medium ring", capacity: 4096, messages: 5_000, bodyBytesMax: 20_000 },
];

/** Runs both ends to their end, or fails with the first of them. */
async function run({ capacity, messages, bodyBytesMax }: Case, signal: AbortSignal): Promise<StressReport[]> {
  const memory = allocateRing({ capacity, shared: true, initialPosition: 2 ** 32 - 1024 }) as SharedArrayBuffer;
  const parked = new Int32Array(new SharedArrayBuffer(8));
  const { port1, port2 } = new MessageChannel();
  const start = (role: StressEnd["role"], port: MessagePort) => {
    const workerData: StressEnd = { role, memory, parked, port, messages, bodyBytesMax, seed: capacity };
    return new Worker(entry, { workerData, transferList: [port] });
  };
  const workers = [start("sender", port1), start("receiver", port2)];
  try {
    return await Promise.all(
      workers.map(async (worker) => (await once(worker, "message", { signal }))[0] as StressReport),
    );
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

describe("a channel between two threads keeps order and content and loses no wake-up", () => {
  for (const each of cases) {
    test(each.name, { timeout: 20_000 }, async (t) => {
      const [sent, received] = await run(each, t.signal);
      assert.equal(received!.bytes, sent!.bytes);
      const rate = each.messages / received!.ms / 1000;
      t.diagnostic(`${rate.toFixed(2)} M/s, sender parked ${sent!.parks} times, receiver ${received!.parks}`);
    });
  }
});
