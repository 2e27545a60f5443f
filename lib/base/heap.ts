/**
 * A binary heap: the first of its elements, in an order that its owner gives, is at hand; any may leave before.
 *
 * Owner and thread: whoever made it.
 * B1. No element comes before the one above it, at (place - 1) >> 1.
 * B2. `placed` has been told the place of each element that is in the heap, and -1 of each that has left. Who does not
 *     remove elements needs no places.
 */
import { invariant } from "./invariant.js";

export class Heap<T> {
  readonly #comesBefore: (a: T, b: T) => boolean;
  readonly #placed: ((element: T, place: number) => void) | undefined;
  #elements: T[] = [];

  constructor(comesBefore: (a: T, b: T) => boolean, placed?: (element: T, place: number) => void) {
    this.#comesBefore = comesBefore;
    this.#placed = placed;
  }

  get length(): number {
    return this.#elements.length;
  }

  peek(): T | undefined {
    return this.#elements[0];
  }

  push(element: T): void {
    this.#rise(element, this.#elements.length);
  }

  /** Takes the first element. */
  pop(): T | undefined {
    return this.#elements.length === 0 ? undefined : this.removeAt(0);
  }

  /** Takes the element at a place. */
  removeAt(place: number): T {
    const elements = this.#elements;
    invariant(place >= 0 && place < elements.length, "the place is in the heap");
    const removed = elements[place];
    const last = elements.pop() as T;
    if (place < elements.length) this.#settle(last, place);
    this.#placed?.(removed, -1);
    return removed;
  }

  /** Keeps the first `count` elements, and returns the first of the others; there are some. */
  shrink(count: number): T {
    const elements = this.#elements.sort((a, b) => (this.#comesBefore(a, b) ? -1 : this.#comesBefore(b, a) ? 1 : 0));
    const others = elements.splice(count); // what is left is sorted, and so a heap
    invariant(others.length > 0, "there is something to leave out");
    if (this.#placed !== undefined) {
      for (const [place, element] of elements.entries()) this.#placed(element, place);
      for (const element of others) this.#placed(element, -1);
    }
    return others[0];
  }

  /** Puts an element where another one was, and from there up or down to its place. */
  #settle(element: T, place: number): void {
    const above = (place - 1) >> 1;
    if (place > 0 && this.#comesBefore(element, this.#elements[above])) this.#rise(element, place);
    else this.#sink(element, place);
  }

  #rise(element: T, from: number): void {
    let place = from;
    while (place > 0) {
      const above = (place - 1) >> 1;
      if (!this.#comesBefore(element, this.#elements[above])) break;
      this.#put(this.#elements[above], place);
      place = above;
    }
    this.#put(element, place);
  }

  #sink(element: T, from: number): void {
    const elements = this.#elements;
    let place = from;
    for (;;) {
      let below = 2 * place + 1;
      if (below >= elements.length) break;
      if (below + 1 < elements.length && this.#comesBefore(elements[below + 1], elements[below])) below++;
      if (!this.#comesBefore(elements[below], element)) break;
      this.#put(elements[below], place);
      place = below;
    }
    this.#put(element, place);
  }

  #put(element: T, place: number): void {
    this.#elements[place] = element;
    this.#placed?.(element, place);
  }
}
