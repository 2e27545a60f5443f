/** The pending operations of a shard, apart from threads. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { copyPlain } from "../../lib/codec/plain-data.js";
import { FunctionDefinition } from "../../lib/model/function.js";
import { Instance } from "../../lib/shard/instance.js";
import { Operations, type OperationsPort } from "../../lib/shard/operations.js";
import { FunctionEntry } from "../../lib/shard/registry.js";
import { keyText } from "../../lib/shard/rows.js";
import type { StagedEffect, TurnContext } from "../../lib/shard/turn-context.js";

describe("operations", () => {
  const entry = new FunctionEntry(
    new FunctionDefinition<unknown>("test/worker", { receive: () => {}, pendingOperations: 2 }) as never,
  );

  function bench() {
    const codec = new PayloadCodec();
    const rows = new Map<string, Uint8Array>();
    const delivered: {
      readonly status: string;
      readonly metadata: unknown;
      readonly error: { code: string };
      readonly value?: unknown;
    }[] = [];
    const closed: string[] = [];
    const time = { now: 0 };
    const port = {
      config: { generation: 1, keyGroups: 1 },
      codec,
      registry: { peer: ({ code }: { code: number }) => (code === entry.code ? entry : undefined) },
      clock: { now: () => time.now },
      rows: {
        put: (_: string, key: Uint8Array, bytes: Uint8Array) => rows.set(keyText(key), bytes),
        delete: (_: string, key: Uint8Array) => rows.delete(keyText(key)),
        scan: () => [...rows].map(([key, value]) => ({ key: Buffer.from(key, "latin1"), value })),
      },
      epoch: 1,
      keyGroupOf: () => 0,
      owns: () => true,
      dispatch: (_: unknown, __: string, payload: never) => delivered.push(payload),
      encode: (value: unknown, what: string) => codec.encode(copyPlain(value, what)).slice(),
      touch: () => {},
      wakeSelf: () => {},
      closeAddress: ({ id }: Instance) => closed.push(`close ${id}`),
      openAddress: ({ id }: Instance) => closed.push(`open ${id}`),
    } as unknown as OperationsPort;
    const operations = new Operations(port);
    /** One turn at an address. */
    const turn = (id: string, ...starts: (() => unknown)[]): void => {
      const staged: StagedEffect[] = [];
      const context = {
        instance: new Instance(entry, id, 0),
        staged,
        stage: (effect: StagedEffect) => staged.push(effect),
      } as unknown as TurnContext;
      for (const [n, start] of starts.entries()) operations.run(context, start, n, { timeoutMs: 10 });
      for (const effect of staged) effect.apply();
    };
    const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
    return { operations, port, rows, delivered, closed, time, turn, settle };
  }

  const never = (): Promise<never> => new Promise(() => {});

  test("have a row until their result is dispatched", async () => {
    const { operations, rows, delivered, turn, settle } = bench();
    turn("a", () => 1);
    assert.deepEqual([rows.size, operations.inFlight], [1, 1]);
    operations.step();
    await settle();
    assert.deepEqual([rows.size, delivered.length], [1, 0]);
    operations.step();
    assert.deepEqual([rows.size, operations.inFlight], [0, 0]);
    assert.deepEqual(delivered, [{ kind: "operation", status: "success", value: 1, error: undefined, metadata: 0 }]);
    assert.equal(operations.nextDue, Number.POSITIVE_INFINITY);
  });

  test("close their address at the limit and open it below", async () => {
    const { operations, closed, time, turn, delivered, settle } = bench();
    turn("a", never);
    assert.deepEqual(closed, []);
    turn("a", never, () => 1);
    assert.deepEqual(closed, ["close a"]);
    operations.step();
    await settle();
    operations.step();
    assert.deepEqual(closed, ["close a"]);
    assert.equal(operations.nextDue, 10);
    time.now = 10;
    operations.step();
    assert.deepEqual(closed, ["close a", "open a"]);
    assert.deepEqual(
      delivered.slice(1).map(({ error }) => error.code),
      ["HF_OPERATION_TIMEOUT", "HF_OPERATION_TIMEOUT"],
    );
  });

  test("that were there before are unknown, and have no row any more", () => {
    const { operations, port, rows, delivered, turn } = bench();
    turn("a", never);
    turn("b", never);
    operations.step();
    operations.close();
    new Operations(port).restore();
    assert.deepEqual(
      delivered.map(({ status }) => status),
      ["unknown", "unknown"],
    );
    assert.equal(rows.size, 0);
  });

  test("of an address that is destroyed have no result", async () => {
    const { operations, rows, delivered, closed, turn, settle } = bench();
    let end: (value: number) => void = () => {};
    turn("a", never, () => new Promise((resolve) => (end = resolve)));
    operations.step();
    operations.removeAll(entry, "a");
    end(1);
    await settle();
    operations.step();
    assert.deepEqual([rows.size, delivered.length, operations.inFlight], [0, 0, 0]);
    assert.deepEqual(closed, ["close a", "open a"]);
  });

  test("of an address that is destroyed have no result when they have ended but a moment ago", async () => {
    const { operations, rows, delivered, turn, settle } = bench();
    turn("a", () => 1);
    turn("b", () => 2);
    operations.step();
    await settle();
    operations.destroy(entry, "a");
    operations.step();
    assert.deepEqual([rows.size, operations.inFlight], [0, 0]);
    assert.deepEqual(
      delivered.map(({ value }) => value),
      [2],
    );
  });
});
