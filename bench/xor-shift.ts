/** Numbers that look random and are the same in every run: xorshift32. */
export class XorShift {
  #state: number;

  constructor(seed = 2_463_534_242) {
    this.#state = seed | 0 || 1;
  }

  /** A whole number from 0 to `limit` - 1. */
  below(limit: number): number {
    let state = this.#state;
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    this.#state = state;
    return (state >>> 0) % limit;
  }
}
