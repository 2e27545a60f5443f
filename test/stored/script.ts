/** What a data directory goes through in tests of storage: everything that storage does, several times, in order. */
import type { StoredWorkload } from "./stored-workload.js";

export type Step = (workload: StoredWorkload) => void;

/** Starts with 2, 2, 3 and 1 shards; between them commits, merges, trims, rolls of segments, acknowledgements. */
export function script(rounds: number): Step[] {
  const steps: Step[] = [];
  for (const shards of [2, 2, 3, 1]) {
    steps.push((workload) => workload.start(shards));
    for (let round = 0; round < rounds; round++) {
      for (let commit = 0; commit < 4; commit++) steps.push((workload) => workload.commit(12));
      steps.push((workload) => workload.work(3));
      if (round % 2 === 0) steps.push((workload) => workload.acknowledge());
      steps.push((workload) => workload.commit(40));
      steps.push((workload) => workload.work(12));
      if (round % 3 === 2) steps.push((workload) => workload.rest());
    }
  }
  return steps;
}
