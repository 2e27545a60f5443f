/** Parts of the engine beside what one would use instead, each a loop of operations without I/O around it. */

/** One way to do the work. */
export interface Contender {
  readonly name: string;
  /** Does the work `operations` times, and returns a number that depends on all of it. */
  run(): number;
}

/** The same work done in several ways. */
export interface Comparison {
  readonly name: string;
  /** Operations of one `run`. */
  readonly operations: number;
  /** What all runs return. */
  readonly expected: number;
  /** The engine's way. */
  readonly engine: Contender;
  readonly baselines: readonly Contender[];
  close?(): void;
}
