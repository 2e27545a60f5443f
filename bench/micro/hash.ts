/** The hash of an id, which says its key group and its slot, beside a look-up of the id in a Map. */
import { hashId } from "../../lib/partition/hash.js";
import type { Comparison } from "./comparison.js";

const operations = 1_000;

export function hash(): Comparison {
  // made anew in each run: V8 keeps the hash of a string that it has hashed once
  const ids = (): string[] => Array.from({ length: operations }, (_, n) => `user-${n}`);
  const map = new Map(ids().map((id) => [id, 1]));
  return {
    name: "make an id and hash it",
    operations,
    expected: operations,
    engine: {
      name: "hashId",
      run: () => ids().reduce((sum, id) => sum + (hashId(id) >= 0 ? 1 : 0), 0),
    },
    baselines: [{ name: "Map.get", run: () => ids().reduce((sum, id) => sum + (map.get(id) ?? 0), 0) }],
  };
}
