/**
 * What a data directory is: `CURRENT` names `MANIFEST-<generation>`. Both are replaced by write, sync, rename and sync
 * of the directory, so that a crash leaves the old or the new one, whole.
 *
 * A manifest is one line of canonical JSON (keys sorted at every level) and one line with its SHA-256; `CURRENT` is one
 * line with a name and one with the SHA-256 of that.
 *
 * M1. `CURRENT` never names a manifest that is not durable.
 * M2. The manifest before the current one is kept; older ones go after the switch.
 * M3. The first manifest of a directory has generation 1. A directory with later manifests had a `CURRENT`.
 */
import { createHash } from "node:crypto";
import { HoldfastError, isHoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { keyGroupsMax, shardsMax } from "../base/limits.js";
import type { Disk } from "./disk.js";

/** The data directory, as of one generation. Keys that this version does not know are kept when it is rewritten. */
export interface Manifest {
  readonly format: 1;
  readonly application: string;
  readonly generation: number;
  readonly keyGroups: number;
  /** Name of the hash from ids to key groups. */
  readonly hash: string;
  readonly shards: number;
  /** Number of the directory under `state/` that holds the bases. */
  readonly layout: number;
  /** Where a scan of the log starts. */
  readonly firstSegment: number;
  /** An epoch known durable when this was written. */
  readonly committed: number;
  readonly functions: readonly ManifestFunction[];
  readonly egresses: Readonly<Record<string, unknown>>;
}

/** A function type and the number that stands for it in keys. */
export interface ManifestFunction {
  readonly name: string;
  readonly code: number;
  readonly states: readonly { readonly name: string; readonly code: number }[];
}

const formatNewest = 1;
const currentName = "CURRENT";
const manifestName = /^MANIFEST-(\d{1,10})$/;
const countFields = ["generation", "keyGroups", "shards", "layout", "firstSegment", "committed"] as const;

/**
 * The current manifest, or undefined when the directory is new.
 *
 * @throws `HF_STATE_DAMAGED` naming the file, or `HF_FORMAT` when a newer version wrote it.
 */
export function readManifest(disk: Disk, dataDir: string): Manifest | undefined {
  const generation = readCurrent(disk, dataDir);
  if (generation === undefined) {
    const newest = listManifests(disk, dataDir).at(-1) ?? 0;
    if (newest > 1) throw damaged(`${dataDir}/${currentName}`, `is missing beside MANIFEST-${newest}`); // M3
    return undefined;
  }
  const path = manifestPath(dataDir, generation);
  if (!disk.exists(path)) throw damaged(path, `is missing, but ${currentName} names it`);
  return readManifestOf(disk, dataDir, generation);
}

/** The manifest of a generation, which exists. @throws as `readManifest` */
export function readManifestOf(disk: Disk, dataDir: string, generation: number): Manifest {
  const path = manifestPath(dataDir, generation);
  return decode(readText(disk, path), path, generation);
}

/** The generation of the manifest with this file name; undefined for other names. */
export function manifestGeneration(name: string): number | undefined {
  const match = manifestName.exec(name);
  return match === null ? undefined : Number(match[1]);
}

/**
 * Makes `manifest` the current one; durable when it returns.
 *
 * @throws `HF_FENCED` when the directory has a current manifest of a later generation.
 */
export function writeManifest(disk: Disk, dataDir: string, manifest: Manifest): void {
  const { generation } = manifest;
  invariant(generation >= 1, "a generation is at least 1"); // M3
  const before = readCurrent(disk, dataDir);
  if (before !== undefined && before > generation) {
    const what = `${dataDir} has generation ${before}; this process has ${generation} and no longer owns it`;
    throw new HoldfastError("HF_FENCED", what);
  }
  const text = encode(manifest);
  const path = manifestPath(dataDir, generation);
  invariant(encode(decode(text, path, generation)) === text, "a manifest reads back as it was written");
  replaceFile(disk, dataDir, `MANIFEST-${generation}`, text); // M1
  if (before !== generation) replaceFile(disk, dataDir, currentName, encodeCurrent(generation));
  for (const old of listManifests(disk, dataDir).slice(0, -2)) disk.remove(manifestPath(dataDir, old)); // M2
}

/** JSON with the keys of every object in order, so that equal values have equal bytes. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => {
    if (part === null || typeof part !== "object" || Array.isArray(part)) return part;
    const sorted = Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(sorted);
  });
}

function encode(manifest: Manifest): string {
  const json = canonicalJson(manifest);
  return `${json}\nsha256:${sha256(json)}\n`;
}

function decode(text: string, path: string, generation: number): Manifest {
  const [json = "", hash = "", rest] = text.split("\n");
  if (rest !== "" || text.split("\n").length !== 3) throw damaged(path, "is cut short or has bytes behind its end");
  if (hash !== `sha256:${sha256(json)}`) throw damaged(path, "does not fit its checksum");
  const parsed = parse(json, path);
  const format: unknown = parsed.format;
  if (typeof format === "number" && format > formatNewest) {
    const way = `this version reads up to ${formatNewest}: use the version of Holdfast that wrote it, or a later one`;
    throw new HoldfastError("HF_FORMAT", `${path} has format ${format}; ${way}`);
  }
  const wrong = wrongField(parsed);
  if (wrong !== undefined) throw damaged(path, `has a wrong ${wrong}`);
  if (parsed.generation !== generation) throw damaged(path, `says generation ${parsed.generation}`);
  return parsed;
}

/** Whoever can write the file can write its checksum: what is inside is checked all the same. */
function parse(json: string, path: string): Manifest {
  let parsed: unknown;
  try {
    parsed = JSON.parse(json);
  } catch {
    throw damaged(path, "is no JSON");
  }
  if (typeof parsed !== "object" || parsed === null) throw damaged(path, "is no manifest");
  return parsed as Manifest;
}

function wrongField(manifest: Manifest): string | undefined {
  if (manifest.format !== formatNewest) return "format";
  for (const field of countFields) {
    if (!Number.isSafeInteger(manifest[field]) || manifest[field] < 0) return field;
  }
  if (manifest.shards < 1 || manifest.shards > shardsMax) return "shards";
  if (manifest.keyGroups < 1 || manifest.keyGroups > keyGroupsMax) return "keyGroups";
  if (typeof manifest.application !== "string") return "application";
  if (typeof manifest.hash !== "string") return "hash";
  if (!Array.isArray(manifest.functions) || !manifest.functions.every(isFunctionEntry)) return "functions";
  if (manifest.egresses === null || typeof manifest.egresses !== "object") return "egresses";
  return undefined;
}

function isFunctionEntry(entry: unknown): boolean {
  const { states } = (entry ?? {}) as { states?: unknown };
  return isNumbered(entry) && Array.isArray(states) && states.every(isNumbered);
}

function isNumbered(entry: unknown): boolean {
  const { name, code } = (entry ?? {}) as { name?: unknown; code?: unknown };
  return typeof name === "string" && Number.isSafeInteger(code);
}

/** The generation that `CURRENT` names. */
function readCurrent(disk: Disk, dataDir: string): number | undefined {
  const path = `${dataDir}/${currentName}`;
  if (!disk.exists(path)) return undefined;
  const text = readText(disk, path);
  const generation = manifestGeneration(text.slice(0, text.indexOf("\n")));
  if (generation === undefined) throw damaged(path, "does not name a manifest");
  if (text !== encodeCurrent(generation)) throw damaged(path, "does not fit its checksum");
  return generation;
}

/** With a checksum: one wrong digit would name the manifest before, which is kept, and lose a generation. */
function encodeCurrent(generation: number): string {
  const name = `MANIFEST-${generation}`;
  return `${name}\nsha256:${sha256(name)}\n`;
}

/** Generations of the manifests present, ascending. */
function listManifests(disk: Disk, dataDir: string): number[] {
  return disk
    .list(dataDir)
    .map(manifestGeneration)
    .filter((generation) => generation !== undefined)
    .sort((a, b) => a - b);
}

function replaceFile(disk: Disk, directory: string, name: string, text: string): void {
  const temporary = `${directory}/${name}.tmp`;
  const file = disk.open(temporary, "create");
  try {
    file.write(new TextEncoder().encode(text), 0);
    file.datasync();
  } finally {
    closeQuietly(file);
  }
  disk.rename(temporary, `${directory}/${name}`);
  disk.syncDirectory(directory);
}

/** A failing close would hide the error that came before it; after a datasync it says nothing new. */
function closeQuietly(file: { close(): void }): void {
  try {
    file.close();
  } catch (error) {
    if (!isHoldfastError(error)) throw error;
  }
}

function readText(disk: Disk, path: string): string {
  return new TextDecoder().decode(disk.readFile(path));
}

function manifestPath(dataDir: string, generation: number): string {
  return `${dataDir}/MANIFEST-${generation}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

function damaged(path: string, what: string): HoldfastError {
  return new HoldfastError("HF_STATE_DAMAGED", `${path} ${what}; restore the data directory from a copy`);
}
