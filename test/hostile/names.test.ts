/** Ids, types, keys, tokens and names that are something else to somebody: each is itself, on any number of shards. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { defineEgress, defineFunction, every, start } from "../../lib/index.js";
import { ndjsonIngress } from "../../lib/io/ndjson.js";
import { appTest, refused, take } from "../e2e/running-app.js";
import { assertUnpolluted } from "../fuzz/fuzzer.js";
import { carrier, odd, oddRecords, oddTypes } from "./hostile.app.js";

const appUrl = (query: Record<string, string> = {}): URL => {
  const url = new URL("./hostile.app.js", import.meta.url);
  url.search = new URLSearchParams(query).toString();
  return url;
};

const ids = [
  "__proto__",
  "constructor",
  "",
  "\0",
  "a\0b",
  "../x",
  "/etc/passwd",
  "\ud800",
  "\udc00",
  "\udc00\ud800",
  "\ufeff",
  "\u202e",
  "@",
  "\n",
  "\xff".repeat(900),
  "\ud800".repeat(900),
  "\uffff".repeat(900),
] as const;
const tooLong = ["x".repeat(901), "\ud800".repeat(901), "x".repeat(64 * 1024)] as const;
const keys = [...ids, "x".repeat(64 * 1024), -0, Number.POSITIVE_INFINITY, 2n ** 70n, false] as const;

describe("ids and types", () => {
  appTest("that are odd are addresses of their own, before and after a restart with other shards", async (lab) => {
    const app = await start(appUrl(), { dataDir: lab.dataDir, shards: 2 });
    try {
      const records = app.egress(oddRecords);
      for (const type of oddTypes)
        await Promise.all(ids.map((id, i) => app.send(odd(type, id), { key: keys[i % keys.length] as string })));
      const taken = await take(records, oddTypes.length * ids.length);
      assert.deepEqual(new Set(taken.map(({ record }) => record.from)), new Set(ids));
    } finally {
      await app.stop();
    }
    await using again = await start(appUrl(), { dataDir: lab.dataDir, shards: 3 });
    for (const type of oddTypes) {
      for (const [i, id] of ids.entries()) {
        const found = await again.ask(odd(type, id), "read");
        assert.deepEqual(found, [type, id, [id], [[keys[i], id]], [id]]);
      }
    }
    assertUnpolluted();
    assert.deepEqual(readdirSync(lab.folder), ["data"]);
  });

  appTest("over the limit are refused, and shown no longer than is readable", async (lab) => {
    await using app = await start(appUrl(), { dataDir: lab.dataDir, shards: 2 });
    for (const id of tooLong) {
      const error = await refused(app.send(odd(oddTypes[0], id), { key: 1 }), "HF_BAD_ID", /hash it/);
      assert.ok(error.message.length < 500);
    }
    const unknown = await refused(app.send(odd("__proto__", "x"), { key: 1 }), "HF_UNKNOWN_FUNCTION");
    assert.ok(unknown.message.length < 500);
    await refused(app.send(odd("toString/valueOf", "x"), { key: 1 }), "HF_UNKNOWN_FUNCTION");
  });
});

describe("keys", () => {
  appTest("of tables that are odd are entries of their own; longer ones are refused", async (lab) => {
    await using app = await start(appUrl(), { dataDir: lab.dataDir, shards: 2, turnRetryMs: 0 });
    const address = odd(oddTypes[1], "all keys");
    for (const key of keys) await app.send(address, { key });
    const [, , , entries] = (await app.ask(address, "read")) as [string, string, string[], [unknown, string][]];
    assert.equal(entries.length, keys.length);
    assert.deepEqual(new Set(entries.map(([key]) => key)), new Set(keys.map((key) => (key === 0 ? 0 : key))));
    const error = await refused(
      app.ask(odd(oddTypes[1], "one key"), { key: "x".repeat(64 * 1024 + 1) }),
      "HF_FUNCTION_FAILED",
    );
    assert.match((error.cause as Error).message, /HF_TOO_LARGE/);
  });

  appTest("of calls that are odd are keys of their own", async (lab) => {
    await using app = await start(appUrl(), { dataDir: lab.dataDir, shards: 2 });
    const address = odd(oddTypes[2], "called");
    const odds = ["__proto__", "\0", "\ud800", "\udc00", "../x", "\ufffd", "x".repeat(512)];
    for (const idempotencyKey of [...odds, ...odds])
      await app.send(address, { key: idempotencyKey }, { idempotencyKey });
    const [, , told] = (await app.ask(address, "read")) as [string, string, string[]];
    assert.equal(told.length, odds.length);
    for (const idempotencyKey of ["", "x".repeat(513), "x".repeat(64 * 1024)])
      await refused(app.send(address, { key: 1 }, { idempotencyKey }), "HF_BAD_OPTIONS", /idempotencyKey/);
  });
});

describe("names", () => {
  appTest("of schedules that are odd are schedules of their own, after a restart too", async (lab) => {
    const names = ["__proto__", "constructor", "\0", "\ud800", "\udc00", "../x", "x".repeat(256)];
    const app = await start(appUrl(), { dataDir: lab.dataDir, shards: 2 });
    try {
      for (const name of names)
        await app.schedules.add(
          every(name, { intervalMs: 3_600_000, to: odd(oddTypes[0], name.slice(0, 9)), message: { key: 1 } }),
        );
      assert.deepEqual(new Set(Object.keys(await listed(app))), new Set(names));
    } finally {
      await app.stop();
    }
    await using again = await start(appUrl(), { dataDir: lab.dataDir, shards: 1 });
    assert.deepEqual(new Set(Object.keys(await listed(again))), new Set(names));
  });

  appTest(
    "of an ingress may be __proto__: its position is found again, and its rejects go where they should",
    async (lab) => {
      const input = join(lab.folder, "input.ndjson");
      writeFileSync(
        input,
        '{"id":"__proto__","cargo":{"__proto__":{"polluted":1}}}\n{"id":7}\n{"id":"\\ud800","cargo":1}\n',
      );
      for (const shards of [2, 1]) {
        const app = await start(appUrl({ input }), { dataDir: lab.dataDir, shards });
        await app.drained();
        const cargo = (await app.ask(carrier.at("__proto__"), "read")) as object;
        assert.deepEqual(Object.keys(cargo), ["__proto__"]);
        assert.equal(await app.ask(carrier.at("\ud800"), "read"), 1);
        await app.stop();
      }
      const rejects = readFileSync(`${input}.rejects.ndjson`, "utf8").trim().split("\n");
      assert.equal(rejects.length, 1);
      assert.equal(JSON.parse(rejects[0] as string).ingress, "__proto__");
      assertUnpolluted();
    },
  );

  test("that could be taken for another are refused where they are given", async () => {
    const receive = (): void => {};
    for (const type of ["", "/", "a/", "/b", "a/b/c", "a b/c", "a/\0", "a/\ud800", `a/${"x".repeat(255)}`, 7]) {
      const error = await refused(() => defineFunction(type as string, { receive }), "HF_BAD_NAME");
      assert.ok(error.message.length < 500);
      await refused(() => defineEgress(type as string), "HF_BAD_NAME");
    }
    for (const name of ["", "a b", "\0", "a\ud800", "\udc00", "x".repeat(257), "x".repeat(64 * 1024), undefined])
      await refused(() => ndjsonIngress(name as string, { path: "x", route: () => {} }), "HF_BAD_NAME");
    for (const path of ["", "a\0b", "file://elsewhere/x", 7])
      await refused(() => ndjsonIngress("x", { path: path as string, route: () => {} }), "HF_BAD_OPTIONS");
    for (const dataDir of ["a\0b", "\0", 7] as const) {
      await refused(start(appUrl(), { dataDir: dataDir as string }), "HF_BAD_OPTIONS", /dataDir/);
    }
  });

  test("of options that every object has are unknown options", async () => {
    const options = JSON.parse('{"dataDir":"x","__proto__":{"shards":2}}');
    await refused(start(appUrl(), options), "HF_BAD_OPTIONS", /__proto__/);
    await refused(start(appUrl(), { dataDir: "x", constructor: 1 } as never), "HF_BAD_OPTIONS", /constructor/);
    await refused(start(appUrl(), { dataDir: "x", toString: 1 } as never), "HF_BAD_OPTIONS", /toString/);
  });
});

async function listed(app: Awaited<ReturnType<typeof start>>): Promise<Record<string, unknown>> {
  const found = Object.create(null) as Record<string, unknown>;
  for (const each of await app.schedules.list()) found[each.name] = each;
  return found;
}
