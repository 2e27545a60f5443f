/** The NDJSON connectors against real files, without an engine. */
import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import { pathToFileURL } from "node:url";
import { gzipSync } from "node:zlib";
import * as v from "valibot";
import { type ErrorCode, HoldfastError } from "../../lib/base/errors.js";
import { ndjsonEgress, ndjsonIngress } from "../../lib/io/ndjson.js";
import type { NdjsonIngressOptions } from "../../lib/io/ndjson-ingress.js";
import { EgressDefinition, type EgressRecord, type EgressSink } from "../../lib/model/egress.js";
import type { IngressItem, SplitReader } from "../../lib/model/ingress.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-ndjson-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

type Options = Omit<NdjsonIngressOptions<unknown>, "path" | "route">;

describe("reading", () => {
  test("hands out one value per line, with where it is and where reading goes on", async () => {
    const items = await readAll(fileOf('{"a":1}\n[2]\n"three"\n'));
    const plain = items.map((item) => {
      assert.ok(item.kind === "record");
      const { kind, value, position, where, bytes } = item;
      return { kind, value, position, where, bytes };
    });
    assert.deepEqual(plain, [
      { kind: "record", value: { a: 1 }, position: 8, where: "byte 0", bytes: 8 },
      { kind: "record", value: [2], position: 12, where: "byte 8", bytes: 4 },
      { kind: "record", value: "three", position: 20, where: "byte 12", bytes: 8 },
    ]);
  });

  test("goes on at a committed position", async () => {
    assert.deepEqual(values(await readAll(fileOf("1\n22\n333\n"), {}, 2)), [22, 333]);
    assert.deepEqual(values(await readAll(fileOf("1\n22\n333\n"), {}, 9)), []);
  });

  test("takes a last line without newline at the end of a finite file", async () => {
    assert.deepEqual(values(await readAll(fileOf("1\n22"))), [1, 22]);
  });

  test("goes on after a last line without newline when the file has grown", async () => {
    const path = fileOf("1\n22");
    const [, last] = await readAll(path);
    appendFileSync(path, "\n3\n");
    assert.deepEqual(values(await readAll(path, {}, last?.position)), [3]);
  });

  test("passes over empty and blank lines, CR LF and a byte order mark", async () => {
    const items = await readAll(fileOf("\ufeff1\r\n\r\n \t\n2\n\n\n3\r\n\n"));
    assert.deepEqual(values(items), [1, 2, 3]);
    assert.deepEqual(
      items.map(({ where }) => where),
      ["byte 0", "byte 11", "byte 15"],
    );
  });

  test("is exhausted at the end of an empty file, and of one with a byte order mark only", async () => {
    assert.deepEqual(await readAll(fileOf("")), []);
    assert.deepEqual(await readAll(fileOf("\ufeff")), []);
  });

  test("keeps __proto__ as a key like any other", async () => {
    const [value] = values(await readAll(fileOf('{"__proto__":{"polluted":true}}\n')));
    assert.deepEqual(Object.keys(value as object), ["__proto__"]);
    assert.equal((value as { polluted?: boolean }).polluted, undefined);
  });

  test("reads lines longer than a chunk, and many chunks", async () => {
    const long = "ü".repeat(400_000);
    const text = Array.from({ length: 30_000 }, (_, i) => JSON.stringify({ i, text: `é${i}` })).join("\n");
    const items = values(await readAll(fileOf(`${JSON.stringify(long)}\n${text}\n${JSON.stringify(long)}\n`)));
    assert.equal(items.length, 30_002);
    assert.equal(items[0], long);
    assert.deepEqual(items[30_000], { i: 29_999, text: "é29999" });
    assert.equal(items[30_001], long);
  });

  test("reads a gzip file at positions of the unpacked stream", async () => {
    const lines = Array.from({ length: 100_000 }, (_, i) => i);
    const path = join(folder, `${++files}.ndjson.gz`);
    writeFileSync(path, gzipSync(`${lines.join("\n")}\n`));
    const items = await readAll(path);
    assert.deepEqual(values(items), lines);
    assert.deepEqual(values(await readAll(path, {}, items[70_000]?.position)), lines.slice(70_001));
    await assert.rejects(readAll(path, {}, 10_000_000), isFailure("HF_INGRESS_FAILED", path));
  });

  test("hands out what a damaged gzip file holds, then fails", async () => {
    const path = join(folder, `${++files}.gz`);
    writeFileSync(path, gzipSync("1\n2\n").subarray(0, -4));
    const reader = open(path);
    const items: IngressItem[] = [];
    await assert.rejects(collect(reader, items), isFailure("HF_INGRESS_FAILED", path));
    assert.ok(items.length <= 2);
    reader.reader.close();
  });

  test("reads what a URL names", async () => {
    assert.deepEqual(values(await readAll(pathToFileURL(fileOf("1\n")))), [1]);
  });
});

describe("bad records", () => {
  test("a line that is not JSON is bad and reading goes on after it", async () => {
    const [bad, good] = await readAll(fileOf("{oops\r\n2\n"));
    assert.equal(bad?.kind, "bad");
    assert.equal(bad?.kind === "bad" && bad.text, "{oops");
    assert.equal(bad?.position, 7);
    assert.equal(good?.kind, "record");
  });

  test("a line that is not UTF-8 is bad, one with U+FFFD by right is not", async () => {
    const items = await readAll(
      fileOf(Buffer.concat([Buffer.from('"\ufffd"\n"'), Buffer.from([0xc3, 0x28]), Buffer.from('"\n')])),
    );
    assert.deepEqual(
      items.map(({ kind }) => kind),
      ["record", "bad"],
    );
  });

  test("a line that does not fit the schema is bad, and the schema's output is the record", async () => {
    const schema = v.object({ n: v.pipe(v.string(), v.transform(Number)) }) as never;
    const items = await readAll(fileOf('{"n":"7"}\n{"n":7}\n'), { schema });
    assert.deepEqual(values(items), [{ n: 7 }]);
    assert.match(items[1]?.kind === "bad" ? items[1].error.message : "", /HF_SCHEMA.*n/);
  });

  test("a line over lineBytesMax is bad and is shown with its beginning", async () => {
    for (const length of [1_001, 5_000, 700_000]) {
      const items = await readAll(fileOf(`1\n"${"x".repeat(length)}"\n2\n`), { lineBytesMax: 1_000 });
      assert.deepEqual(
        items.map(({ kind }) => kind),
        ["record", "bad", "record"],
      );
      const bad = items[1];
      assert.ok(bad?.kind === "bad" && bad.text.startsWith('"xxx') && bad.text.length <= 1024);
      assert.equal(bad.position, length + 5);
      assert.match(bad.error.message, new RegExp(`${length + 2} bytes`));
    }
  });

  test("a line of exactly lineBytesMax is a record", async () => {
    assert.deepEqual(values(await readAll(fileOf('"12345678"\n"123456789"\n'), { lineBytesMax: 10 })), ["12345678"]);
  });

  test("the text of a bad record is cut to 16 KiB between characters", async () => {
    const [bad] = await readAll(fileOf(`a${"é".repeat(20_000)}\n`));
    assert.ok(bad?.kind === "bad");
    assert.equal(bad.text, `a${"é".repeat(8191)}`);
  });
});

describe("following", () => {
  test("waits for the file, for the end of a line, and for more", async () => {
    const path = join(folder, `${++files}.ndjson`);
    const opened = open(path, { follow: true });
    assert.equal(opened.reader.next(), undefined);
    writeFileSync(path, "1\n2");
    assert.equal((await nextItem(opened)).position, 2);
    appendFileSync(path, "2\n33");
    assert.deepEqual(values([await nextItem(opened)]), [22]);
    appendFileSync(path, "\n");
    assert.deepEqual(values([await nextItem(opened)]), [33]);
    assert.equal(opened.reader.exhausted, false);
    opened.reader.close();
  });

  test("fails when the file is cut below what was read", async () => {
    const path = fileOf("1\n2\n");
    const opened = open(path, { follow: true });
    await nextItem(opened);
    await nextItem(opened);
    truncateSync(path, 1);
    await assert.rejects(nextItem(opened), isFailure("HF_INGRESS_FAILED", path));
    opened.reader.close();
  });

  test("fails when another file takes the place of the one being read", async () => {
    const path = fileOf("1\n");
    const opened = open(path, { follow: true });
    await nextItem(opened);
    renameSync(fileOf("1\n2\n"), path);
    await assert.rejects(nextItem(opened), isFailure("HF_INGRESS_FAILED", path));
    opened.reader.close();
  });
});

describe("a source that cannot be read", () => {
  test("a missing file is named with its absolute path", async () => {
    await assert.rejects(
      readAll("does/not/exist.ndjson"),
      isFailure("HF_INGRESS_FAILED", join(process.cwd(), "does/not/exist.ndjson")),
    );
    await assert.rejects(readAll("does/not/exist.gz"), isFailure("HF_INGRESS_FAILED", "exist.gz does not exist"));
  });

  test("a file shorter than the committed position is refused with the way out", async () => {
    await assert.rejects(readAll(fileOf("1\n"), {}, 3), isFailure("HF_INGRESS_FAILED", "truncated or replaced"));
    await assert.rejects(
      readAll(join(folder, "gone"), { follow: true }, 3),
      isFailure("HF_INGRESS_FAILED", "does not exist"),
    );
  });

  test("a folder is refused", async () => {
    await assert.rejects(readAll(folder), isFailure("HF_INGRESS_FAILED", "not a regular file"));
  });

  test("a position of another connector is refused", () => {
    for (const position of [null, -1, 1.5, "0", {}]) {
      assert.throws(() => ingress("x").open("file", position, () => {}), isFailure("HF_INGRESS_FAILED", "position"));
    }
  });

  test("close while a read is under way calls nothing any more", async () => {
    const opened = open(fileOf("1\n"));
    opened.reader.close();
    opened.reader.close();
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(opened.reader.next(), undefined);
  });
});

describe("the definition of an ingress", () => {
  const refusals: [string, object][] = [
    ["follow of a .gz file", { path: "x.gz", follow: true }],
    ["no path", { path: undefined }],
    ["the URL of no file", { path: new URL("http://example.org/x") }],
    ["no route", { route: undefined }],
    ["an unknown onBadRecord", { onBadRecord: "skip" }],
    ["a misspelt option", { folow: true }],
    ["rejects into the file itself", { rejects: "x" }],
    ["lineBytesMax of 0", { lineBytesMax: 0 }],
    ["no splits", { splits: 0 }],
    ["65 splits", { splits: 65 }],
    ["half a split", { splits: 1.5 }],
    ["splits of a .gz file", { path: "x.gz", splits: 2 }],
  ];
  for (const [what, wrong] of refusals) {
    test(`refuses ${what}`, () => {
      assert.throws(
        () => ndjsonIngress("x", { path: "x", route: () => {}, ...wrong } as never),
        isFailure("HF_BAD_OPTIONS", "x"),
      );
    });
  }

  test("refuses a bad name, no options, and an asynchronous schema", () => {
    assert.throws(() => ndjsonIngress("a b", { path: "x", route: () => {} }), isFailure("HF_BAD_NAME", "a b"));
    assert.throws(() => ndjsonIngress("a", undefined as never), isFailure("HF_BAD_OPTIONS", "options"));
    const schema = v.pipeAsync(
      v.string(),
      v.checkAsync(async () => true),
    );
    assert.throws(
      () => ndjsonIngress("a", { path: "x", route: () => {}, schema: schema as never }),
      isFailure("HF_BAD_SCHEMA", "a"),
    );
  });

  test("has as many splits as it is told, and refuses the position of any other number of them", async () => {
    const two = ingress("x", { splits: 2 });
    assert.deepEqual(await two.splits(), ["1 of 2", "2 of 2"]);
    assert.throws(() => two.refuseFormer?.("file"), isFailure("HF_BAD_OPTIONS", "splits: 1"));
    assert.throws(() => two.refuseFormer?.("3 of 4"), isFailure("HF_BAD_OPTIONS", "splits: 4"));
    assert.throws(() => ingress("x").refuseFormer?.("1 of 2"), isFailure("HF_BAD_OPTIONS", "splits: 2"));
    two.refuseFormer?.("topic/7"); // of another connector that had this name
  });

  test("two splits of a file of several blocks hand out each line once, each in order, from any position", async () => {
    const lines = Array.from({ length: 3_000 }, (_, n) => JSON.stringify({ n, pad: "x".repeat((n * 37) % 2_500) }));
    const path = fileOf(lines.join("\n"));
    const seen: number[] = [];
    for (const split of ["1 of 2", "2 of 2"]) {
      const items = await readAll(path, { splits: 2 }, undefined, split);
      const numbers = values(items).map((value) => (value as { n: number }).n);
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
      );
      seen.push(...numbers);
      const half = items.length >> 1;
      const rest = await readAll(path, { splits: 2 }, items[half - 1]?.position, split);
      assert.deepEqual(
        rest.map(({ where }) => where),
        items.slice(half).map(({ where }) => where),
      );
    }
    assert.deepEqual(
      seen.toSorted((a, b) => a - b),
      lines.map((_, n) => n),
    );
  });

  test("has one split and rejects beside the file", async () => {
    const path = fileOf("");
    const definition = ingress(path);
    assert.deepEqual(await definition.splits(), ["file"]);
    assert.equal(definition.rejects.egress.name, "holdfast/rejects/in");
    const sink = await definition.rejects.open(undefined);
    await sink.sync();
    assert.equal(existsSync(`${path}.rejects.ndjson`), false, "nothing was rejected");
    await sink.write(1, records({ text: "oops" }));
    await sink.sync();
    await sink.close();
    assert.equal(readFileSync(`${path}.rejects.ndjson`, "utf8"), '{"text":"oops"}\n');
  });
});

describe("writing", () => {
  test("writes one line per record and says how long the file is", async () => {
    const path = join(folder, `${++files}`, "new", "out.ndjson");
    const sink = await openSink(path);
    await sink.write(1, records("a", { b: 1 }, undefined, null));
    await sink.write(2, records("é"));
    assert.deepEqual(await sink.sync(), { epoch: 2, position: { length: 27, file: "out.ndjson" } });
    await sink.close();
    assert.equal(readFileSync(path, "utf8"), '"a"\n{"b":1}\nnull\nnull\n"é"\n');
  });

  test("writes what JSON cannot carry as documented", async () => {
    const path = join(folder, `${++files}`);
    const sink = await openSink(path);
    const proto = JSON.parse('{"__proto__":{"n":1}}') as { __proto__: unknown };
    await sink.write(
      1,
      records(
        12n,
        { d: new Date(0), u: undefined, n: Number.NaN },
        new Map<unknown, unknown>([
          [1, 2n],
          ["k", new Set([1])],
        ]),
        new Set(["x", 1n]),
        [new Uint8Array([1, 2]), new BigInt64Array([-3n]), new Float64Array([0.5, Number.NaN])],
        { ...proto, big: 1n },
        [1n, Number.NaN, undefined],
        "\ud800",
      ),
    );
    await sink.sync();
    await sink.close();
    assert.deepEqual(readFileSync(path, "utf8").split("\n"), [
      '"12"',
      '{"d":"1970-01-01T00:00:00.000Z","n":null}',
      '[[1,"2"],["k",[1]]]',
      '["x","1"]',
      '[[1,2],["-3"],[0.5,null]]',
      '{"__proto__":{"n":1},"big":"1"}',
      '["1",null,null]',
      '"\\ud800"',
      "",
    ]);
  });

  test("after a crash cuts the uncommitted tail and takes the same records again", async () => {
    const path = join(folder, `${++files}`);
    const first = await openSink(path);
    await first.write(1, records(1, 2));
    const watermark = await first.sync();
    await first.write(2, records(3));
    await first.write(3, records(4));
    await first.close();
    assert.equal(readFileSync(path, "utf8"), "1\n2\n3\n4\n");
    appendFileSync(path, "5\nhalf a li");
    const second = await openSink(path, watermark);
    assert.equal(readFileSync(path, "utf8"), "1\n2\n");
    await second.write(2, records(3));
    await second.write(3, records(4));
    assert.deepEqual((await second.sync()).epoch, 3);
    await second.close();
    assert.equal(readFileSync(path, "utf8"), "1\n2\n3\n4\n");
  });

  test("without a watermark starts after present content, which a first sync reports", async () => {
    const path = fileOf("old\n");
    const sink = await openSink(path);
    assert.deepEqual(await sink.sync(), { epoch: 0, position: { length: 4, file: `${files}.ndjson` } });
    await sink.write(1, records(1));
    await sink.close();
    assert.equal(readFileSync(path, "utf8"), "old\n1\n");
  });

  test("refuses to append to half a line", async () => {
    const path = fileOf("half");
    await assert.rejects(openSink(path), isFailure("HF_EGRESS_FAILED", path));
    assert.equal(readFileSync(path, "utf8"), "half");
  });

  test("refuses a file that is shorter than what was committed, or gone, or not the same, and leaves it alone", async () => {
    const path = fileOf("1\n2\n");
    await assert.rejects(openSink(path, { epoch: 1, position: { length: 5 } }), isFailure("HF_EGRESS_DAMAGED", path));
    await assert.rejects(
      openSink(path, { epoch: 1, position: { length: 3 } }),
      isFailure("HF_EGRESS_DAMAGED", "another file"),
    );
    assert.equal(readFileSync(path, "utf8"), "1\n2\n");
    rmSync(path);
    await assert.rejects(
      openSink(path, { epoch: 1, position: { length: 4 } }),
      isFailure("HF_EGRESS_DAMAGED", "does not exist"),
    );
  });

  test("goes on in a file of another name", async () => {
    const path = join(folder, `${++files}`);
    const sink = await openSink(path, { epoch: 7, position: { length: 1_000, file: "before" } });
    assert.deepEqual(await sink.sync(), { epoch: 7, position: { length: 0, file: `${files}` } });
    await sink.close();
  });

  test("refuses a file that another sink of the process writes, until that is closed", async () => {
    const path = join(folder, `${++files}`);
    const sink = await openSink(path);
    await assert.rejects(openSink(path), isFailure("HF_EGRESS_FAILED", path));
    await sink.close();
    await (await openSink(path)).close();
  });

  test("the watermark covers what was written before the call, not what came while it was waited for", async () => {
    const sink = await openSink(join(folder, `${++files}`));
    void sink.write(1, records("a".repeat(100_000)));
    const watermark = sink.sync();
    void sink.write(2, records("b"));
    assert.deepEqual((await watermark).position, { length: 100_003, file: `${files}` });
    assert.equal((await watermark).epoch, 1);
    await sink.close();
  });

  test("a caller that outruns the disk is made to wait", async () => {
    const path = join(folder, `${++files}`);
    const sink = await openSink(path);
    const line = "x".repeat(1_000_000);
    let waited = 0;
    for (let epoch = 1; epoch <= 20; epoch++) {
      const writing = sink.write(epoch, records(line));
      if (writing !== undefined) waited++;
      await writing;
    }
    await sink.sync();
    await sink.close();
    assert.ok(waited > 0);
    assert.equal(readFileSync(path).length, 20 * 1_000_003);
  });

  test("a failed write fails every later call", { skip: !existsSync("/dev/full") && "needs /dev/full" }, async () => {
    await assert.rejects(openSink("/dev/full"), isFailure("HF_EGRESS_FAILED", "regular"));
    const path = join(folder, `${++files}`);
    const sink = await ingress(path).rejects.open(undefined);
    writeFileSync(`${path}.rejects.ndjson`, "somebody else's"); // in the way of the file to be made
    await sink.write(1, records(1));
    await assert.rejects(async () => sink.sync(), isFailure("HF_EGRESS_FAILED", path));
    assert.throws(() => sink.write(2, records(1)), isFailure("HF_EGRESS_FAILED", path));
    await sink.close();
    assert.equal(readFileSync(`${path}.rejects.ndjson`, "utf8"), "somebody else's");
  });

  test("refuses what is not an egress and unknown options", () => {
    assert.throws(
      () => ndjsonEgress({ name: "a/b" } as never, { path: "x" }),
      isFailure("HF_BAD_OPTIONS", "defineEgress"),
    );
    const egress = new EgressDefinition("a/b", undefined);
    assert.throws(() => ndjsonEgress(egress, { file: "x" } as never), isFailure("HF_BAD_OPTIONS", "file"));
    assert.throws(() => ndjsonEgress(egress, { path: "" }), isFailure("HF_BAD_OPTIONS", "path"));
  });
});

interface Opened {
  readonly reader: SplitReader;
  /** Resolves with the next wake. */
  readonly woken: () => Promise<void>;
}

function ingress(path: string | URL, options: Options = {}) {
  return ndjsonIngress<unknown>("in", { path, route: () => {}, ...options });
}

function open(path: string | URL, options: Options = {}, position?: unknown, split = "file"): Opened {
  let pending = false;
  let resolve: (() => void) | undefined;
  const wake = (): void => {
    pending = true;
    resolve?.();
  };
  const woken = async (): Promise<void> => {
    if (!pending) await new Promise<void>((done) => (resolve = done));
    pending = false;
  };
  return { reader: ingress(path, options).open(split, position, wake), woken };
}

/** As a shard does it: takes what is ready, then waits to be woken. */
async function nextItem({ reader, woken }: Opened): Promise<IngressItem> {
  for (;;) {
    const item = reader.next();
    if (item !== undefined) return item;
    await woken();
  }
}

async function collect({ reader, woken }: Opened, items: IngressItem[]): Promise<void> {
  while (!reader.exhausted) {
    const item = reader.next();
    if (item !== undefined) items.push(item);
    else if (!reader.exhausted) await woken();
  }
}

async function readAll(
  path: string | URL,
  options: Options = {},
  position?: unknown,
  split?: string,
): Promise<IngressItem[]> {
  const opened = open(path, options, position, split);
  const items: IngressItem[] = [];
  try {
    await collect(opened, items);
  } finally {
    opened.reader.close();
  }
  return items;
}

function values(items: readonly IngressItem[]): unknown[] {
  return items.flatMap((item) => (item.kind === "record" ? [item.value] : []));
}

function fileOf(content: string | Buffer): string {
  const path = join(folder, `${++files}.ndjson`);
  writeFileSync(path, content);
  return path;
}

async function openSink(path: string, watermark?: { epoch: number; position: unknown }): Promise<EgressSink> {
  return ndjsonEgress(new EgressDefinition<unknown>("test/out", undefined), { path }).open(watermark);
}

function records(...all: unknown[]): EgressRecord[] {
  return all.map((record, i) => ({ id: `1-0-${i}`, record }));
}

function isFailure(code: ErrorCode, part: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HoldfastError, String(error));
    assert.equal(error.code, code);
    assert.ok(error.message.includes(part), `"${error.message}" names ${part}`);
    return true;
  };
}
