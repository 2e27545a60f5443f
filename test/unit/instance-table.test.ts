import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { defineFunction } from "../../lib/app/define.js";
import { isHoldfastError } from "../../lib/base/errors.js";
import { hashId32 } from "../../lib/partition/hash.js";
import { keyGroupOfHash, shardOfKeyGroup } from "../../lib/partition/key-groups.js";
import { Instance } from "../../lib/shard/instance.js";
import { InstanceTable } from "../../lib/shard/instance-table.js";
import { FunctionEntry } from "../../lib/shard/registry.js";

const entry = new FunctionEntry(defineFunction("test/instance", { receive() {} }));

/** The hash whose product with the table's factor is this: the home slot is its upper bits (T3). */
function hashOfProduct(product: number): number {
  return Math.imul(product, 0xe8b2f51); // the inverse of the factor
}

function instanceOf(id: string, hash: number): Instance {
  return new Instance(entry, id, hash);
}

/** Home slots that lie together, at both ends of a table of any size, and equal hashes of different ids. */
const hashes = [0, 1, 2, 62, 63, 64, 127, 128, 511, -1, -2, -64, 0x7fff_ffff, -0x8000_0000].map(hashOfProduct);
const idsMax = 120;

function hashOf(id: number): number {
  return hashes[id % hashes.length];
}

function sortedIds(instances: Iterable<Instance>): string[] {
  return Array.from(instances, ({ id }) => id).sort();
}

/** A table beside the map it must be equal to. */
class Checked {
  readonly table = new InstanceTable();
  readonly oracle = new Map<string, Instance>();

  toggle(id: number): void {
    const known = this.oracle.get(String(id));
    if (known === undefined) this.add(instanceOf(String(id), hashOf(id)));
    else this.remove(known);
  }

  add(instance: Instance): void {
    this.table.add(instance);
    this.oracle.set(instance.id, instance);
  }

  remove(instance: Instance): void {
    this.table.remove(instance);
    this.oracle.delete(instance.id);
  }

  /** Sweeps and removes some of what is given, at once. */
  sweep(drops: (instance: Instance) => boolean): void {
    for (const instance of this.table.sweep()) {
      assert.equal(this.oracle.get(instance.id), instance, "what is given is there");
      if (drops(instance)) this.remove(instance);
    }
  }

  check(): void {
    assert.equal(this.table.size, this.oracle.size);
    assert.deepEqual(sortedIds(this.table.sweep()), sortedIds(this.oracle.values()));
    for (let id = 0; id < idsMax; id++) {
      assert.equal(this.table.find(String(id), hashOf(id)), this.oracle.get(String(id)));
    }
  }
}

describe("instance table", () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("toggle" as const),
        ids: fc.array(fc.nat(idsMax - 1), { maxLength: 60 }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ kind: fc.constant("sweep" as const), drops: fc.func(fc.boolean()) }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("clear" as const) }) },
  );

  test("it holds what a map by id would hold, whatever collides, is removed and swept", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const checked = new Checked();
        for (const each of steps) {
          if (each.kind === "toggle") for (const id of each.ids) checked.toggle(id);
          else if (each.kind === "clear") checked.sweep(() => true);
          else checked.sweep(({ id }) => each.drops(id));
          checked.check();
        }
      }),
      { numRuns: 200 },
    );
  });

  test("what stands behind one that is removed is found, around the table's end too", () => {
    for (const home of [60, 62, 63]) {
      const hash = hashOfProduct(home << 26); // of 64 slots
      for (let drops = 0; drops < 32; drops++) {
        const checked = new Checked();
        for (let i = 0; i < 5; i++) checked.add(instanceOf(String(i), hash));
        for (const each of [...checked.oracle.values()]) if ((drops >> Number(each.id)) & 1) checked.remove(each);
        assert.deepEqual(sortedIds(checked.table.sweep()), sortedIds(checked.oracle.values()));
        for (const instance of checked.oracle.values()) assert.equal(checked.table.find(instance.id, hash), instance);
      }
    }
  });

  test("a sweep that removes nothing gives everything once, wherever the last one ended", () => {
    const checked = new Checked();
    for (let id = 0; id < idsMax; id++) checked.toggle(id);
    for (let looked = 0; looked < 300; looked += 7) {
      const sweep = checked.table.sweep();
      for (let n = 0; n < looked; n++) sweep.next();
      checked.check();
    }
  });

  test("a sweep during which the table grows ends, and gives nothing that was removed", () => {
    const checked = new Checked();
    for (let id = 0; id < 20; id++) checked.toggle(id);
    let added = 20;
    let given = 0;
    for (const instance of checked.table.sweep()) {
      assert.equal(checked.oracle.get(instance.id), instance);
      checked.remove(instance);
      for (let i = 0; i < 10 && added < idsMax; i++) checked.toggle(added++);
      given++;
    }
    assert.ok(given <= idsMax);
    checked.check();
  });

  for (const [shard, shards] of [
    [0, 1],
    [1, 2],
    [5, 8],
  ]) {
    test(`a look-up stays short however often sweeps make room, with the hashes of shard ${shard} of ${shards}`, () => {
      const table = new InstanceTable();
      const keyGroups = 128;
      let compared = 0;
      let n = 0;
      const nextHash = (): number => {
        for (;;) {
          const hash = hashId32(`user-${n++}`);
          if (shardOfKeyGroup(keyGroupOfHash(hash, keyGroups), keyGroups, shards) === shard) return hash;
        }
      };
      for (let added = 0; added < 40_000; added++) {
        const hash = nextHash();
        const instance = instanceOf(`user-${n}`, hash);
        const hashOfInstance = (): number => {
          compared++;
          return hash;
        };
        Object.defineProperty(instance, "hash", { get: hashOfInstance });
        table.add(instance);
        if (table.size <= 2_000) continue;
        for (const instance of table.sweep()) {
          table.remove(instance);
          if (table.size < 1_950) break;
        }
      }
      compared = 0;
      const lookUps = 10_000;
      for (let i = 0; i < lookUps; i++) assert.equal(table.find("nobody", nextHash()), undefined);
      assert.ok(compared < 4 * lookUps, `${compared} instances were looked at by ${lookUps} look-ups`);
    });
  }

  test("instances with one hash are told apart by their ids, those with one id by their hashes", () => {
    const table = new InstanceTable();
    const [first, second, third] = [instanceOf("a", 7), instanceOf("b", 7), instanceOf("a", 71)];
    for (const instance of [first, second, third]) table.add(instance);
    assert.equal(table.find("a", 7), first);
    assert.equal(table.find("b", 7), second);
    assert.equal(table.find("a", 71), third);
    assert.equal(table.find("b", 71), undefined);
    table.remove(first);
    assert.equal(table.find("a", 7), undefined);
    assert.equal(table.find("b", 7), second);
    assert.equal(table.find("a", 71), third);
  });

  test("thousands of instances with neighbouring hashes are found again after every second is removed", () => {
    const table = new InstanceTable();
    const instances = Array.from({ length: 5_000 }, (_, i) => instanceOf(String(i), (i >> 2) - 600));
    for (const instance of instances) table.add(instance);
    for (let i = 0; i < instances.length; i += 2) table.remove(instances[i]);
    assert.equal(table.size, 2_500);
    for (const [i, instance] of instances.entries()) {
      assert.equal(table.find(instance.id, instance.hash), i % 2 === 0 ? undefined : instance);
    }
  });

  test("touching what has a hash changes nothing, whether there is one, several or none", () => {
    const checked = new Checked();
    for (let id = 0; id < 5; id++) checked.toggle(id);
    for (const hash of hashes) checked.table.touch(hash);
    checked.check();
  });

  test("removing an instance that is not in the table breaks an invariant and removes nothing", () => {
    const checked = new Checked();
    for (let id = 0; id < 30; id++) checked.toggle(id);
    assert.throws(
      () => checked.table.remove(instanceOf("0", hashOf(0))),
      (error) => isHoldfastError(error, "HF_INVARIANT"),
    );
    checked.check();
  });
});
