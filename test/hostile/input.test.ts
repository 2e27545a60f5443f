/** Bytes from outside that are small and become large: decoding is bounded, and what is too much is a typed refusal. */
import assert from "node:assert/strict";
import { closeSync, createWriteStream, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import test, { after, describe } from "node:test";
import { createGzip } from "node:zlib";
import { isHoldfastError } from "../../lib/base/errors.js";
import { MiB, payloadBytesMax, payloadContainersMax, payloadDepthMax } from "../../lib/base/limits.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { copyPlain } from "../../lib/codec/plain-data.js";
import { start } from "../../lib/index.js";
import { ndjsonIngress } from "../../lib/io/ndjson.js";
import type { IngressItem } from "../../lib/model/ingress.js";
import { appTest } from "../e2e/running-app.js";
import { carrier } from "./hostile.app.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-hostile-"));
after(() => rmSync(folder, { recursive: true, force: true }));
const codec = new PayloadCodec();

/** A head with a size of four bytes, and `count` times a part behind it. */
function bomb(head: number, size: number, part: readonly number[], count: number): Uint8Array {
  const bytes = Buffer.alloc(5 + part.length * count);
  bytes[0] = head;
  bytes.writeUInt32BE(size, 1);
  if (part.length > 0) bytes.fill(Uint8Array.from(part), 5);
  return bytes;
}

describe("payloads", () => {
  const array = 0xdd;
  const map = 0xdf;
  const fit = (part: number): number => Math.floor((payloadBytesMax - 5) / part);
  const bombs: readonly (readonly [string, Uint8Array])[] = [
    ["an array that says it has four billion items", bomb(array, 0xffff_ffff, [], 0)],
    ["a map that says it has four billion entries", bomb(map, 0xffff_ffff, [0xc0], 1_000)],
    ["a text that says it has four billion bytes", bomb(0xdb, 0xffff_ffff, [0x61], 1_000)],
    ["an extension that says it has four billion bytes", bomb(0xc9, 0xffff_ffff, [16], 1_000)],
    ["a million arrays in each other", bomb(array, 1, [0x91], 1_000_000)],
    ["maps in each other's keys", bomb(map, 1, [0x81], 1_000_000)],
    ["sixteen million empty arrays", bomb(array, fit(1), [0x90], fit(1))],
    ["sixteen million empty maps", bomb(array, fit(1), [0x80], fit(1))],
    ["five million empty typed arrays", bomb(array, fit(3), [0xc7, 0, 16], fit(3))],
  ];
  for (const [name, bytes] of bombs) {
    test(`with ${name} are refused before anything is allocated for them`, () => {
      const before = process.memoryUsage().rss;
      assert.throws(
        () => codec.decode(bytes),
        (error) => isHoldfastError(error, "HF_STATE_DAMAGED"),
      );
      assert.ok(process.memoryUsage().rss - before < 64 * MiB);
    });
  }

  test("with as many objects, keys and levels as are allowed come back", () => {
    const wide = new Array(payloadContainersMax - 1).fill(null).map(() => []);
    assert.equal((codec.decode(codec.encode(copyPlain(wide, "message"))) as unknown[]).length, wide.length);
    const keyed = Object.fromEntries(Array.from({ length: 1_000_000 }, (_, n) => [n.toString(36), n]));
    const found = codec.decode(codec.encode(copyPlain(keyed, "message"))) as Record<string, number>;
    assert.equal(found[(999_999).toString(36)], 999_999);
    let deep: unknown[] = [];
    for (let level = 1; level < payloadDepthMax; level++) deep = [deep];
    assert.deepEqual(codec.decode(codec.encode(copyPlain(deep, "message"))), deep);
  });
});

describe("an NDJSON ingress", () => {
  test("takes a line of as many levels as fit, and refuses one of too many objects", async () => {
    const path = join(folder, "levels.ndjson");
    const levels = payloadContainersMax;
    const deep = (count: number): string => "[".repeat(count) + "]".repeat(count);
    const wide = `[${"{},".repeat(levels)}{}]`;
    writeFileSync(
      path,
      `${deep(1_000_000)}\n${deep(levels + 1)}\n${wide}\n${"[".repeat(8 * MiB)}\n"${"[".repeat(levels + 9)}"\n1\n`,
    );
    const said = await readAll(path);
    assert.deepEqual(
      said.map((item) =>
        item.kind === "bad" ? /more than \d+ arrays and objects/.test(item.error.message) : item.kind,
      ),
      ["record", true, true, true, "record", "record"],
    );
  });

  test("unpacks a gzip bomb piece by piece: its line is a bad record, and memory stays flat", async () => {
    const path = join(folder, "bomb.ndjson.gz");
    const zeros = Buffer.alloc(MiB);
    async function* content(): AsyncGenerator<Buffer> {
      for (let n = 0; n < 200; n++) yield zeros;
      yield Buffer.from("\n7\n");
    }
    await pipeline(Readable.from(content()), createGzip({ level: 1 }), createWriteStream(path));
    const before = process.memoryUsage().rss;
    let peak = 0;
    const items = await readAll(path, () => {
      peak = Math.max(peak, process.memoryUsage().rss);
    });
    assert.deepEqual(
      items.map((item) => (item.kind === "bad" ? item.error.message : item.value)),
      [`the line has ${200 * MiB} bytes, more than the ${16 * MiB} of lineBytesMax`, 7],
    );
    assert.ok(peak - before < 128 * MiB, `${(peak - before) / MiB} MiB more`);
  });

  appTest("gives what no message can be to its reject file, and goes on: no thread dies", async (lab) => {
    const input = join(lab.folder, "input.ndjson");
    const file = openSync(input, "w");
    const line = (cargo: string): number => writeSync(file, `{"id":"x","cargo":${cargo}}\n`);
    const nested = (levels: number): string => "[".repeat(levels) + "]".repeat(levels);
    line(nested(payloadDepthMax + 1));
    line(nested(500_000));
    line(`[${"1.5,".repeat(2_000_000)}1.5]`); // 8 MB of text, 18 MB as a message
    line(`"${"é".repeat(9 * MiB)}"`);
    writeSync(file, Buffer.of(0x22, 0xff, 0xc0, 0x80, 0x22, 0x0a));
    writeSync(file, '{"id":"shout"}\n');
    line('"good"');
    closeSync(file);
    const url = new URL(`./hostile.app.js?input=${encodeURIComponent(input)}`, import.meta.url);
    await using app = await start(url, { dataDir: lab.dataDir, shards: 2 });
    await app.drained();
    assert.equal(await app.ask(carrier.at("x"), "read"), "good");
    const { rejected, restarts } = app.status();
    assert.deepEqual({ rejected, restarts }, { rejected: 6, restarts: 0 });
  });
});

/** All items of a file; `look` is called while it is read. */
async function readAll(path: string, look: () => void = () => {}): Promise<IngressItem[]> {
  let wake = (): void => {};
  const { open } = ndjsonIngress<unknown>("hostile", { path, route: () => {} });
  const reader = open("file", undefined, () => wake());
  const items: IngressItem[] = [];
  while (!reader.exhausted) {
    const item = reader.next();
    look();
    if (item !== undefined) items.push(item);
    else if (!reader.exhausted) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  reader.close();
  return items;
}
