import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import { setTimeout as elapse } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { closeGate, type Gate, openBaseWriter } from "../../lib/store/lmdb-base.js";
import type { StressOrder, StressOutcome } from "./base.stress.worker.js";

const root = mkdtempSync(join(tmpdir(), "holdfast-base-stress-"));
after(() => rmSync(root, { recursive: true, force: true }));

const freshGate = (): Gate => ({ words: new Int32Array(new SharedArrayBuffer(4)), index: 0 });
const freshStop = (): Int32Array => new Int32Array(new SharedArrayBuffer(4));

interface Running {
  readonly worker: Worker;
  readonly gate: Gate;
  readonly outcome: Promise<StressOutcome>;
}

/** Starts a thread and waits until it has its base open. */
async function started(role: StressOrder["role"], path: string, stop: Int32Array): Promise<Running> {
  const order: StressOrder = { role, path, gate: freshGate(), stop };
  const worker = new Worker(new URL("./base.stress.worker.js", import.meta.url), { workerData: order });
  const outcome = new Promise<StressOutcome>((resolve, reject) => {
    worker.on("message", (message: "ready" | StressOutcome) => message !== "ready" && resolve(message));
    worker.on("error", reject);
  });
  await new Promise<void>((resolve, reject) => {
    worker.once("message", () => resolve());
    worker.once("error", reject);
  });
  return { worker, gate: order.gate, outcome };
}

describe("a base with its writer and readers in threads", () => {
  test("a view at epoch e holds all rows of e", async () => {
    const path = join(root, "views");
    const [stopWriter, stopReaders] = [freshStop(), freshStop()];
    const writer = await started("write", path, stopWriter);
    const readers = [await started("check", path, stopReaders), await started("check", path, stopReaders)];
    await elapse(2_000); // the length of the test, not a synchronisation
    Atomics.store(stopReaders, 0, 1);
    const outcomes = await Promise.all(readers.map((reader) => reader.outcome));
    Atomics.store(stopWriter, 0, 1);
    const written = await writer.outcome;
    for (const outcome of outcomes) {
      assert.equal(outcome.violation, undefined);
      assert.ok(outcome.epochs > 5, `only ${outcome.epochs} of ${written.epochs} epochs were seen`);
    }
  });

  test("readers that are terminated behind a closed gate leave the process, the writer and the file as they were", async () => {
    const path = join(root, "terminated");
    const writer = openBaseWriter(path, { mapBytes: 64 * 1024 * 1024 });
    const rows = Array.from({ length: 50 }, (_, index) => ({
      key: Uint8Array.of(0, 1, index),
      value: new Uint8Array(200),
    }));
    for (let round = 0; round < 5; round++) {
      const reader = await started("read for ever", path, freshStop());
      for (let epoch = 1; epoch <= 10; epoch++) writer.apply(rows, round * 10 + epoch);
      assert.equal(closeGate(reader.gate, 1_000), true);
      await reader.worker.terminate();
    }
    writer.apply(rows, 1_000);
    assert.equal(writer.epoch, 1_000);
    writer.close();
  });

  test("a process exits cleanly in the middle of writing and reading when it closes the gates first", () => {
    for (let round = 0; round < 2; round++) {
      const child = spawnSync(
        process.execPath,
        [join(import.meta.dirname, "base.stress.exit.js"), join(root, `exit-${round}`)],
        {
          timeout: 10_000,
          encoding: "utf8",
        },
      );
      assert.deepEqual([child.signal, child.status, child.stderr], [null, 0, ""]);
    }
  });
});
