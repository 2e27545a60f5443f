/** Entry of a child process that examines cases one after the other: what LMDB does to a process, it does to this one. */
import { examine } from "./examine.js";
import type { Specimen } from "./specimen.js";

/** Parent → child. */
export interface Task {
  readonly specimen: Specimen;
  readonly seed: number;
  readonly scratch: string;
}

process.on("message", (task: Task) => {
  void examine(task.specimen, task.seed, task.scratch).then((verdict) => process.send?.(verdict));
});
