/** Bases inspected without LMDB. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import { open } from "lmdb";
import { isHoldfastError } from "../../lib/base/errors.js";
import { type Random, seededRandom } from "../../lib/base/random.js";
import type { Row } from "../../lib/store/base.js";
import { inspectBase, openBaseWriter } from "../../lib/store/lmdb-base.js";
import { stateKey } from "../../lib/store/row-key.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-image-"));
after(() => rmSync(folder, { recursive: true }));
let made = 0;
const pageBytes = 4096;

function freshPath(): string {
  return join(folder, String(made++));
}

function randomRows(random: Random, keys: number): Row[] {
  return Array.from({ length: random.below(400) }, () => {
    const id = random.below(keys);
    const key = stateKey(id % 32, 7, `id-${id}`);
    if (random.below(4) === 0) return { key, value: undefined };
    return { key, value: new Uint8Array(random.below(30) === 0 ? random.below(30_000) : random.below(80)).fill(id) };
  });
}

/** A base after many transactions: inner pages, values on pages of their own, free pages. */
function grownBase(seed: number): string {
  const path = freshPath();
  const random = seededRandom(seed);
  const writer = openBaseWriter(path);
  for (let round = 1; round <= 60; round++) writer.apply(randomRows(random, 3_000), round);
  writer.close();
  return path;
}

function fileOf(path: string): string {
  return join(path, "data.mdb");
}

/** The first damage that an inspection finds, in words. */
function damageOf(path: string, values = false): string | undefined {
  return inspectBase(path, { values })?.damage[0]?.what;
}

describe("the file of a base", () => {
  test("is sound after any history of writes, deletions and openings", () => {
    for (let seed = 1; seed <= 4; seed++) {
      const path = freshPath();
      const random = seededRandom(seed);
      let writer = openBaseWriter(path);
      for (let round = 1; round <= 60; round++) {
        writer.apply(randomRows(random, 100 * 10 ** random.below(3)), random.below(2) === 0 ? round : undefined);
        if (random.below(10) > 0) continue;
        assert.deepEqual(inspectBase(path, { values: true })?.damage, []);
        writer.close();
        writer = openBaseWriter(path);
      }
      writer.close();
      assert.deepEqual(inspectBase(path, { values: true })?.damage, []);
    }
  });

  test("says its epoch and how many rows it has", () => {
    const path = freshPath();
    const writer = openBaseWriter(path);
    writer.apply([{ key: stateKey(1, 1, "a"), value: new Uint8Array(3) }], 42);
    writer.close();
    const { epoch, rows } = inspectBase(path) ?? {};
    assert.deepEqual({ epoch, rows }, { epoch: 42, rows: 4 }); // the epoch, and sums of two blocks of key groups
  });

  test("is refused when it ends too early, with the offset", () => {
    const path = grownBase(1);
    truncateSync(fileOf(path), readFileSync(fileOf(path)).length / 2);
    assert.throws(
      () => openBaseWriter(path),
      (error) => isHoldfastError(error, "HF_STATE_DAMAGED") && /offset \d+ of data\.mdb/.test(error.message),
    );
  });

  test("is refused when two of its pages have changed places", () => {
    const path = grownBase(2);
    const bytes = readFileSync(fileOf(path));
    const swapped = Buffer.from(bytes);
    const [one, other] = usedPages(bytes);
    bytes.copy(swapped, one, other, other + pageBytes);
    bytes.copy(swapped, other, one, one + pageBytes);
    writeFileSync(fileOf(path), swapped);
    assert.equal(damageOf(path), "a page says another number than its own");
  });

  test("is refused when a row was lost in a way that LMDB thinks right", () => {
    const path = grownBase(3);
    const db = open<Uint8Array, Uint8Array>({ path, noSubdir: false, encoding: "binary", keyEncoding: "binary" });
    const [first] = [...db.getKeys({ limit: 1 })];
    db.transactionSync(() => db.removeSync(first as Uint8Array));
    void db.close();
    assert.match(damageOf(path) ?? "", /^key group 0: \d+ rows instead of \d+$/);
  });

  test("is refused when a row is an older one that LMDB thinks right", () => {
    const path = freshPath();
    const writer = openBaseWriter(path);
    const key = stateKey(5, 1, "a");
    writer.apply([{ key, value: new Uint8Array(8).fill(1) }], 1);
    const db = open<Uint8Array, Uint8Array>({ path, noSubdir: false, encoding: "binary", keyEncoding: "binary" });
    const older = Buffer.from(db.get(key) as Uint8Array);
    writer.apply([{ key, value: new Uint8Array(8).fill(2) }], 2);
    db.transactionSync(() => db.putSync(key, older));
    void db.close();
    writer.close();
    assert.equal(damageOf(path, true), "key group 5: a row is not the one that was written last");
  });

  test("never hides a flipped bit: it is refused, or a value does not fit its crc, or all rows are as they were", () => {
    const path = grownBase(4);
    const whole = readFileSync(fileOf(path));
    const rows = rowsOf(path);
    const random = seededRandom(9);
    const seen = { refused: 0, read: 0 };
    for (let flip = 0; flip < 400; flip++) {
      const bytes = Buffer.from(whole);
      const at = random.below(2) === 0 ? random.below(2 * pageBytes) : random.below(bytes.length);
      bytes[at]! ^= 1 << random.below(8);
      writeFileSync(fileOf(path), bytes);
      if (damageOf(path, true) !== undefined) {
        seen.refused++;
        continue;
      }
      assert.equal(rowsOf(path), rows, `a bit of byte ${at}`);
      seen.read++;
      writeFileSync(fileOf(path), whole);
    }
    assert.ok(seen.refused > 0 && seen.read > 0, JSON.stringify(seen));
  });
});

/** Offsets of two pages of rows. */
function usedPages(bytes: Buffer): [number, number] {
  const leaf = 2;
  const pages: number[] = [];
  const last = Math.max(bytes.readUInt32LE(24 + 128), bytes.readUInt32LE(pageBytes + 24 + 128));
  for (let at = 2 * pageBytes; at < bytes.length && pages.length < 2; at += pageBytes) {
    if (bytes.readUInt16LE(at + 18) === leaf && bytes.readUInt32LE(at + 8) >= last - 1) pages.push(at);
  }
  assert.equal(pages.length, 2);
  return pages as [number, number];
}

function rowsOf(path: string): string {
  const writer = openBaseWriter(path);
  const rows = [...writer.scan(new Uint8Array(0), Uint8Array.of(0xff, 0xff, 0xff))];
  writer.close();
  return rows
    .map(({ key, value }) => `${Buffer.from(key).toString("hex")} ${Buffer.from(value).toString("hex")}`)
    .join("\n");
}
