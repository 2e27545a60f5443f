/**
 * The baseline of `local`: the hop workload as plain code. A message finds the state of its counter in a `Map` and is
 * counted there by a function call, which makes the next message.
 */
import type { Hop } from "../throughput/hop.app.js";

interface CounterState {
  count: number;
}

export class MapCalls {
  readonly #counters = new Map<string, CounterState>();
  readonly #keys: number;
  #random = 2_463_534_242;
  #sent = 0;

  constructor(keys: number) {
    this.#keys = keys;
    for (let key = 0; key < keys; key++) this.#counters.set(`user-${key}`, { count: 0 });
  }

  /** Messages per second of so many chains, one message of each in turn. */
  round(chains: number, messages: number): number {
    const hops = Math.max(1, Math.round(messages / chains)) - 1;
    const sent = chains * (hops + 1);
    this.#sent += sent;
    const queue: (Hop | undefined)[] = Array.from({ length: chains }, (_, chain) => {
      return { userId: `user-${chain % this.#keys}`, amount: 1, hops };
    });
    const began = performance.now();
    for (let left = sent; left > 0; ) {
      for (let chain = 0; chain < chains; chain++) {
        const message = queue[chain];
        if (message === undefined) continue;
        queue[chain] = this.#receive(this.#counters.get(message.userId) as CounterState, message);
        left--;
      }
    }
    return (sent / (performance.now() - began)) * 1000;
  }

  /** @returns the sum of all counters */
  verify(): number {
    let sum = 0;
    for (const { count } of this.#counters.values()) sum += count;
    if (sum !== this.#sent) throw new Error(`${this.#sent} calls, counters say ${sum}`);
    return sum;
  }

  #receive(state: CounterState, message: Hop): Hop | undefined {
    state.count += message.amount;
    if (message.hops === 0) return undefined;
    return { userId: `user-${this.#nextKey()}`, amount: 1, hops: message.hops - 1 };
  }

  #nextKey(): number {
    this.#random ^= this.#random << 13;
    this.#random ^= this.#random >>> 17;
    this.#random ^= this.#random << 5;
    return (this.#random >>> 0) % this.#keys;
  }
}
