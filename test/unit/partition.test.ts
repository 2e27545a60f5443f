import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { isHoldfastError } from "../../lib/base/errors.js";
import { keyGroupsDefault } from "../../lib/base/limits.js";
import { hashId, hashName, hashName32 } from "../../lib/partition/hash.js";
import { keyGroupOf, keyGroupRange, shardOfKeyGroup } from "../../lib/partition/key-groups.js";

describe("hash", () => {
  // Frozen: every data directory places its rows by these numbers, and they were computed by another program.
  // A change here makes existing data unreachable; it needs a new hash name and a migration.
  const golden: [id: string, hash: number][] = [
    ["", 0xab3e7c0b],
    ["a", 0x1a80b1b3],
    ["b", 0x82c46232],
    ["ab", 0x98cc640d],
    ["ba", 0x241c5d95],
    ["\0", 0x0578ab1b],
    ["\0\0", 0x18b6b1bd],
    [" ", 0x3d2a17d4],
    ["0", 0x64f08f61],
    ["1", 0x551f758f],
    ["user-1", 0x778f8aec],
    ["user-2", 0x32dad0d1],
    ["user-1234", 0x908fbcff],
    ["example/person", 0xb922b000],
    ["example/greeter", 0xb235e670],
    ["é", 0xbaf79669],
    ["e\u0301", 0xb006ccbb],
    ["ß", 0x5868dd75],
    ["中文", 0x39d7c2ee],
    ["😀", 0x6a85a426],
    ["\ud83d", 0x931c1e0e],
    ["\ude00", 0x1408b452],
    ["\ud800\ud800", 0x609d560a],
    ["\ufeff", 0x8b1c5176],
    ["\uffff", 0x0201b946],
    ["x".repeat(900), 0x2d65783a],
    ["中".repeat(900), 0xa4d33ad3],
    ["00000000-0000-0000-0000-000000000000", 0x3753bd98],
  ];

  test("every golden id has its frozen hash", () => {
    for (const [id, hash] of golden) assert.equal(hashId(id), hash, JSON.stringify(id.slice(0, 20)));
  });

  test("the golden ids are pairwise different", () => {
    assert.equal(new Set(golden.map(([, hash]) => hash)).size, golden.length);
  });

  test("names are hashed as ids are", () => {
    for (const [name, hash] of golden) assert.equal(hashName32(name), hash);
  });

  test("the name of the hash is the one that data directories record", () => {
    assert.equal(hashName, "fnv1a-utf16-fmix32");
  });
});

describe("key groups", () => {
  test("an id keeps its key group", () => {
    assert.deepEqual(
      ["", "a", "user-1", "user-2", "中文"].map((id) => keyGroupOf(id, keyGroupsDefault)),
      ["", "a", "user-1", "user-2", "中文"].map((id) => hashId(id) % 128),
    );
  });

  test("two shards share 128 key groups in halves, three in nearly equal parts", () => {
    assert.deepEqual(
      [0, 1].map((shard) => keyGroupRange(shard, 128, 2)),
      [
        { first: 0, end: 64 },
        { first: 64, end: 128 },
      ],
    );
    assert.deepEqual(
      [0, 1, 2].map((shard) => keyGroupRange(shard, 128, 3)),
      [
        { first: 0, end: 43 },
        { first: 43, end: 86 },
        { first: 86, end: 128 },
      ],
    );
  });

  test("with more shards than key groups some shards own nothing", () => {
    const owners = [0, 1, 2].map((group) => shardOfKeyGroup(group, 3, 5));
    assert.deepEqual(owners, [0, 1, 3]);
    assert.deepEqual(keyGroupRange(2, 3, 5), { first: 2, end: 2 });
  });

  test("a key group or shard out of range breaks an invariant", () => {
    const broken = (error: unknown): boolean => isHoldfastError(error, "HF_INVARIANT");
    assert.throws(() => shardOfKeyGroup(128, 128, 2), broken);
    assert.throws(() => shardOfKeyGroup(-1, 128, 2), broken);
    assert.throws(() => keyGroupRange(2, 128, 2), broken);
  });
});
