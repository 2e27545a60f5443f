/** What every disk does, real or simulated. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, beforeEach, describe } from "node:test";
import { seededRandom } from "../../lib/base/random.js";
import type { Disk } from "../../lib/log/disk.js";
import { NodeDisk } from "../../lib/log/node-disk.js";
import { SimDisk } from "../simulation/sim-disk.js";

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const real = mkdtempSync(join(tmpdir(), "holdfast-disk-"));
after(() => rmSync(real, { recursive: true }));

const disks: Record<string, () => [Disk, string]> = {
  NodeDisk: () => [new NodeDisk(), mkdtempSync(join(real, "t-"))],
  SimDisk: () => {
    const disk = new SimDisk(seededRandom(1));
    disk.mkdir("/root");
    return [disk, "/root"];
  },
};

for (const [name, make] of Object.entries(disks)) {
  describe(name, () => {
    let disk: Disk;
    let root: string;
    beforeEach(() => {
      [disk, root] = make();
    });

    test("makes directories with their parents, again without complaint", () => {
      disk.mkdir(`${root}/a/b/c`);
      disk.mkdir(`${root}/a/b/c`);
      assert.equal(disk.exists(`${root}/a/b/c`), true);
      assert.deepEqual(disk.list(`${root}/a`), ["b"]);
    });

    test("lists names sorted, and nothing where there is no directory", () => {
      for (const file of ["b", "a", "10", "9"]) disk.open(`${root}/${file}`, "create").close();
      assert.deepEqual(disk.list(root), ["10", "9", "a", "b"]);
      assert.deepEqual(disk.list(`${root}/none`), []);
    });

    test("reads what was written, anywhere in a file; a hole is zeros", () => {
      const file = disk.open(`${root}/f`, "create");
      file.write(bytes(1, 2, 3), 0);
      file.write(bytes(9), 5);
      file.write(bytes(7), 1);
      assert.equal(file.size(), 6);
      const into = new Uint8Array(4);
      assert.equal(file.read(into, 0), 4);
      assert.deepEqual(into, bytes(1, 7, 3, 0));
      assert.equal(file.read(into, 4), 2);
      assert.equal(file.read(into, 6), 0);
      file.datasync();
      file.close();
      assert.deepEqual(disk.readFile(`${root}/f`), bytes(1, 7, 3, 0, 0, 9));
    });

    test("writes the part of a buffer that a view shows", () => {
      const file = disk.open(`${root}/f`, "create");
      file.write(bytes(1, 2, 3, 4, 5).subarray(1, 4), 0);
      const into = new Uint8Array(5);
      assert.equal(file.read(into.subarray(1, 4), 0), 3);
      assert.deepEqual(into, bytes(0, 2, 3, 4, 0));
      file.close();
    });

    test("returns bytes that belong to the caller", () => {
      const file = disk.open(`${root}/f`, "create");
      file.write(bytes(1, 2, 3), 0);
      disk.readFile(`${root}/f`).fill(9);
      const read = disk.readFile(`${root}/f`);
      assert.deepEqual(read, bytes(1, 2, 3));
      assert.equal(Object.getPrototypeOf(read), Uint8Array.prototype);
      file.close();
    });

    test("keeps an existing file's bytes when it opens it and drops them when it creates it", () => {
      const path = `${root}/f`;
      const first = disk.open(path, "create");
      first.write(bytes(1, 2, 3), 0);
      first.close();
      const second = disk.open(path, "existing");
      assert.equal(second.size(), 3);
      second.close();
      disk.open(path, "create").close();
      assert.deepEqual(disk.readFile(path), bytes());
    });

    test("renames files and directories, over an existing file too", () => {
      disk.mkdir(`${root}/d`);
      for (const file of ["a", "b", "d/c"]) {
        const opened = disk.open(`${root}/${file}`, "create");
        opened.write(new TextEncoder().encode(file), 0);
        opened.close();
      }
      disk.rename(`${root}/a`, `${root}/b`);
      disk.rename(`${root}/d`, `${root}/e`);
      disk.syncDirectory(root);
      assert.deepEqual(disk.list(root), ["b", "e"]);
      assert.equal(new TextDecoder().decode(disk.readFile(`${root}/b`)), "a");
      assert.equal(new TextDecoder().decode(disk.readFile(`${root}/e/c`)), "d/c");
    });

    test("keeps an open file readable under its new name's bytes", () => {
      const file = disk.open(`${root}/a`, "create");
      disk.rename(`${root}/a`, `${root}/b`);
      file.write(bytes(5), 0);
      assert.deepEqual(disk.readFile(`${root}/b`), bytes(5));
      file.close();
    });

    test("removes a file, and a directory with all it holds", () => {
      disk.mkdir(`${root}/d/e`);
      disk.open(`${root}/d/e/f`, "create").close();
      disk.open(`${root}/g`, "create").close();
      disk.remove(`${root}/d`);
      disk.remove(`${root}/g`);
      assert.deepEqual(disk.list(root), []);
    });

    test("says HF_IO with path and system code, cause kept, for what is not there", () => {
      const path = `${root}/none`;
      const calls: (() => unknown)[] = [
        () => disk.open(path, "existing"),
        () => disk.open(`${path}/x`, "create"),
        () => disk.readFile(path),
        () => disk.rename(path, `${root}/x`),
        () => disk.remove(path),
        () => disk.syncDirectory(path),
      ];
      for (const call of calls) {
        assert.throws(call, (error: Error & { code?: string }) => {
          assert.equal(error.code, "HF_IO");
          assert.ok(error.message.includes(path) && error.message.includes("ENOENT"), error.message);
          assert.equal((error.cause as { code?: string }).code, "ENOENT");
          return true;
        });
      }
    });

    test("refuses a closed file", () => {
      const file = disk.open(`${root}/f`, "create");
      file.close();
      assert.throws(() => file.write(bytes(1), 0));
      assert.throws(() => file.datasync());
    });
  });
}

test("the real disk says HF_DISK_FULL for no space", { skip: process.platform !== "linux" }, () => {
  const file = new NodeDisk().open("/dev/full", "existing");
  assert.throws(() => file.write(bytes(1), 0), { code: "HF_DISK_FULL", message: /ENOSPC.*\/dev\/full/ });
  file.close();
});

describe("the simulated disk after a crash", () => {
  test("of the system has synced bytes under synced names, and any mix of the rest", () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= 200; seed++) {
      const disk = new SimDisk(seededRandom(seed));
      disk.mkdir("/d");
      disk.syncDirectory("/");
      const file = disk.open("/d/synced", "create");
      file.write(new Uint8Array(1024).fill(1), 0);
      file.datasync();
      disk.syncDirectory("/d");
      file.write(new Uint8Array(1024).fill(2), 0);
      disk.open("/d/new", "create");
      disk.rename("/d/new", "/d/newer");
      disk.crash("os");
      assert.throws(() => file.size(), { code: "HF_INVARIANT" });
      const content = disk.readFile("/d/synced");
      assert.equal(content.length, 1024);
      assert.ok(content.every((byte) => byte === 1 || byte === 2));
      const torn = [0, 512].map((at) => (content[at] === content[at + 511] ? content[at] : "torn"));
      seen.add(`sectors ${torn.join()}`).add(`names ${disk.list("/d").join()}`);
    }
    for (const both of ["1,1", "1,2", "2,1", "2,2", "torn,1", "1,torn"]) assert.ok(seen.has(`sectors ${both}`), both);
    for (const names of ["synced", "new,synced", "newer,synced"]) assert.ok(seen.has(`names ${names}`), names);
  });

  test("of the process has everything", () => {
    const disk = new SimDisk(seededRandom(1));
    disk.mkdir("/d");
    disk.open("/d/f", "create").write(bytes(1, 2), 0);
    disk.crash("process");
    assert.deepEqual(disk.readFile("/d/f"), bytes(1, 2));
  });
});
