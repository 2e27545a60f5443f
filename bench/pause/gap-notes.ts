/**
 * Long gaps between the turns of each shard, in shared memory.
 *
 * One thread writes one lane; the main thread reads while nobody writes.
 * J1. A lane is claimed once, by the thread that makes its `GapLane`.
 * J2. Only gaps of at least `gapNotedMs` are noted: shorter ones are what running turns takes.
 */

/** Gaps below are not noted. */
export const gapNotedMs = 0.05;
const lanesMax = 64;
/** Gaps that one lane holds: 20 s of 25,000 a second. */
const gapsMax = 500_000;
/** Words before the lanes: lanes claimed, and whether gaps are noted now. */
const claimedWord = 0;
const notingWord = 1;
const headBytes = 8 * (1 + lanesMax);

export interface Gap {
  /** By the clock of the thread. */
  readonly beganMs: number;
  readonly ms: number;
}

/** The main thread's side. */
export class GapNotes {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #counts: Int32Array;
  readonly #lanes: number;

  constructor(lanes: number) {
    this.#lanes = lanes;
    this.buffer = new SharedArrayBuffer(headBytes + lanes * gapsMax * 16);
    this.#words = new Int32Array(this.buffer, 0, 2);
    this.#counts = new Int32Array(this.buffer, 8, lanesMax);
  }

  begin(): void {
    this.#counts.fill(0);
    Atomics.store(this.#words, notingWord, 1);
  }

  end(): void {
    Atomics.store(this.#words, notingWord, 0);
  }

  /** What each shard noted. */
  read(): Gap[][] {
    return Array.from({ length: this.#lanes }, (_, lane) => {
      const count = Atomics.load(this.#counts, lane);
      const numbers = laneNumbers(this.buffer, lane);
      return Array.from({ length: count }, (_, n) => ({
        beganMs: numbers[2 * n] as number,
        ms: numbers[2 * n + 1] as number,
      }));
    });
  }
}

/** A shard thread's side: `turn` at the beginning of each turn. */
export class GapLane {
  readonly #words: Int32Array;
  readonly #counts: Int32Array;
  readonly #lane: number;
  readonly #numbers: Float64Array;
  #last = 0;

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer, 0, 2);
    this.#counts = new Int32Array(buffer, 8, lanesMax);
    this.#lane = Atomics.add(this.#words, claimedWord, 1); // J1
    this.#numbers = laneNumbers(buffer, this.#lane);
  }

  turn(): void {
    const now = performance.now();
    const last = this.#last;
    this.#last = now;
    if (now - last >= gapNotedMs && this.#words[notingWord] === 1) this.#note(last, now - last);
  }

  #note(beganMs: number, ms: number): void {
    const count = this.#counts[this.#lane] as number;
    if (count === gapsMax) throw new Error("too many long gaps to note: make the rounds shorter");
    this.#numbers[2 * count] = beganMs;
    this.#numbers[2 * count + 1] = ms;
    Atomics.store(this.#counts, this.#lane, count + 1);
  }
}

function laneNumbers(buffer: SharedArrayBuffer, lane: number): Float64Array {
  return new Float64Array(buffer, headBytes + lane * gapsMax * 16, gapsMax * 2);
}
