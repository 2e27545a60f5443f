/** Times in an HDR histogram: to three digits, in little memory, however many there are. */
import { createHistogram } from "node:perf_hooks";
import { rounded } from "./statistics.js";

const perMs = 1e6; // kept in nanoseconds

export class TimeHistogram {
  readonly #histogram = createHistogram();

  /** @param ms below a nanosecond counts as one */
  record(ms: number): void {
    this.#histogram.record(Math.max(1, Math.round(ms * perMs)));
  }

  add(other: TimeHistogram): void {
    this.#histogram.add(other.#histogram);
  }

  get count(): number {
    return this.#histogram.count;
  }

  /** Milliseconds that so many percent of the times are not above. */
  percentile(percent: number): number {
    return this.#histogram.percentile(percent) / perMs;
  }

  get max(): number {
    return this.#histogram.max / perMs;
  }

  /** What a result line shows, in milliseconds. */
  get figures(): { readonly p50: number; readonly p99: number; readonly max: number } {
    return { p50: rounded(this.percentile(50)), p99: rounded(this.percentile(99)), max: rounded(this.max) };
  }

  /** The same for a person. */
  toString(): string {
    const { p50, p99, max } = this.figures;
    return `p50 ${p50}, p99 ${p99}, max ${max} ms`;
  }
}
