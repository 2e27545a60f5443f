/**
 * A look at everything in a data directory that nobody has open: manifests, log, bases, and whether they fit together.
 * Changes nothing. It goes on behind what it finds, so that one run tells all.
 */
import { isHoldfastError } from "../base/errors.js";
import type { Disk } from "../log/disk.js";
import { type Manifest, manifestGeneration, readManifest, readManifestOf } from "../log/manifest.js";
import { listSegments, segmentName } from "../log/segment-name.js";
import { type FoundEpochs, findEpochs } from "./found-epochs.js";

/** One file, and what was found in it. */
export interface VerifiedFile {
  /** Relative to the data directory. */
  readonly path: string;
  /** What was checked, in words. */
  readonly checked: string;
  /** What is wrong, with its position; empty when nothing is. */
  readonly damage: readonly string[];
}

/** What a base was found to be. */
export interface InspectedBase {
  readonly epoch: number;
  readonly checked: string;
  readonly damage: readonly string[];
}

export interface VerificationPorts {
  readonly disk: Disk;
  /** Checks the base in a directory; undefined when there is none. */
  inspectBase(path: string): Promise<InspectedBase | undefined>;
}

/** What `verify` tells. */
export interface VerifyReport {
  readonly dataDir: string;
  /** True when nothing is damaged and a start would find all that was committed. */
  readonly sound: boolean;
  /** The last committed epoch that can be read; 0 for a new directory, undefined when the manifest is damaged. */
  readonly committed: number | undefined;
  /** Where committed epochs are damaged: the epoch that `recoverTo` accepts; undefined when there is none. */
  readonly lastGood: number | undefined;
  readonly files: readonly VerifiedFile[];
  /** What is worth knowing and no damage: a torn tail, files that nothing refers to. */
  readonly notes: readonly string[];
}

export class Verification {
  readonly #dataDir: string;
  readonly #ports: VerificationPorts;
  readonly #files: VerifiedFile[] = [];
  readonly #notes: string[] = [];

  constructor(dataDir: string, ports: VerificationPorts) {
    this.#dataDir = dataDir;
    this.#ports = ports;
  }

  async run(): Promise<VerifyReport> {
    const manifest = this.#manifest();
    this.#olderManifests(manifest);
    if (manifest === undefined) {
      if (this.#files.length > 0) return this.#report(undefined, undefined);
      await this.#bases({ layout: 1, shards: this.#ports.disk.list(`${this.#dataDir}/state/1`).length });
      return this.#report(0, undefined);
    }
    const found = findEpochs(this.#ports.disk, this.#dataDir, manifest);
    const baseEpochs = await this.#bases(manifest);
    const lastGood = this.#log(manifest, found, baseEpochs);
    this.#leftovers(manifest);
    return this.#report(found.committed, lastGood);
  }

  #report(committed: number | undefined, lastGood: number | undefined): VerifyReport {
    const sound = this.#files.every(({ damage }) => damage.length === 0);
    return { dataDir: this.#dataDir, sound, committed, lastGood, files: this.#files, notes: this.#notes };
  }

  #manifest(): Manifest | undefined {
    try {
      const manifest = readManifest(this.#ports.disk, this.#dataDir);
      if (manifest === undefined) return undefined;
      this.#add("CURRENT", `names MANIFEST-${manifest.generation}`);
      this.#add(
        `MANIFEST-${manifest.generation}`,
        `checksum, fields: generation ${manifest.generation}, ${manifest.shards} shards`,
      );
      return manifest;
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      this.#add("CURRENT", "which manifest it names, and that one's checksum and fields", [error.message]);
      return undefined;
    }
  }

  /** The one before the current one is kept; nothing reads it. */
  #olderManifests(current: Manifest | undefined): void {
    for (const name of this.#ports.disk.list(this.#dataDir)) {
      const generation = manifestGeneration(name);
      if (generation === undefined || generation === current?.generation) continue;
      try {
        readManifestOf(this.#ports.disk, this.#dataDir, generation);
      } catch (error) {
        if (!isHoldfastError(error)) throw error;
        this.#notes.push(`${name} is damaged, and nothing refers to it: ${error.message}`);
      }
    }
  }

  /** The epochs of the bases. */
  async #bases(manifest: Pick<Manifest, "layout" | "shards">): Promise<number[] | undefined> {
    const epochs: number[] = [];
    for (let shard = 0; shard < manifest.shards; shard++) {
      const path = `state/${manifest.layout}/${shard}`;
      const inspected = await this.#ports.inspectBase(`${this.#dataDir}/${path}`);
      if (inspected === undefined) {
        // What a start that was killed before its manifest leaves; a base with rows that is gone shows in the log.
        epochs.push(0);
        this.#add(`${path}/data.mdb`, "is not there, like that of a new base");
        continue;
      }
      if (inspected.damage.length === 0) epochs.push(inspected.epoch);
      this.#add(`${path}/data.mdb`, inspected.checked, inspected.damage);
    }
    return epochs.length === manifest.shards ? epochs : undefined;
  }

  #log(manifest: Manifest, found: FoundEpochs, baseEpochs: readonly number[] | undefined): number | undefined {
    const { committed, durable, epochs, scan } = found;
    const place = scan.damage ?? scan.end;
    const newest = Math.max(durable, ...(baseEpochs ?? []));
    const oldest = Math.min(...(baseEpochs ?? [committed]));
    const damage: string[] = [];
    let lastGood: number | undefined;
    if (committed < newest) {
      const reason = scan.damage === undefined ? "" : ` (${scan.damage.reason})`;
      damage.push(
        `offset ${place.offset}: the log ends at epoch ${committed}, but epoch ${newest} was durable${reason}`,
      );
      lastGood = baseEpochs === undefined ? undefined : found.lastGood(baseEpochs)?.epoch;
    } else if (scan.damage !== undefined) {
      this.#notes.push(
        `log/${segmentName(place.segment)}, offset ${place.offset}: a torn tail above epoch ${committed}, which was never durable`,
      );
    }
    if (oldest + 1 < (epochs[0]?.epoch ?? committed + 1) && oldest < committed) {
      damage.push(`a base is at epoch ${oldest}, the log begins at ${epochs[0]?.epoch ?? committed + 1}`);
    }
    for (const segment of listSegments(this.#ports.disk, `${this.#dataDir}/log`)) {
      if (segment < manifest.firstSegment) continue;
      const path = `log/${segmentName(segment)}`;
      const isHere = segment === place.segment;
      const checked =
        segment <= scan.end.segment
          ? `every record, epochs ${epochs[0]?.epoch ?? committed} to ${committed}`
          : "nothing of the chain is in it";
      this.#add(path, checked, isHere ? damage.splice(0) : []);
    }
    if (damage.length > 0) this.#add(`log/${segmentName(place.segment)}`, "is not there", damage);
    return lastGood;
  }

  #leftovers(manifest: Manifest): void {
    const { disk } = this.#ports;
    for (const name of disk.list(`${this.#dataDir}/state`)) {
      if (name !== String(manifest.layout))
        this.#notes.push(`state/${name} is of another layout; the next start removes it`);
    }
  }

  #add(path: string, checked: string, damage: readonly string[] = []): void {
    this.#files.push({ path, checked, damage });
  }
}
