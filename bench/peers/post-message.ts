/** Two workers with half of the counters each, and nothing else: a message for the other one is posted, one per call. */
import { MessageChannel, type MessagePort, Worker } from "node:worker_threads";
import { firstHop, type Peer, type PeerRun, type PeerTask } from "./peer.js";
import type { EndData, FromEnd } from "./post-message-end.js";

const ends = 2;

export const postMessage: Peer = {
  name: "postMessage",
  keeps: "in memory, gone with the process",
  share: 1,
  run,
};

async function run(task: PeerTask): Promise<PeerRun> {
  const { port1, port2 } = new MessageChannel();
  const workers = [end(0, task, port1), end(1, task, port2)];
  try {
    await Promise.all(workers.map((worker) => said(worker, "ready")));
    let done = 0;
    const finished = new Promise<void>((resolve) => {
      for (const worker of workers) {
        worker.on("message", (message: FromEnd) => {
          if (message.kind === "done" && ++done === task.chains) resolve();
        });
      }
    });
    const began = performance.now();
    for (let chain = 0; chain < task.chains; chain++) {
      const hop = firstHop(task, chain);
      workers[Number(hop.userId.slice("user-".length)) % ends].postMessage(hop);
    }
    await finished;
    const seconds = (performance.now() - began) / 1000;
    const counts = workers.map((worker) => said(worker, "count"));
    for (const worker of workers) worker.postMessage("count");
    const counted = (await Promise.all(counts)).reduce((sum, { count }) => sum + count, 0);
    return { seconds, counted };
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

function end(index: number, { keys }: PeerTask, port: MessagePort): Worker {
  const data: EndData = { index, ends, keys, port };
  return new Worker(new URL("./post-message-end.js", import.meta.url), { workerData: data, transferList: [port] });
}

function said(worker: Worker, kind: FromEnd["kind"]): Promise<FromEnd> {
  return new Promise((resolve) => {
    const listen = (message: FromEnd): void => {
      if (message.kind !== kind) return;
      worker.off("message", listen);
      resolve(message);
    };
    worker.on("message", listen);
  });
}
