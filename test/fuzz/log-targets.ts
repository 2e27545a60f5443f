/** Files of a data directory: segments of the log, what its records carry, the manifest and CURRENT. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import { seededRandom } from "../../lib/base/random.js";
import { scanLog } from "../../lib/log/log-reader.js";
import { type Manifest, readManifest } from "../../lib/log/manifest.js";
import { encodeRecord, recordAlignment, recordBytes, recordType } from "../../lib/log/record.js";
import { segmentPath } from "../../lib/log/segment-name.js";
import { decodeCommit } from "../../lib/snapshot/commit-record.js";
import { forEachRowPlace, splitDelta, valueAt } from "../../lib/snapshot/delta.js";
import { SimDisk } from "../simulation/sim-disk.js";
import { type Target, valueOrTyped } from "./fuzzer.js";

const directory = "/data/log";
const dataDir = "/data";

type Piece =
  | { readonly type: 1 | 2 | 4 | 5; readonly epoch: number; readonly payload: Uint8Array }
  | { readonly garbage: Uint8Array };

/** Records that verify, and bytes that do not, in any order. */
const piece: fc.Arbitrary<Piece> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom(recordType.delta, recordType.commit, recordType.synced),
      epoch: fc.maxSafeNat(),
      payload: fc.uint8Array({ maxLength: 60 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant(recordType.seal),
      epoch: fc.nat(),
      payload: fc.oneof(fc.uint8Array({ maxLength: 9 }), fc.constant(Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0))),
    }),
  },
  { weight: 1, arbitrary: fc.record({ garbage: fc.uint8Array({ minLength: 1, maxLength: 80 }) }) },
);

function segmentOf(pieces: readonly Piece[]): Uint8Array {
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const each of pieces) {
    const isGarbage = "garbage" in each;
    const bytes = new Uint8Array(isGarbage ? (each.garbage.length + 7) & -8 : recordBytes(each.payload.length));
    if (isGarbage) bytes.set(each.garbage);
    else {
      const header = { type: each.type, shard: 0, part: 0, parts: 1, generation: 1, flags: 0, durable: 0 };
      encodeRecord(bytes, 0, { ...header, epoch: each.epoch }, each.payload, 1, offset);
    }
    parts.push(bytes);
    offset += bytes.length;
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** A disk with these files in the data directory. */
function diskOf(files: Readonly<Record<string, Uint8Array>>): SimDisk {
  const disk = new SimDisk(seededRandom(1));
  for (const each of [dataDir, directory]) disk.mkdir(each);
  for (const [path, bytes] of Object.entries(files)) disk.open(path, "create").write(bytes, 0);
  return disk;
}

function sealed(json: string): Uint8Array {
  return Buffer.from(`${json}\nsha256:${createHash("sha256").update(json).digest("hex")}\n`);
}

const manifest = {
  format: 1,
  application: "example",
  generation: 1,
  keyGroups: 128,
  hash: "fnv",
  shards: 2,
  layout: 1,
  firstSegment: 1,
  committed: 0,
  functions: [{ name: "example/person", code: 1, states: [{ name: "visits", code: 1 }] }],
  egresses: {},
};
/** Manifests of somebody who can make checksums. */
const forged = fc.oneof(
  fc.json(),
  fc.string(),
  fc
    .tuple(fc.constantFrom(...Object.keys(manifest), "__proto__"), fc.jsonValue())
    .map(
      ([field, value]) => `${JSON.stringify(manifest).slice(0, -1)},${JSON.stringify(field)}:${JSON.stringify(value)}}`,
    ),
);

export const logTargets: readonly Target[] = [
  {
    name: "log/segment",
    property: fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const disk = diskOf({ [segmentPath(directory, 1)]: segmentOf(pieces) });
      const seen: number[] = [];
      const scan = valueOrTyped(() => scanLog(disk, directory, 1, ({ epoch }) => seen.push(epoch)));
      const expected: number[] = [];
      for (const each of pieces) {
        if ("garbage" in each || each.type === recordType.seal) break;
        expected.push(each.epoch);
      }
      assert.deepEqual(seen, expected, "the chain has other records than were written");
      const isWhole = expected.length === pieces.length;
      assert.equal(
        scan !== undefined && scan.damage === undefined,
        isWhole || endsClean(pieces.slice(expected.length)),
      );
    }),
  },
  {
    name: "log/commit",
    property: fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      valueOrTyped(() => decodeCommit(bytes));
    }),
  },
  {
    name: "log/delta",
    property: fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      valueOrTyped(() => {
        const { rows } = splitDelta(bytes);
        forEachRowPlace(rows, (_from, keyTo) => {
          valueAt(rows, keyTo);
        });
      });
    }),
  },
  {
    name: "log/manifest",
    property: fc.property(forged, (json) => {
      const disk = diskOf({ "/data/CURRENT": sealed("MANIFEST-1"), "/data/MANIFEST-1": sealed(json) });
      const read = valueOrTyped(() => readManifest(disk, dataDir));
      if (read !== undefined) assertUsable(read);
    }),
  },
  {
    name: "log/current",
    property: fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 90 }),
        fc.string().map(sealed),
        fc.nat().map((n) => sealed(`MANIFEST-${n}`)),
      ),
      (current) => {
        const disk = diskOf({ "/data/CURRENT": current, "/data/MANIFEST-1": sealed(JSON.stringify(manifest)) });
        const read = valueOrTyped(() => readManifest(disk, dataDir));
        const names = Buffer.from(current).equals(Buffer.from(sealed("MANIFEST-1")));
        assert.equal(read !== undefined, names, "a manifest that nothing names");
      },
    ),
  },
];

/** Nothing but zeros is where nothing was written. */
/** What a chain may end in: zeros where the next record would begin, and no record behind them. */
function endsClean(pieces: readonly Piece[]): boolean {
  const [first] = pieces;
  if (first === undefined || !("garbage" in first) || pieces.some((each) => !("garbage" in each))) return false;
  return first.garbage.subarray(0, recordAlignment).every((byte) => byte === 0);
}

function assertUsable({ shards, keyGroups, functions }: Manifest): void {
  assert.ok(shards >= 1 && shards <= 64 && keyGroups >= 1 && keyGroups <= 32_768, "numbers that allocate anything");
  for (const { name, states } of functions) assert.equal(typeof name + Array.isArray(states), "stringtrue");
}
