import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ControlWords, crowdedOut } from "../../lib/channel/control-words.js";
import { Coordinator } from "../../lib/snapshot/coordinator.js";
import { noCells } from "../../lib/snapshot/delta.js";
import type { EpochLog } from "../../lib/snapshot/epoch-log.js";
import { Merge } from "../../lib/snapshot/merge.js";
import { defaultPace } from "../../lib/snapshot/pace.js";
import type { BaseWriter } from "../../lib/store/base.js";
import { RowWriter } from "../../lib/store/row-writer.js";

const mergeIntervalMs = 4_000;
const mergeSliceRowsMax = 500;

/** A base that keeps only what its last merge was. */
class Base implements BaseWriter {
  epoch = 0;

  apply(_rows: unknown, epoch?: number): void {
    if (epoch !== undefined) this.epoch = epoch;
  }

  sync(): void {}
  *scan(): Generator<never> {}
  close(): void {}
}

/** A coordinator of shards that all write. */
class Coordinated {
  now = 1_000;
  readonly bases: readonly Base[];
  readonly merges: readonly Merge[];
  readonly coordinator: Coordinator;
  /** The numbers of the bases in the order in which their merges began. */
  readonly begun: number[] = [];
  readonly control: ControlWords;
  #epoch = 0;

  constructor(shards: number) {
    this.bases = Array.from({ length: shards }, () => new Base());
    this.merges = this.bases.map((base) => new Merge(base));
    this.control = new ControlWords(ControlWords.allocate(shards, false), shards);
    const log = { durable: 0, log: { liveBytes: 0, diskFull: false, prepare: () => false } } as unknown as EpochLog;
    this.coordinator = new Coordinator(
      { generation: 1, epoch: 0, pace: defaultPace, mergeIntervalMs, mergeSliceRowsMax, egressCodes: [] },
      {
        clock: { now: () => this.now },
        control: this.control,
        wakeShard() {},
        committed() {},
        firstSegmentMoves() {},
      } as unknown as ConstructorParameters<typeof Coordinator>[1],
      { log, merges: this.merges, watermarks: new Map() },
    );
    this.coordinator.trim = () => {}; // there is no log
  }

  /** An epoch of every shard, of one row. */
  fold(): void {
    this.#epoch++;
    for (const [shard, merge] of this.merges.entries()) {
      const writer = new RowWriter();
      writer.put(Buffer.from(`${shard} ${this.#epoch}`), Buffer.from("value"));
      merge.fold(this.#epoch, writer.take(), noCells);
    }
  }

  /** Steps, a millisecond and an epoch apart, until so many merges have begun. */
  run(merges: number): void {
    for (let steps = 0; this.begun.length < merges; steps++) {
      assert.ok(steps < 1_000, "merges begin");
      this.now++;
      this.fold();
      const wasIdle = this.merges.every((merge) => !merge.running);
      this.coordinator.step();
      const running = this.merges.findIndex((merge) => merge.running);
      if (wasIdle && running !== -1) this.begun.push(running);
    }
  }
}

describe("the merges of a coordinator", () => {
  test("take turns when all of them lag behind all the time", () => {
    const coordinated = new Coordinated(3);
    coordinated.control.setCrowding(1, crowdedOut); // the least that is folded is to be merged
    coordinated.run(12);
    assert.deepEqual(coordinated.begun, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  test("begin when their interval is over, each by its own time", () => {
    const coordinated = new Coordinated(2);
    const { coordinator, merges } = coordinated;
    coordinated.fold();
    assert.equal(coordinator.dueMerge(coordinated.now + mergeIntervalMs - 1), undefined);
    coordinated.now += mergeIntervalMs;
    coordinated.run(2);
    assert.deepEqual(coordinated.begun, [0, 1]);
    const [first, second] = merges.map((merge) => merge.startedAt);
    assert.ok(first < second);
    while (merges.some((merge) => merge.running)) coordinator.step();
    assert.equal(coordinator.dueMerge(first + mergeIntervalMs - 1), undefined);
    assert.equal(coordinator.dueMerge(first + mergeIntervalMs), merges[0]);
  });
});
