/**
 * What is said to be durable was synced by the system, on a real disk: no test can take the power away, and a missing sync
 * shows in nothing else. Syncs of the engine's own protocol are the simulator's business.
 */
import assert from "node:assert/strict";
import fs, { mkdirSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";

/** Files and directories that were synced, by inode: a descriptor has no name. */
const synced: number[] = [];
const noted =
  <T>(sync: (descriptor: number) => T) =>
  (descriptor: number): T => {
    synced.push(fs.fstatSync(descriptor).ino);
    return sync(descriptor);
  };
fs.fsyncSync = noted(fs.fsyncSync);
fs.fdatasyncSync = noted(fs.fdatasyncSync);
syncBuiltinESMExports(); // before what uses them is loaded, and after

const folder = mkdtempSync(join(tmpdir(), "holdfast-synced-"));
after(() => rmSync(folder, { recursive: true, force: true }));
await noteHandles();

const { NodeDisk } = await import("../../lib/log/node-disk.js");
const { LogWriter } = await import("../../lib/log/log-writer.js");
const { openBaseWriter } = await import("../../lib/store/lmdb-base.js");
const { ndjsonEgress } = await import("../../lib/io/ndjson.js");
const { EgressDefinition } = await import("../../lib/model/egress.js");

describe("the system syncs", { skip: process.platform === "win32" && "directories cannot be synced there" }, () => {
  test("a file and a directory of the log's disk when it is told to", () => {
    const disk = new NodeDisk();
    const path = join(folder, "file");
    const file = disk.open(path, "create");
    const before = synced.length;
    file.write(new Uint8Array(8), 0);
    file.datasync();
    assert.deepEqual(synced.slice(before), [inode(path)]);
    file.close();
    disk.syncDirectory(folder);
    assert.deepEqual(synced.slice(before), [inode(path), inode(folder)]);
  });

  test("the name of the log's directory when the log begins", () => {
    const data = join(folder, "data");
    mkdirSync(data);
    const before = synced.length;
    new LogWriter(new NodeDisk(), join(data, "log"), { generation: 1, firstSegment: 1 }).close();
    assert.ok(synced.slice(before).includes(inode(data)));
  });

  test("the names and the first pages of a new base", () => {
    const base = join(folder, "state", "0");
    const before = synced.length;
    openBaseWriter(base).close();
    const since = synced.slice(before);
    for (const path of [join(base, "data.mdb"), base, join(folder, "state")])
      assert.ok(since.includes(inode(path)), path);
  });

  test("the folder of a new egress file, and the file before its watermark says how far it is", async () => {
    const out = join(folder, "out");
    const path = join(out, "records.ndjson");
    const before = synced.length;
    const sink = await ndjsonEgress(new EgressDefinition<unknown>("test/out", undefined), { path }).open(undefined);
    assert.ok(synced.slice(before).includes(inode(out)), "the folder");
    await sink.write(1, [{ id: "1-0-0", record: { n: 1 } }]);
    const written = synced.length;
    const { position } = await sink.sync();
    assert.deepEqual(synced.slice(written), [inode(path)]);
    assert.equal((position as { readonly length: number }).length, statSync(path).size);
    await sink.close();
  });
});

function inode(path: string): number {
  return statSync(path).ino;
}

/** The same for handles of `node:fs/promises`. */
async function noteHandles(): Promise<void> {
  const handle = await open(folder, "r");
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  for (const name of ["sync", "datasync"] as const) {
    const original = prototype[name];
    prototype[name] = function (this: FileHandle) {
      synced.push(fs.fstatSync(this.fd).ino);
      return original.call(this);
    };
  }
}
