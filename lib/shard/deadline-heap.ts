/**
 * Things that are due some time, the next one on top; any of them may leave before.
 *
 * Owner and thread: whoever uses it.
 * D1. `entries[i].place === i`, and no entry is due before its parent, (i - 1) >> 1.
 */

/** What the heap holds. `place` is its own. */
export interface Due {
  readonly deadline: number;
  /** Position in the heap, -1 outside of it. */
  place: number;
}

export class DeadlineHeap<T extends Due> {
  readonly #entries: T[] = [];

  /** The deadline of the next one; infinite when there is none. */
  get next(): number {
    return this.#entries[0]?.deadline ?? Number.POSITIVE_INFINITY;
  }

  /** Takes one that is due. */
  takeDue(now: number): T | undefined {
    const first = this.#entries[0];
    if (first === undefined || first.deadline > now) return undefined;
    this.remove(first);
    return first;
  }

  add(entry: T): void {
    this.#entries.push(entry);
    this.#put(entry, this.#entries.length - 1);
    this.#rise(entry);
  }

  /** Takes out an entry, if it is in. */
  remove(entry: T): void {
    const { place } = entry;
    if (place < 0) return;
    entry.place = -1;
    const last = this.#entries.pop() as T;
    if (last === entry) return;
    this.#put(last, place);
    this.#rise(last);
    this.#sink(last);
  }

  #rise(entry: T): void {
    while (entry.place > 0) {
      const parent = this.#entries[(entry.place - 1) >> 1];
      if (parent.deadline <= entry.deadline) return;
      this.#swap(parent, entry);
    }
  }

  #sink(entry: T): void {
    for (;;) {
      const left = 2 * entry.place + 1;
      if (left >= this.#entries.length) return;
      const right = left + 1;
      const least =
        right < this.#entries.length && this.#entries[right].deadline < this.#entries[left].deadline ? right : left;
      const child = this.#entries[least];
      if (child.deadline >= entry.deadline) return;
      this.#swap(entry, child);
    }
  }

  #swap(parent: T, child: T): void {
    const { place } = child;
    this.#put(child, parent.place);
    this.#put(parent, place);
  }

  /** D1 */
  #put(entry: T, place: number): void {
    this.#entries[place] = entry;
    entry.place = place;
  }
}
