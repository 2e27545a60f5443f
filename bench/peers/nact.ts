/** Actors of nact, one for each counter, on the main thread. */
import { competitor, firstHop, type Hop, NextHop, type Peer, type PeerRun, type PeerTask } from "./peer.js";

interface Nact {
  start(): object;
  stop(system: object): void;
  spawn(parent: object, receive: (state: number | undefined, message: Hop) => number, name: string): object;
  dispatch(actor: object, message: Hop): void;
}

export const nact: Peer = {
  name: "nact",
  keeps: "in memory of one thread, gone with the process",
  share: 0.3,
  run,
};

async function run(task: PeerTask): Promise<PeerRun> {
  const { start, stop, spawn, dispatch } = competitor<Nact>("nact");
  const system = start();
  const next = new NextHop(task.keys);
  const actors = new Map<string, object>();
  const counts = new Map<string, number>();
  let left = task.chains;
  const began = await new Promise<number>((resolve) => {
    const receive = (state: number | undefined, hop: Hop): number => {
      const count = (state ?? 0) + hop.amount;
      counts.set(hop.userId, count);
      if (hop.hops > 0) {
        const following = next.after(hop);
        dispatch(actors.get(following.userId) as object, following);
      } else if (--left === 0) resolve(beganAt);
      return count;
    };
    for (let n = 0; n < task.keys; n++) actors.set(`user-${n}`, spawn(system, receive, `user-${n}`));
    const beganAt = performance.now();
    for (let chain = 0; chain < task.chains; chain++) {
      const hop = firstHop(task, chain);
      dispatch(actors.get(hop.userId) as object, hop);
    }
  });
  const seconds = (performance.now() - began) / 1000;
  stop(system);
  return { seconds, counted: [...counts.values()].reduce((sum, count) => sum + count, 0) };
}
