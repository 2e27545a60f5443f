/** A pool of two threads: each message is a task; which thread counts it, and so where its counter is, is open. */
import { Piscina } from "piscina";
import { firstHop, type Hop, NextHop, type Peer, type PeerRun, type PeerTask } from "./peer.js";

export const piscina: Peer = {
  name: "piscina",
  keeps: "in memory of any of the threads, gone with the process",
  share: 0.05,
  run,
};

async function run(task: PeerTask): Promise<PeerRun> {
  const pool = new Piscina<Hop, number>({
    filename: new URL("./piscina-task.js", import.meta.url).href,
    minThreads: 2,
    maxThreads: 2,
  });
  try {
    await pool.run({ userId: "warm", amount: 0, hops: 0 });
    const next = new NextHop(task.keys);
    let counted = 0;
    const chain = async (first: Hop): Promise<void> => {
      for (let hop = first; ; hop = next.after(hop)) {
        const amount = await pool.run(hop);
        counted += amount;
        if (hop.hops === 0) return;
      }
    };
    const began = performance.now();
    await Promise.all(Array.from({ length: task.chains }, (_, n) => chain(firstHop(task, n))));
    return { seconds: (performance.now() - began) / 1000, counted };
  } finally {
    await pool.destroy();
  }
}
