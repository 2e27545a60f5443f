/** The engine itself. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start } from "../../lib/index.js";
import { counter } from "../throughput/hop.app.js";
import { firstHop, type Peer, type PeerRun, type PeerTask } from "./peer.js";

const shards = 2;
const askBatch = 1_000;

export const holdfast: Peer = {
  name: "holdfast",
  keeps: "on disk, exactly once",
  share: 1,
  run,
};

async function run(task: PeerTask): Promise<PeerRun> {
  process.env.HOLDFAST_BENCH_KEYS = String(task.keys); // read by the threads that start from here on
  const dataDir = await mkdtemp(join(tmpdir(), "holdfast-bench-"));
  const app = await start(new URL("../throughput/hop.app.js", import.meta.url), { dataDir, shards });
  try {
    const began = performance.now();
    for (let chain = 0; chain < task.chains; chain++) {
      const hop = firstHop(task, chain);
      void app.send(counter.at(hop.userId), hop);
    }
    await app.drained();
    const seconds = (performance.now() - began) / 1000;
    let counted = 0;
    for (let first = 0; first < task.keys; first += askBatch) {
      const ids = Array.from({ length: Math.min(askBatch, task.keys - first) }, (_, n) => `user-${first + n}`);
      const counts = await Promise.all(
        ids.map((userId) => app.ask(counter.at(userId), { userId, amount: 0, hops: 0 })),
      );
      for (const count of counts) counted += count;
    }
    return { seconds, counted };
  } finally {
    await app.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}
