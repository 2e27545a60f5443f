/** What the application under fault and its auditor agree on: letters that are passed on from relay to relay. */

/** What happens in the turn that takes a letter, once. */
export type Accident =
  | "throw"
  | "unhandled rejection"
  | "throw in a timer"
  | "process.exit"
  | "stack overflow"
  | "heap"
  | "endless loop"
  | "external memory"
  | "abort";

/** One line of the input. */
export interface Letter {
  readonly id: number;
  readonly hops: number;
  /** Makes the record larger. */
  readonly cargo: string;
  /** What happens at the relay that takes it first, until the file exists. */
  readonly accident?: { readonly kind: Accident; readonly marker: string };
}

/** A line of the output: the letter has arrived. */
export interface Arrival {
  readonly id: number;
  readonly at: number;
}

/** A line of the counters: what one relay has passed on so far. */
export interface Tally {
  readonly relay: number;
  readonly inquiry: number;
  readonly passed: number;
}

export const relays = 40;
export const relayType = "faults/relay";

export function firstRelay({ id }: { readonly id: number }): number {
  return (id * 3) % relays;
}

export function nextRelay(relay: number, id: number): number {
  return (relay * 7 + id + 1) % relays;
}

export const folderVariable = "HOLDFAST_FAULTS_FOLDER";
/** "1": the input ends with its file. */
export const finiteVariable = "HOLDFAST_FAULTS_FINITE";

export const files = { input: "letters.ndjson", arrivals: "arrivals.ndjson", tallies: "tallies.ndjson" };

/** The file that sets the wall clock of a process with `jumping-clock`. */
export const clockFileVariable = "HOLDFAST_FAULTS_CLOCK";
