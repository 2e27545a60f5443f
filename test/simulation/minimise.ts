/**
 * What a failure needs: the same seed with less, as long as the same rule is broken. Each part of a world draws numbers of
 * its own, so what is left of it does much the same; where it does not, the part stays.
 */
import { dispensable, type Overrides, paramsOf } from "./params.js";
import { ruleOf, World } from "./world.js";

/** Worlds that are tried. */
const triesMax = 300;

export async function minimise(seed: number, given: Overrides): Promise<Overrides> {
  const search = new Search(seed, given);
  return search.run();
}

class Search {
  readonly #seed: number;
  #found: Overrides;
  #rule: string | undefined;
  #tries = 0;

  constructor(seed: number, given: Overrides) {
    this.#seed = seed;
    this.#found = given;
  }

  async run(): Promise<Overrides> {
    this.#rule = await this.#broken(this.#found);
    if (this.#rule === undefined) return this.#found;
    const { params, features } = new World(this.#seed, this.#found);
    const parts = [...features, ...dispensable];
    await this.#number("steps", 1, params.steps);
    for (let before = -1; before !== this.#without.length; ) {
      before = this.#without.length;
      for (const name of parts) await this.#drop(name);
    }
    await this.#number("crashes", 0, params.crashes);
    await this.#number("addresses", 2, params.addresses);
    await this.#number("steps", 1, this.#found.steps ?? params.steps);
    return this.#found;
  }

  get #without(): readonly string[] {
    return this.#found.without ?? [];
  }

  async #drop(name: string): Promise<void> {
    if (this.#without.includes(name)) return;
    const less = { ...this.#found, without: [...this.#without, name] };
    const isFeature = !dispensable.includes(name);
    if (isFeature || this.#shown(less) !== this.#shown(this.#found)) await this.#try(less);
  }

  /** What a world is like; the same when it never had what it is without. */
  #shown(overrides: Overrides): string {
    return JSON.stringify(paramsOf(this.#seed, overrides));
  }

  /** The smallest number that will do, as far as halving finds it. */
  async #number(name: "steps" | "crashes" | "addresses", least: number, most: number): Promise<void> {
    let [low, high] = [least, most];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if (await this.#try({ ...this.#found, [name]: middle })) high = middle;
      else low = middle + 1;
    }
  }

  async #try(overrides: Overrides): Promise<boolean> {
    if (this.#tries++ >= triesMax) return false;
    const same = (await this.#broken(overrides)) === this.#rule;
    if (same) this.#found = overrides;
    return same;
  }

  async #broken(overrides: Overrides): Promise<string | undefined> {
    try {
      await new World(this.#seed, overrides).run();
      return undefined;
    } catch (error) {
      return ruleOf(error);
    }
  }
}

/** The options that repeat a world. */
export function optionsOf(seed: number, { features: chosen, without, steps, crashes, addresses }: Overrides): string {
  const options: [string, unknown][] = [
    ["seed", seed],
    ["features", chosen?.join(",")],
    ["without", without?.join(",")],
    ["steps", steps],
    ["crashes", crashes],
    ["addresses", addresses],
  ];
  return options
    .filter(([, given]) => given !== undefined)
    .map(([name, given]) => `--${name} ${given}`)
    .join(" ");
}
