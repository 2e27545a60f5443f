/**
 * The other threads of base.stress.test.ts. Every epoch writes the same number into all of `stressRows` rows, in slices,
 * the epoch row with the last one: so a view at epoch e must hold at least e in every row, and a row above e only from
 * the slices of epoch e + 1.
 */
import { parentPort, workerData } from "node:worker_threads";
import type { Row } from "../../lib/store/base.js";
import { type Gate, openBaseReader, openBaseWriter } from "../../lib/store/lmdb-base.js";
import { keyGroupRangeBounds, stateKey } from "../../lib/store/row-key.js";

export const stressRows = 400;
const sliceRows = 100;

/** What a thread is told. */
export interface StressOrder {
  readonly role: "write" | "check" | "read for ever";
  readonly path: string;
  readonly gate: Gate;
  /** One word: 1 tells the thread to end. */
  readonly stop: Int32Array;
}

/** What a thread says when it has ended. */
export interface StressOutcome {
  readonly rounds: number;
  readonly epochs: number;
  readonly violation: string | undefined;
}

const order = workerData as StressOrder;
const stopped = (): boolean => Atomics.load(order.stop, 0) === 1;

function write(): StressOutcome {
  const writer = openBaseWriter(order.path, { mapBytes: 64 * 1024 * 1024, gate: order.gate });
  parentPort!.postMessage("ready");
  let epoch = writer.epoch;
  while (!stopped()) {
    epoch++;
    for (let start = 0; start < stressRows; start += sliceRows) {
      const rows: Row[] = [];
      for (let index = start; index < start + sliceRows; index++)
        rows.push({ key: rowKey(index), value: valueAt(epoch, index) });
      writer.apply(rows, start + sliceRows === stressRows ? epoch : undefined);
    }
  }
  writer.close();
  return { rounds: epoch, epochs: epoch, violation: undefined };
}

function check(): StressOutcome {
  const reader = openBaseReader(order.path, { gate: order.gate });
  parentPort!.postMessage("ready");
  const seen = new Set<number>();
  let violation: string | undefined;
  let rounds = 0;
  for (; !stopped() && violation === undefined; rounds++) {
    reader.refresh();
    const epoch = reader.epoch();
    seen.add(epoch);
    violation =
      rounds % 2 === 0
        ? checkScan(reader.scan(...allRows), epoch)
        : checkGets((index) => reader.get(rowKey(index)), epoch);
  }
  reader.close();
  return { rounds, epochs: seen.size, violation };
}

function checkScan(rows: readonly { readonly value: Uint8Array }[], epoch: number): string | undefined {
  if (epoch > 0 && rows.length !== stressRows) return `epoch ${epoch}: ${rows.length} rows`;
  for (const { value } of rows) {
    const found = epochIn(value);
    if (found !== epoch && found !== epoch + 1) return `epoch ${epoch}: a row says ${found}`;
  }
  return undefined;
}

function checkGets(get: (index: number) => Uint8Array | undefined, epoch: number): string | undefined {
  for (let index = 0; index < stressRows; index += 7) {
    const value = get(index);
    const found = value === undefined ? 0 : epochIn(value);
    if (found !== epoch && found !== epoch + 1) return `epoch ${epoch}: row ${index} says ${found}`;
  }
  return undefined;
}

function readForEver(): never {
  const reader = openBaseReader(order.path, { gate: order.gate });
  parentPort!.postMessage("ready");
  for (;;) {
    reader.refresh();
    reader.epoch();
    reader.scan(...allRows);
  }
}

function rowKey(index: number): Uint8Array {
  return stateKey(index >> 4, 1, `row-${index}`);
}

/** Of different lengths, so that pages split and values move; some on pages of their own. */
function valueAt(epoch: number, index: number): Uint8Array {
  const value = new Uint8Array(4 + (index % 50 === 0 ? 5_000 : (index + epoch) % 90));
  new DataView(value.buffer).setUint32(0, epoch);
  return value;
}

function epochIn(value: Uint8Array): number {
  return new DataView(value.buffer, value.byteOffset).getUint32(0);
}

const bounds = keyGroupRangeBounds(0, 1 + (stressRows >> 4))[0]!;
const allRows = [bounds.from, bounds.to] as const;

if (parentPort !== null) {
  const run = { write, check, "read for ever": readForEver }[order.role];
  parentPort.postMessage(run());
}
