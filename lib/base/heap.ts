/** A binary heap: the element with the smallest key first, equal keys in the order they came. */
import { invariant } from "./invariant.js";

interface Entry<T> {
  readonly key: number;
  readonly order: number;
  readonly element: T;
}

export class Heap<T> {
  readonly #entries: Entry<T>[] = [];
  #added = 0;

  get length(): number {
    return this.#entries.length;
  }

  /** The smallest key; infinite when there is no element. */
  get nextKey(): number {
    return this.#entries.length === 0 ? Number.POSITIVE_INFINITY : this.#entries[0].key;
  }

  push(key: number, element: T): void {
    const entries = this.#entries;
    const entry = { key, order: this.#added++, element };
    let at = entries.length;
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (!before(entry, entries[above])) break;
      entries[at] = entries[above];
      at = above;
    }
    entries[at] = entry;
  }

  /** Takes the element with the smallest key. */
  pop(): T | undefined {
    const entries = this.#entries;
    if (entries.length === 0) return undefined;
    const first = entries[0];
    const last = entries.pop();
    invariant(last !== undefined, "a heap that is not empty has a last entry");
    if (entries.length > 0) this.#sink(last);
    return first.element;
  }

  /** Puts an entry where the first one was, and down to its place. */
  #sink(entry: Entry<T>): void {
    const entries = this.#entries;
    let at = 0;
    for (;;) {
      let below = 2 * at + 1;
      if (below >= entries.length) break;
      if (below + 1 < entries.length && before(entries[below + 1], entries[below])) below++;
      if (!before(entries[below], entry)) break;
      entries[at] = entries[below];
      at = below;
    }
    entries[at] = entry;
  }
}

function before<T>(a: Entry<T>, b: Entry<T>): boolean {
  return a.key < b.key || (a.key === b.key && a.order < b.order);
}
