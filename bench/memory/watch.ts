/** Looks at the memory of this process again and again, until `end`. */
import { type Resident, residentBytes } from "../resident.js";
import { median } from "../statistics.js";

const everyMs = 250;

export class Watch {
  readonly #seen: Resident[] = [residentBytes()];
  readonly #timer = setInterval(() => this.#seen.push(residentBytes()), everyMs);

  /** The median and the most of the second half of the time. */
  end(): { readonly plateau: Resident; readonly plateauMax: Resident } {
    clearInterval(this.#timer);
    this.#seen.push(residentBytes());
    const late = this.#seen.slice(this.#seen.length >> 1);
    const rss = late.map((resident) => resident.rss);
    const own = late.map((resident) => resident.own);
    return {
      plateau: { rss: median(rss), own: median(own) },
      plateauMax: { rss: Math.max(...rss), own: Math.max(...own) },
    };
  }
}
