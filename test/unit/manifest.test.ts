import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import test, { describe } from "node:test";
import { seededRandom } from "../../lib/base/random.js";
import { canonicalJson, type Manifest, readManifest, writeManifest } from "../../lib/log/manifest.js";
import { SimDisk, SimulatedCrash } from "../simulation/sim-disk.js";

const dataDir = "/data";

function newDisk(seed = 1): SimDisk {
  const disk = new SimDisk(seededRandom(seed));
  disk.mkdir(dataDir);
  disk.syncDirectory("/");
  return disk;
}

function manifest(generation: number): Manifest {
  return {
    format: 1,
    application: "example",
    generation,
    keyGroups: 128,
    hash: "fnv",
    shards: 2,
    layout: 1,
    firstSegment: generation,
    committed: 10 * generation,
    functions: [{ name: "example/person", code: 1, states: [{ name: "visits", code: 1 }] }],
    egresses: { "example/out": { code: 1 } },
  };
}

function text(disk: SimDisk, name: string): string {
  return new TextDecoder().decode(disk.readFile(`${dataDir}/${name}`));
}

function put(disk: SimDisk, name: string, content: string): void {
  disk.open(`${dataDir}/${name}`, "create").write(new TextEncoder().encode(content), 0);
}

function sealed(json: string): string {
  return `${json}\nsha256:${createHash("sha256").update(json).digest("hex")}\n`;
}

describe("the manifest", () => {
  test("of a new directory is undefined", () => {
    const disk = newDisk();
    assert.equal(readManifest(disk, dataDir), undefined);
    assert.equal(readManifest(disk, "/nowhere"), undefined);
  });

  test("reads back as it was written, after a crash of the system too", () => {
    const disk = newDisk();
    writeManifest(disk, dataDir, manifest(1));
    disk.crash("os");
    assert.deepEqual(readManifest(disk, dataDir), manifest(1));
  });

  test("has canonical bytes: the order of keys in memory does not show", () => {
    const value = { b: [{ z: 1, a: 2 }], a: { d: null, c: "x" } };
    assert.equal(canonicalJson(value), '{"a":{"c":"x","d":null},"b":[{"a":2,"z":1}]}');
    const disk = newDisk();
    writeManifest(disk, dataDir, manifest(1));
    assert.equal(text(disk, "CURRENT").split("\n")[0], "MANIFEST-1");
    assert.equal(text(disk, "MANIFEST-1"), sealed(canonicalJson(manifest(1))));
  });

  test("keeps keys that this version does not know", () => {
    const disk = newDisk();
    writeManifest(disk, dataDir, { ...manifest(1), later: { x: [1, 2] } } as Manifest);
    writeManifest(disk, dataDir, { ...readManifest(disk, dataDir)!, generation: 2 });
    assert.deepEqual(readManifest(disk, dataDir), { ...manifest(1), generation: 2, later: { x: [1, 2] } });
  });

  test("keeps the one before it and removes older ones", () => {
    const disk = newDisk();
    for (let generation = 1; generation <= 11; generation++) writeManifest(disk, dataDir, manifest(generation));
    assert.deepEqual(disk.list(dataDir), ["CURRENT", "MANIFEST-10", "MANIFEST-11"]);
    assert.equal(readManifest(disk, dataDir)?.generation, 11);
  });

  test("can be rewritten within its generation", () => {
    const disk = newDisk();
    writeManifest(disk, dataDir, manifest(1));
    writeManifest(disk, dataDir, { ...manifest(1), firstSegment: 9 });
    disk.crash("os");
    assert.equal(readManifest(disk, dataDir)?.firstSegment, 9);
  });

  test("is refused to an owner of an older generation", () => {
    const disk = newDisk();
    writeManifest(disk, dataDir, manifest(2));
    assert.throws(() => writeManifest(disk, dataDir, manifest(1)), { code: "HF_FENCED" });
    assert.equal(readManifest(disk, dataDir)?.generation, 2);
  });

  test("with any bit flipped is damage that names the file", () => {
    const disk = newDisk();
    writeManifest(disk, dataDir, manifest(1));
    const path = `${dataDir}/MANIFEST-1`;
    for (let position = 0; position < text(disk, "MANIFEST-1").length; position++) {
      disk.flipBit(path, position, position % 8);
      assert.throws(() => readManifest(disk, dataDir), { code: "HF_STATE_DAMAGED", message: /MANIFEST-1/ });
      disk.flipBit(path, position, position % 8);
    }
    assert.deepEqual(readManifest(disk, dataDir), manifest(1));
  });

  test("that is missing, cut, longer or wrong in a field is damage", () => {
    const whole = sealed(canonicalJson(manifest(2)));
    const cases: Record<string, (disk: SimDisk) => void> = {
      "manifest missing": (disk) => disk.remove(`${dataDir}/MANIFEST-2`),
      "CURRENT missing": (disk) => disk.remove(`${dataDir}/CURRENT`),
      "CURRENT empty": (disk) => put(disk, "CURRENT", ""),
      "CURRENT wrong": (disk) => put(disk, "CURRENT", "MANIFEST-x\n"),
      "CURRENT with the number of the manifest before": (disk) =>
        put(disk, "CURRENT", text(disk, "CURRENT").replace("MANIFEST-2", "MANIFEST-1")),
      empty: (disk) => put(disk, "MANIFEST-2", ""),
      cut: (disk) => put(disk, "MANIFEST-2", whole.slice(0, -1)),
      longer: (disk) => put(disk, "MANIFEST-2", `${whole}x`),
      "other generation": (disk) => put(disk, "MANIFEST-2", sealed(canonicalJson(manifest(3)))),
      "wrong field": (disk) => put(disk, "MANIFEST-2", sealed(canonicalJson({ ...manifest(2), shards: "2" }))),
      "wrong functions": (disk) => put(disk, "MANIFEST-2", sealed(canonicalJson({ ...manifest(2), functions: [{}] }))),
    };
    for (const [what, damage] of Object.entries(cases)) {
      const disk = newDisk();
      writeManifest(disk, dataDir, manifest(1));
      writeManifest(disk, dataDir, manifest(2));
      damage(disk);
      assert.throws(() => readManifest(disk, dataDir), { code: "HF_STATE_DAMAGED" }, what);
    }
  });

  test("that somebody made, with a checksum that fits, is looked at all the same", () => {
    const { shards, keyGroups, ...rest } = manifest(1);
    const made = ["null", "7", "no JSON", { ...rest, shards, keyGroups: 2 ** 40 }, { ...rest, shards: 65, keyGroups }];
    for (const each of made) {
      const disk = newDisk();
      writeManifest(disk, dataDir, manifest(1));
      put(disk, "MANIFEST-1", sealed(typeof each === "string" ? each : JSON.stringify(each)));
      assert.throws(() => readManifest(disk, dataDir), /^HoldfastError: HF_STATE_DAMAGED: .*MANIFEST-1/);
    }
  });

  test("of a newer format is refused as such", () => {
    const disk = newDisk();
    writeManifest(disk, dataDir, manifest(1));
    put(disk, "MANIFEST-1", sealed(canonicalJson({ ...manifest(1), format: 2 })));
    assert.throws(() => readManifest(disk, dataDir), { code: "HF_FORMAT", message: /format 2/ });
  });

  test("is the old or the new one after a crash at any call, and the first start can begin again", () => {
    for (let seed = 1; seed <= 300; seed++) {
      const disk = newDisk(seed);
      const before = seed % 3; // 0: a new directory
      for (let generation = 1; generation <= before; generation++) writeManifest(disk, dataDir, manifest(generation));
      let calls = seed % 17;
      disk.onCall = () => {
        if (calls-- === 0) throw new SimulatedCrash();
      };
      let done = false;
      try {
        writeManifest(disk, dataDir, manifest(before + 1));
        done = true;
      } catch (error) {
        assert.ok(error instanceof SimulatedCrash);
      }
      disk.onCall = undefined;
      disk.crash("os");
      const found = readManifest(disk, dataDir)?.generation ?? 0;
      assert.ok(found === before + 1 || (!done && found === before), `seed ${seed}: found ${found}, before ${before}`);
      writeManifest(disk, dataDir, manifest(found + 1));
      assert.deepEqual(readManifest(disk, dataDir), manifest(found + 1));
    }
  });
});
