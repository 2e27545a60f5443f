/**
 * The nearest timers of a shard, soonest first: a binary heap of their keys.
 *
 * Owner and thread: the shard. A key may be in it twice, and may be one of a timer that is gone: rows say what exists.
 */
import { compareTimers, type TimerKey } from "./timer-rows.js";

export class TimerHeap {
  #keys: TimerKey[] = [];

  get size(): number {
    return this.#keys.length;
  }

  peek(): TimerKey | undefined {
    return this.#keys[0];
  }

  push(key: TimerKey): void {
    const keys = this.#keys;
    let at = keys.length;
    while (at > 0) {
      const parent = (at - 1) >>> 1;
      if (compareTimers(keys[parent], key) <= 0) break;
      keys[at] = keys[parent];
      at = parent;
    }
    keys[at] = key;
  }

  pop(): TimerKey | undefined {
    const keys = this.#keys;
    const first = keys[0];
    const last = keys.pop();
    if (last !== undefined && keys.length > 0) this.#sink(last);
    return first;
  }

  /** Keeps the `count` soonest and returns the first of the others; there are some. */
  shrink(count: number): TimerKey {
    this.#keys.sort(compareTimers); // a sorted array is a heap
    const [cut] = this.#keys.splice(count);
    return cut;
  }

  #sink(key: TimerKey): void {
    const keys = this.#keys;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= keys.length) break;
      if (child + 1 < keys.length && compareTimers(keys[child + 1], keys[child]) < 0) child++;
      if (compareTimers(key, keys[child]) <= 0) break;
      keys[at] = keys[child];
      at = child;
    }
    keys[at] = key;
  }
}
