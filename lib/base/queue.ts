import { invariant } from "./invariant.js";

/**
 * A first-in first-out queue on a circular array, with positions that grow for ever, so that "everything accepted
 * since position p" is a range and not a walk.
 *
 *     head                tail
 *      │ · · · elements · · │        index = position & mask
 *
 * Q1. 0 <= tail - head <= slots.length, a power of two.
 * Q2. Slots outside [head, tail) hold undefined, so nothing taken is kept alive.
 */
export class Queue<T> {
  #slots: (T | undefined)[] = new Array(64).fill(undefined);
  #mask = 63;
  #head = 0;
  #tail = 0;

  get length(): number {
    return this.#tail - this.#head;
  }

  /** Position of the oldest element. */
  get head(): number {
    return this.#head;
  }

  /** Position that the next element will get. */
  get tail(): number {
    return this.#tail;
  }

  push(element: T): void {
    if (this.#tail - this.#head > this.#mask) this.#grow();
    this.#slots[this.#tail & this.#mask] = element;
    this.#tail++;
  }

  peek(): T | undefined {
    return this.#head === this.#tail ? undefined : this.#slots[this.#head & this.#mask];
  }

  shift(): T | undefined {
    if (this.#head === this.#tail) return undefined;
    const index = this.#head & this.#mask;
    const element = this.#slots[index];
    this.#slots[index] = undefined; // Q2
    this.#head++;
    return element;
  }

  /** The element at a position between `head` and `tail`. */
  at(position: number): T {
    invariant(position >= this.#head && position < this.#tail, "queue position in range"); // Q1
    return this.#slots[position & this.#mask] as T;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let position = this.#head; position < this.#tail; position++) yield this.at(position);
  }

  #grow(): void {
    const slots: (T | undefined)[] = new Array(this.#slots.length * 2).fill(undefined);
    const mask = slots.length - 1;
    for (let position = this.#head; position < this.#tail; position++) {
      slots[position & mask] = this.#slots[position & this.#mask];
    }
    this.#slots = slots;
    this.#mask = mask;
  }
}
