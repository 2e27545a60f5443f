/** Tables, lists, times to live, state declared at run time, destroy: with real threads, over restarts. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { defineFunction, list, type TableKey, table, value } from "../../lib/index.js";
import { brief, clumsy, flexible, keeper, lifeMs, shelf, warehouse } from "./apps/shelf.app.js";
import { appTest, appTests, refused, sharedApp, withShards } from "./running-app.js";

const unordered: readonly (readonly [TableKey, unknown])[] = [
  ["b", 1],
  ["\u00ff", 2],
  ["", 3],
  ["\ud800", 4],
  ["\u{1f600}", 5],
  ["\uffff", 6],
  [10n ** 30n, 7],
  [-1n, 8],
  [0n, 9],
  [-(10n ** 30n), 10],
  [3, new Date(5)],
  [-0, new Map([["m", new Set([1])]])],
  [-1.5, undefined],
  [Number.NEGATIVE_INFINITY, null],
  [1e300, { deep: [{ a: 1 }] }],
  [true, new Uint8Array([1, 2])],
  [false, "no"],
];
const inOrder: readonly TableKey[] = [
  ...[false, true, Number.NEGATIVE_INFINITY, -1.5, 0, 3, 1e300],
  ...[-(10n ** 30n), -1n, 0n, 10n ** 30n],
  ...["", "b", "\u00ff", "\ud800", "\u{1f600}", "\uffff"],
];

for (const shards of [1, 2, 3]) {
  describe(withShards(shards), () => {
    const app = sharedApp("shelf", shards);

    test("a table keeps keys and values of every kind, in the order of the keys", async () => {
      const ours = shelf.at("kinds");
      const now = await app().ask(ours, { kind: "put", entries: unordered });
      const later = await app().ask(ours, { kind: "read", key: -0 });
      for (const { entries, size } of [now, later]) {
        assert.deepEqual(
          entries.map(([key]) => key),
          inOrder,
        );
        const given = new Map(unordered);
        for (const [key, thing] of entries) assert.deepEqual(thing, given.get(key));
        assert.equal(size, unordered.length);
      }
      assert.deepEqual([later.get, later.has], [new Map([["m", new Set([1])]]), true]);
      const fewer = await app().ask(ours, { kind: "delete", keys: ["b", "nothing", 3] });
      assert.deepEqual([fewer.size, fewer.entries.length], [inOrder.length - 2, inOrder.length - 2]);
      assert.deepEqual(await app().ask(ours, { kind: "read", key: "b" }), { ...fewer, get: undefined, has: false });
      const cleared = await app().ask(ours, { kind: "clear" });
      assert.deepEqual([cleared.size, cleared.entries], [0, []]);
      const again = await app().ask(ours, { kind: "put", entries: [["b", 2]] });
      assert.deepEqual([again.size, again.entries], [1, [["b", 2]]]);
    });

    test("a list grows, is replaced and cleared", async () => {
      const ours = shelf.at("list");
      await app().ask(ours, { kind: "append", items: [1, "two"] });
      const grown = await app().ask(ours, { kind: "append", items: [new Date(3)] });
      assert.deepEqual([grown.items, grown.length], [[1, "two", new Date(3)], 3]);
      const replaced = await app().ask(ours, { kind: "replace", items: [{ only: 1 }] });
      assert.deepEqual([replaced.items, replaced.length], [[{ only: 1 }], 1]);
      assert.deepEqual((await app().ask(ours, { kind: "append", items: [2] })).items, [{ only: 1 }, 2]);
      assert.deepEqual((await app().ask(ours, { kind: "replace", items: [] })).items, []);
    });

    test("a turn that throws changes no table and no list, and destroys nothing", async () => {
      const ours = shelf.at("unlucky");
      await app().ask(ours, { kind: "put", entries: [["a", 1]] });
      await app().ask(ours, { kind: "append", items: [1] });
      const before = await app().ask(ours, { kind: "read" });
      for (const n of [1, 2]) {
        // the function fails in its first attempt only
        await app().ask(ours, { kind: "put", entries: [["b", n]], failOnce: `put ${shards} ${n}` });
        await app().ask(ours, { kind: "delete", keys: ["b"] });
        await app().ask(ours, { kind: "destroy and fail", failOnce: `destroy ${shards} ${n}` });
        assert.deepEqual(await app().ask(ours, { kind: "read" }), before);
      }
    });

    test("entries may be deleted while they are walked over", async () => {
      await app().ask(shelf.at("odd"), { kind: "fill", from: 0, to: 1_000 });
      const even = await app().ask(shelf.at("odd"), { kind: "delete odd" });
      assert.equal(even.size, 500);
      assert.equal((await app().ask(shelf.at("odd"), { kind: "delete odd" })).size, 500);
    });

    test("what has expired is not returned, what has not is", async () => {
      const ours = brief.at("b");
      await app().ask(ours, "set");
      for (;;) {
        const { ageMs, sureAgeMs, ...read } = await app().ask(ours, "read");
        if (ageMs < lifeMs) {
          assert.deepEqual(read, { value: 1, used: 0, has: true, size: 2, keys: ["a", "b"], length: 1, late: 1 });
        }
        if (sureAgeMs < lifeMs) continue;
        assert.deepEqual(read, { value: 0, used: 0, has: false, size: 0, keys: [], length: 0, late: 0 });
        break;
      }
      const again = await app().ask(ours, "set");
      if (again.ageMs < lifeMs) assert.deepEqual([again.value, again.size, again.length], [1, 2, 1]);
    });

    test("reads keep alive what lives since its last access", async () => {
      const ours = brief.at("u");
      await app().ask(ours, "set");
      for (let last = 0; ; ) {
        const { ageMs, sureAgeMs, used } = await app().ask(ours, "use");
        if (ageMs - last > lifeMs * 0.8) return; // this machine was too slow to tell
        assert.equal(used, 1);
        if (ageMs > 3 * lifeMs) return;
        last = sureAgeMs;
      }
    });

    test("state is registered at run time, under one kind", async () => {
      const ours = flexible.at("f");
      const ask = (name: string, kind: "value" | "table" | "list", add: number) => app().ask(ours, { name, kind, add });
      assert.equal(await ask("sum", "value", 2), "2");
      assert.equal(await ask("sum", "value", 3), "5");
      assert.equal(await ask("seen", "table", 7), "7");
      assert.equal(await ask("seen", "table", 4), "4,7");
      assert.equal(await ask("all", "list", 7), "7");
      assert.equal(await ask("all", "list", 4), "7,4");
      assert.match(await ask("sum", "table", 1), /HF_BAD_VALUE.*sum.*registered as a value/);
      assert.match(await ask("declared", "value", 1), /HF_BAD_VALUE.*declared by the function/);
      assert.equal(await app().ask(flexible.at("g"), { name: "sum", kind: "value", add: 1 }), "1");
      await app().ask(ours, "destroy");
      assert.equal(await ask("sum", "value", 0), "0");
      assert.equal(await ask("seen", "table", 0), "");
      assert.equal(await ask("all", "list", 0), "");
      assert.equal(await app().ask(flexible.at("g"), { name: "sum", kind: "value", add: 1 }), "2");
    });

    test("bad keys and values are refused, and nothing of them stays", async () => {
      assert.deepEqual(await app().ask(clumsy.at("c"), null as never), [
        ...new Array(6).fill("HF_BAD_VALUE"),
        ...new Array(2).fill("HF_TOO_LARGE"),
        ...new Array(3).fill("HF_BAD_VALUE"),
        "HF_BAD_NAME",
        ...new Array(2).fill("HF_BAD_VALUE"),
        "0 entries",
        "0 items",
      ]);
    });

    test("handles and iterations refuse everything after their turn", async () => {
      await app().send(keeper.at("k"), "keep");
      assert.deepEqual(await app().ask(keeper.at("k"), "use"), new Array(18).fill("HF_TURN_ENDED"));
    });
  });
}

describe("stored state", () => {
  appTests("survives eviction, restarts and changes of the shard count", async (lab) => {
    const long = "\u0416".repeat(900);
    const longKeys = Array.from({ length: 20 }, (_, n) => `${"key".repeat(3_000)}${n}`);
    const ids = [...Array.from({ length: 30 }, (_, n) => `i${n}`), long];
    let app = await lab.start("shelf", { residentMax: 1 });
    for (const id of ids) {
      void app.ask(shelf.at(id), { kind: "put", entries: longKeys.map((key, n) => [key, `${id} ${n}`] as const) });
      void app.ask(shelf.at(id), { kind: "append", items: [id, 1] });
      await app.ask(flexible.at(id), { name: "late", kind: "value", add: 5 });
    }
    for (const shards of [lab.shards, (lab.shards % 3) + 1, 4]) {
      await app.stop();
      app = await lab.start("shelf", { residentMax: 1, shards });
      for (const id of ids) {
        const { size, entries, items, get } = await app.ask(shelf.at(id), { kind: "read", key: longKeys[7] });
        assert.deepEqual([size, entries.length, items, get], [20, 20, [id, 1], `${id} 7`]);
        assert.deepEqual(new Map(entries), new Map(longKeys.map((key, n) => [key, `${id} ${n}`])));
      }
      const other = await app.ask(flexible.at(long), { name: "late", kind: "list", add: 1 });
      assert.match(other, /HF_BAD_VALUE.*stored as a value/);
    }
  });

  appTest("larger than the heaps of all threads leaves memory, and no thread dies", async (lab) => {
    const app = await lab.start("shelf", { shardHeapMb: 64 });
    const count = lab.shards * 10_000;
    const noteOf = (n: number): string => String(n).padEnd(10_000, ".");
    for (let from = 0; from < count; from += 500) {
      const puts = Array.from({ length: 500 }, (_, n) => shelf.at(`i${from + n}`));
      await Promise.all(puts.map((at, n) => app.ask(at, { kind: "note", note: noteOf(from + n) })));
    }
    await app.drained();
    for (let n = 0; n < count; n += 500) {
      assert.equal((await app.ask(shelf.at(`i${n}`), { kind: "read" })).note, noteOf(n));
    }
    const { restarts, turns } = app.status();
    assert.deepEqual({ restarts, turns }, { restarts: 0, turns: count + count / 500 });
  });

  appTest("of an address that destroyed itself is gone for good, and the address begins anew", async (lab) => {
    let app = await lab.start("shelf");
    const ours = shelf.at("d");
    await app.ask(ours, { kind: "put", entries: [["a", 1]] });
    await app.ask(ours, { kind: "append", items: [1] });
    await app.ask(ours, { kind: "note", note: "n" });
    const last = await app.ask(ours, { kind: "destroy" });
    assert.deepEqual([last.size, last.note], [1, "the last words"]);
    const fresh = { get: undefined, has: false, size: 0, entries: [], items: [], length: 0, note: "" };
    assert.deepEqual(await app.ask(ours, { kind: "read" }), fresh);
    await app.stop();
    app = await lab.start("shelf", { shards: 3 });
    assert.deepEqual(await app.ask(ours, { kind: "read" }), fresh);
    assert.equal((await app.ask(ours, { kind: "append", items: [2] })).length, 1);
  });

  appTests("of 50,000 entries is walked over in order, before and after a restart", async (lab) => {
    let app = await lab.start("shelf");
    const [count, slice] = [50_000, 2_500];
    for (let from = 0; from < count; from += slice) void app.ask(warehouse.at("w"), { fill: slice, from });
    const expected = { size: count, sum: (count * (count - 1)) / 2, ordered: true, first: [0, 1, 2] };
    assert.deepEqual(await app.ask(warehouse.at("w"), "walk"), expected);
    await app.stop();
    app = await lab.start("shelf", { shards: (lab.shards % 3) + 1 });
    assert.deepEqual(await app.ask(warehouse.at("w"), "walk"), expected);
  });
});

describe("declarations of state", () => {
  const receive = (): void => {};

  test("refuse what they are not given right", async () => {
    for (const ms of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "1" as never])
      await refused(() => table({ ttl: { ms } }), "HF_BAD_APP", /ttl\.ms/);
    await refused(() => value(0, { ttl: { ms: 1, since: "read" as never } }), "HF_BAD_APP", /since/);
    await refused(() => list({ schema: {} as never }), "HF_BAD_SCHEMA");
    await refused(() => defineFunction("a/b", { state: { register: value(0) }, receive }), "HF_BAD_APP", /register/);
    await refused(() => defineFunction("a/b", { state: { x: {} as never }, receive }), "HF_BAD_APP", /value, table/);
  });
});
