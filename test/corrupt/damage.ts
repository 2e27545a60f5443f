/** Damage to one file of a data directory, drawn from a seed. */
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../lib/base/random.js";

/** What was done. */
export interface Damage {
  /** Relative to the data directory. */
  readonly file: string;
  readonly what: string;
  /** The bytes are other ones than before. */
  readonly changed: boolean;
}

const ways = ["flip a bit", "flip bits", "truncate", "zero", "duplicate", "swap", "overwrite"] as const;
type Way = (typeof ways)[number];
const lengths = [1, 8, 64, 512, 4096, 16_384];
const pageBytes = 4096;

/** Damages one file: a base or a segment of the log most of the time, or any other kind, each as likely as the next. */
export function damageOne(directory: string, random: Random): Damage {
  const kinds = new Map<string, string[]>();
  for (const file of filesBelow(directory)) {
    if (statSync(join(directory, file)).size === 0) continue;
    const kind = kindOf(file);
    kinds.set(kind, [...(kinds.get(kind) ?? []), file]);
  }
  const bulk = ["base", "log/n"].flatMap((kind) => kinds.get(kind) ?? []);
  const file = pick(random, bulk.length > 0 && random.below(4) > 0 ? bulk : pick(random, [...kinds.values()]));
  const before = readFileSync(join(directory, file));
  const way = pick(random, ways);
  const { bytes, where } = damaged(before, way, random);
  writeFileSync(join(directory, file), bytes);
  return { file, what: `${way} ${where}`, changed: !bytes.equals(before) };
}

function kindOf(file: string): string {
  if (file.endsWith("data.mdb")) return "base";
  return file.replace(/\d+/g, "n");
}

function damaged(before: Buffer, way: Way, random: Random): { bytes: Buffer; where: string } {
  const bytes = Buffer.from(before);
  const at = placeIn(before, random);
  const length = Math.max(1, Math.min(pick(random, lengths), bytes.length - at));
  switch (way) {
    case "flip a bit":
      bytes[at]! ^= 1 << random.below(8);
      return { bytes, where: `at ${at}` };
    case "flip bits":
      for (let index = at; index < at + length; index++) bytes[index]! ^= 1 << random.below(8);
      return { bytes, where: `from ${at}, ${length} bytes` };
    case "truncate":
      return { bytes: bytes.subarray(0, at), where: `to ${at}` };
    case "zero":
      bytes.fill(0, at, at + length);
      return { bytes, where: `from ${at}, ${length} bytes` };
    case "overwrite":
      for (let index = at; index < at + length; index++) bytes[index] = random.below(256);
      return { bytes, where: `from ${at}, ${length} bytes` };
    default: {
      const other = placeIn(before, random);
      const count = Math.min(length, bytes.length - other);
      before.copy(bytes, other, at, at + count);
      if (way === "swap") before.copy(bytes, at, other, other + count);
      return { bytes, where: `from ${at} and ${other}, ${count} bytes` };
    }
  }
}

/** Any byte, or one that is not zero, or the beginning of a page. */
function placeIn(bytes: Buffer, random: Random): number {
  const at = random.below(bytes.length);
  const how = random.below(4);
  if (how === 0) return at - (at % pageBytes);
  if (how === 1) return at;
  for (let index = at; index < bytes.length; index++) if (bytes[index] !== 0) return index;
  for (let index = at; index >= 0; index--) if (bytes[index] !== 0) return index;
  return at;
}

function filesBelow(directory: string): string[] {
  return readdirSync(directory, { recursive: true, encoding: "utf8" })
    .map((name) => name.replaceAll("\\", "/"))
    .filter((name) => statSync(join(directory, name)).isFile())
    .sort();
}

function pick<T>(random: Random, from: readonly T[]): T {
  return from[random.below(from.length)]!;
}
