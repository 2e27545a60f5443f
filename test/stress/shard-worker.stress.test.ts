import assert from "node:assert/strict";
import test from "node:test";
import { setTimeout as elapse } from "node:timers/promises";
import { ShardWorker } from "../../lib/supervisor/shard-worker.js";

const entry = new URL("./shard-worker.stress.worker.js", import.meta.url);

test("shard threads that are ended while they load lmdb, at any moment of that, leave the process as it was", async () => {
  const shards = 2;
  const ended: unknown[] = [];
  for (let round = 0; round < 8; round++) {
    const gates = new SharedArrayBuffer((shards + 1) * Int32Array.BYTES_PER_ELEMENT);
    const workers: ShardWorker[] = [];
    await new Promise<void>((loading) => {
      for (let shard = 0; shard < shards; shard++) {
        const events = { message: () => loading(), ended: (reason: unknown) => ended.push(reason) };
        workers.push(new ShardWorker(entry, shard, gates, 64, events));
      }
    });
    await elapse(round * 20); // the moment, not a synchronisation
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  assert.deepEqual(ended, [], "ends that were wanted are not reported");
});
