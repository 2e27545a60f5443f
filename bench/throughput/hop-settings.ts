/**
 * What the threads of one hop application need to know. Set before `start`; each thread that starts from then on reads
 * it, as the module of an application has no other argument.
 */
import { getEnvironmentData, setEnvironmentData } from "node:worker_threads";

const name = "holdfast/bench/hop";

export interface HopSettings {
  /** Ids are `user-0` … `user-<keys - 1>`. */
  readonly keys: number;
  /** Turns of the busy loop in each turn of a function. */
  readonly work: number;
  /** One shared word: chains that have come to their end. */
  readonly ended: Int32Array;
  /** Where the threads note long gaps between their turns, if they do. */
  readonly gaps: SharedArrayBuffer | undefined;
}

export function setHopSettings(settings: HopSettings): void {
  setEnvironmentData(name, settings as never);
}

/** Outside a thread of a hop application: settings of no use. */
export function hopSettings(): HopSettings {
  const given = getEnvironmentData(name) as HopSettings | undefined;
  return given ?? { keys: 1, work: 0, ended: new Int32Array(1), gaps: undefined };
}
