/**
 * What the log of a data directory holds, in epochs: the chain of commits that recovery goes by, and, for a log that is
 * damaged, what else of it verifies.
 *
 * E1. The chain ends at the first commit that lacks a delta, or is not the next epoch.
 * E2. What was durable is what anything that verifies says, manifest and note (durable-note.ts) included. A chain that ends below it is damaged.
 * E3. A record behind the end of the chain, and in this generation's segments, was written by this generation, which
 *     never rewrites: such an epoch is what it says it is. It counts only when somebody accepts a loss.
 */
import type { Disk } from "../log/disk.js";
import { readDurableNote } from "../log/durable-note.js";
import { type LogRecord, type LogScan, scanLog } from "../log/log-reader.js";
import type { Manifest } from "../log/manifest.js";
import { recordType } from "../log/record.js";
import { type DeltaPlace, decodeCommit, type Watermarks } from "./commit-record.js";
import type { DeltaPayload } from "./epoch-log.js";

/** A committed epoch found in the log. */
export interface CommittedEpoch {
  readonly epoch: number;
  readonly deltas: readonly DeltaPayload[];
  readonly watermarks: Watermarks;
}

/** Where a log without damage to committed epochs can be taken up when some are damaged. */
export interface LastGood {
  readonly epoch: number;
  /** The newest ones in a row, up to that epoch; none when the bases hold all there is. */
  readonly epochs: readonly CommittedEpoch[];
  readonly watermarks: Watermarks;
}

export interface FoundEpochs {
  /** E1 */
  readonly epochs: readonly CommittedEpoch[];
  /** The last epoch of the chain. */
  readonly committed: number;
  /** E2 */
  readonly durable: number;
  readonly scan: LogScan;
  /** The last good epoch beside bases at these epochs; undefined when they do not fit any. */
  lastGood(baseEpochs: readonly number[]): LastGood | undefined;
}

/** Reads the log of a data directory with this manifest. Changes nothing. */
export function findEpochs(disk: Disk, dataDir: string, manifest: Manifest): FoundEpochs {
  const found = new Map<string, LogRecord>();
  const commits: LogRecord[] = [];
  const take = (record: LogRecord): void => {
    if (record.type === recordType.delta) found.set(`${record.segment}:${record.offset}`, record);
    else if (record.type === recordType.commit) commits.push(record);
  };
  const scan = scanLog(disk, `${dataDir}/log`, manifest.firstSegment, take, { generation: manifest.generation });
  const epochs = chainOf(commits, found, manifest);
  const committed = epochs.at(-1)?.epoch ?? 0; // a log that is whole holds its last commit, however much is trimmed
  return {
    epochs,
    committed,
    durable: Math.max(manifest.committed, scan.durableMax, readDurableNote(disk, dataDir, manifest.generation)),
    scan,
    lastGood: (baseEpochs) => {
      scanLog(disk, `${dataDir}/log`, manifest.firstSegment, () => {}, {
        generation: manifest.generation,
        behind: take,
      });
      return lastGood(decodeAll(commits, found), baseEpochs);
    },
  };
}

/** E1 */
function chainOf(
  commits: readonly LogRecord[],
  found: ReadonlyMap<string, LogRecord>,
  manifest: Manifest,
): CommittedEpoch[] {
  const epochs: CommittedEpoch[] = [];
  for (const { epoch, payload } of commits) {
    const previous = epochs.at(-1)?.epoch;
    if (previous !== undefined && epoch !== previous + 1) break;
    const { deltas, watermarks } = decodeCommit(payload);
    if (epochs.length === 0 && isTrimmed(deltas, manifest)) continue;
    const joined = joinParts(deltas, found);
    if (joined === undefined) break;
    epochs.push({ epoch, deltas: joined, watermarks });
  }
  return epochs;
}

/** A commit by itself: its deltas may be damaged, or trimmed. */
interface FoundCommit {
  readonly deltas: readonly DeltaPayload[] | undefined;
  readonly watermarks: Watermarks;
}

/** E3 */
function decodeAll(commits: readonly LogRecord[], found: ReadonlyMap<string, LogRecord>): Map<number, FoundCommit> {
  return new Map(
    commits.map(({ epoch, payload }) => {
      const { deltas, watermarks } = decodeCommit(payload);
      return [epoch, { deltas: joinParts(deltas, found), watermarks }];
    }),
  );
}

/** As far as every base can go, each from its own epoch; not below the newest base, which cannot go back. */
function lastGood(commits: ReadonlyMap<number, FoundCommit>, baseEpochs: readonly number[]): LastGood | undefined {
  let epoch = Math.min(...baseEpochs);
  while (commits.get(epoch + 1)?.deltas !== undefined) epoch++;
  if (epoch < Math.max(...baseEpochs)) return undefined;
  const known = Math.max(...[...commits.keys()].filter((commit) => commit <= epoch));
  const watermarks = commits.get(known)?.watermarks;
  if (watermarks === undefined) return undefined; // nothing says what the sinks have taken
  const epochs: CommittedEpoch[] = [];
  for (let at = epoch; ; at--) {
    const commit = commits.get(at);
    if (commit?.deltas === undefined) break;
    epochs.unshift({ epoch: at, deltas: commit.deltas, watermarks: commit.watermarks });
  }
  return { epoch, epochs, watermarks };
}

/** True for a commit at the head of the log whose deltas, or some of them, went with the segments before it. */
function isTrimmed(places: readonly DeltaPlace[], manifest: Manifest): boolean {
  return places.some(({ segment }) => segment < manifest.firstSegment);
}

/** The parts of a commit's deltas, joined by shard; undefined when one is missing or is not the one that was committed. */
function joinParts(places: readonly DeltaPlace[], found: ReadonlyMap<string, LogRecord>): DeltaPayload[] | undefined {
  const parts = new Map<number, Uint8Array[]>();
  for (const place of places) {
    const record = found.get(`${place.segment}:${place.offset}`);
    if (record === undefined || record.crc !== place.crc) return undefined;
    const list = parts.get(place.shard) ?? [];
    list.push(record.payload);
    parts.set(place.shard, list);
  }
  return [...parts].map(([shard, list]) => ({ shard, payload: list.length === 1 ? list[0] : Buffer.concat(list) }));
}
