/** Stateless work that runs on a thread of its own, not on a shard's. */

declare const inputOf: unique symbol;
declare const outputOf: unique symbol;

/** A function of a module, to be run with `ctx.offload`. Made by `defineTask`. */
export class Task<in I = never, out O = unknown> {
  declare readonly [inputOf]: (input: I) => void;
  declare readonly [outputOf]: O;
  /** The URL of its module. */
  readonly module: string;
  /** The name of its export there. */
  readonly name: string;

  /** @internal Use `defineTask`. */
  constructor(module: string, name: string) {
    this.module = module;
    this.name = name;
  }
}
