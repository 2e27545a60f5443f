/**
 * Data directories with a known content, as processes that were killed left them: each is a copy of a directory at some
 * moment of the script (test/stored/script.ts), in the middle of commits, merges, trims and rescaling too.
 */
import { createHash } from "node:crypto";
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Random, seededRandom } from "../../lib/base/random.js";
import { NodeDisk } from "../../lib/log/node-disk.js";
import { destroyBase, openBaseWriter } from "../../lib/store/lmdb-base.js";
import { FaultyCalls, FaultyDisk, faultyBase } from "../failkth/faulty-calls.js";
import { script } from "../stored/script.js";
import { type Content, StoredWorkload } from "../stored/stored-workload.js";

/** A data directory and what is in it. */
export interface Specimen {
  readonly name: string;
  readonly directory: string;
  /** Rows of no application, or those of a real one (app-specimen.ts). */
  readonly kind: "stored" | "app";
  /** Shards of its last start: one with another count rescales. */
  readonly shards: number;
  /** The last epoch that was acknowledged when it was killed. */
  readonly acknowledged: number;
  /** Digests of its content by epoch; of a real application only of the last one. */
  readonly digests: Readonly<Record<number, string>>;
}

const rounds = 2;

/** Makes `count` specimens below `root`. */
export function makeSpecimens(root: string, count: number, seed: number): Specimen[] {
  const calls = runScript(join(root, "dry"), seed, () => {});
  const random = seededRandom(seed);
  const moments = new Set<number>();
  while (moments.size < count) moments.add(1 + random.below(calls));
  const specimens: Specimen[] = [];
  runScript(join(root, "live"), seed, (call, workload, shards, dataDir) => {
    if (!moments.has(call)) return;
    const directory = join(root, `killed-at-${call}`);
    cpSync(dataDir, directory, { recursive: true });
    specimens.push({
      name: `killed at call ${call}`,
      directory,
      kind: "stored",
      shards,
      acknowledged: workload.committed,
      digests: digestsOf(workload),
    });
  });
  return specimens;
}

/** What makes two contents the same. */
export function digestOf({ rows, watermark }: Pick<Content, "rows" | "watermark">): string {
  const hash = createHash("sha256").update(`${watermark}`);
  for (const key of [...rows.keys()].sort()) hash.update(`\n${key}\n${rows.get(key)}`, "latin1");
  return hash.digest("hex");
}

function digestsOf(workload: StoredWorkload): Record<number, string> {
  const digests: Record<number, string> = {};
  for (let epoch = 0; epoch <= workload.committed; epoch++) digests[epoch] = digestOf(workload.content(epoch));
  const doubt = workload.contentInDoubt();
  if (doubt !== undefined) digests[doubt.epoch] = digestOf(doubt);
  return digests;
}

type See = (call: number, workload: StoredWorkload, shards: number, dataDir: string) => void;

/** Runs the script on the real disk; `see` is called before each call. Returns how many there were. */
function runScript(dataDir: string, seed: number, see: See): number {
  mkdirSync(dataDir, { recursive: true });
  let shards = 0;
  const calls = new SeenCalls((call) => see(call, workload, shards, dataDir));
  const disk = new FaultyDisk(new NodeDisk(), calls);
  const random: Random = seededRandom(seed);
  const workload: StoredWorkload = new StoredWorkload(dataDir, random, {
    disk,
    openBase: (path) => faultyBase(openBaseWriter(path), path, calls),
    destroyBase,
  });
  for (const step of script(rounds)) {
    step(
      new Proxy(workload, {
        get: (target, name) => {
          const value: unknown = Reflect.get(target, name, target);
          if (name !== "start") return typeof value === "function" ? value.bind(target) : value;
          return (count: number): void => {
            shards = count;
            target.start(count);
          };
        },
      }),
    );
  }
  workload.close();
  return calls.calls;
}

class SeenCalls extends FaultyCalls {
  readonly #see: (call: number) => void;

  constructor(see: (call: number) => void) {
    super(undefined);
    this.#see = see;
  }

  override call<T>(name: string, doing: "look" | "read" | "write" | "sync" | "change", action: () => T): T {
    this.#see(this.calls + 1);
    return super.call(name, doing, action);
  }
}
