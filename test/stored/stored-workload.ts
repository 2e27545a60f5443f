/**
 * A data directory driven without shards: deltas of known rows through the real storage, with commits, merges, trims,
 * segment rolls, rescaling and restarts. It knows what the directory must hold at every epoch.
 *
 * Owner: a test. One thread.
 * S1. What a call that failed was about is in doubt: the epoch being committed may be there or not, nothing else.
 */
import assert from "node:assert/strict";
import { ByteWriter } from "../../lib/base/bytes.js";
import { mergeSliceRowsMax } from "../../lib/base/limits.js";
import type { Random } from "../../lib/base/random.js";
import { ControlWords } from "../../lib/channel/control-words.js";
import { writeMessageHead } from "../../lib/codec/message-codec.js";
import type { Disk } from "../../lib/log/disk.js";
import { keyGroupOf as keyGroupOfId, shardOfKeyGroup } from "../../lib/partition/key-groups.js";
import { splitKey } from "../../lib/shard/ingress-feed.js";
import type { EncodedWatermark } from "../../lib/snapshot/commit-record.js";
import { noCells } from "../../lib/snapshot/delta.js";
import { positionRow } from "../../lib/snapshot/meta-rows.js";
import type { Recovered, RecoveryConfig } from "../../lib/snapshot/recovery.js";
import { Storage } from "../../lib/snapshot/storage.js";
import type { BaseWriter } from "../../lib/store/base.js";
import { inflightKey, keyGroupOf, metaKeyGroup, rowKey, rowTable, stateKey } from "../../lib/store/row-key.js";
import { RowWriter } from "../../lib/store/row-writer.js";

/** The world the storage lives in; a crash gives another one on the same disk. */
export interface StoredPorts {
  readonly disk: Disk;
  openBase(path: string): BaseWriter;
  destroyBase(path: string): void;
}

/** What a data directory holds at an epoch. */
export interface Content {
  readonly epoch: number;
  /** Values as latin1 text by keys as latin1 text, META rows but positions left out. */
  readonly rows: ReadonlyMap<string, string>;
  /** The sink's watermark, as a commit said it. */
  readonly watermark: number;
}

interface Epoch {
  readonly rows: ReadonlyMap<string, string | null>;
  readonly watermark: number;
}

export const functionCode = 77;
export const egressCode = 5;
const keyGroups = 16;
const split = { ingress: "in", split: "0" };
const idle = { turns: 0, ingested: 0, rejected: 0, parked: 0, orphans: 0, exhausted: true, resident: 0 };
const tables = [rowTable.TIMER, rowTable.OPERATION, rowTable.QUARANTINE, rowTable.ENTRY, rowTable.REQUEST] as const;

/** The configuration of the application that the rows belong to. */
export function recoveryConfig(dataDir: string, shards: number): RecoveryConfig {
  return {
    dataDir,
    application: "stored",
    functions: [{ name: "stored/thing", code: functionCode, states: [] }],
    egressCodes: [egressCode],
    shards,
    keyGroups,
    splits: [split],
    session: undefined,
    segmentBytes: 16 * 1024,
    zeroAheadBytes: 2 * 1024,
  };
}

export class StoredWorkload {
  readonly #dataDir: string;
  readonly #random: Random;
  /** By epoch, from 1. */
  #epochs: Epoch[] = [];
  /** The epoch whose commit was under way when something failed (S1). */
  #inDoubt: Epoch | undefined;
  readonly #live = new Map<string, string>();
  #ports: StoredPorts;
  #storage: Storage;
  #control = new ControlWords(ControlWords.allocate(1, false), 1);
  #now = 0;
  #shards = 0;
  #sequence = 0;
  #toAcknowledge = 0;
  #generation = 0;

  constructor(dataDir: string, random: Random, ports: StoredPorts) {
    this.#dataDir = dataDir;
    this.#random = random;
    this.#ports = ports;
    this.#storage = this.#newStorage();
  }

  get committed(): number {
    return this.#epochs.length;
  }

  /** What must be there after an epoch. */
  content(epoch = this.#epochs.length): Content {
    const rows = new Map<string, string>();
    for (const { rows: changed } of this.#epochs.slice(0, epoch)) applyTo(rows, changed);
    return { epoch, rows, watermark: this.#epochs[epoch - 1]?.watermark ?? 0 };
  }

  /** The same for the epoch that is in doubt. */
  contentInDoubt(): Content | undefined {
    const doubt = this.#inDoubt;
    if (doubt === undefined) return undefined;
    const { rows } = this.content();
    applyTo(rows as Map<string, string>, doubt.rows);
    return { epoch: this.#epochs.length + 1, rows, watermark: doubt.watermark };
  }

  /** The process is gone: another one on what the disk has. */
  replaceProcess(ports: StoredPorts): void {
    this.#ports = ports;
    this.#storage = this.#newStorage();
  }

  /** Recovers, checks what is there, and starts a coordinator. */
  start(shards: number): void {
    this.#storage.end();
    const recovered = this.#storage.recover(recoveryConfig(this.#dataDir, shards));
    this.#settle(recovered.manifest.committed);
    assertContent(contentOf(recovered), this.content());
    assertDealt(recovered, this.content());
    this.#shards = shards;
    this.#generation = recovered.manifest.generation;
    this.#toAcknowledge = this.content().watermark;
    this.#control = new ControlWords(ControlWords.allocate(shards, false), shards);
    this.#storage.begin(
      { control: this.#control, wakeShard: () => {}, committed: () => {} },
      { pace: { intervalMs: 1, idleIntervalMs: 1 }, mergeIntervalMs: 40, mergeSliceRowsMax },
    );
  }

  /** Commits one epoch of `rows` new, changed and deleted rows; returns when it is durable. */
  commit(rows: number): void {
    const { coordinator } = this.#storage;
    assert.ok(coordinator !== undefined);
    const epoch: Epoch = { rows: this.#draw(rows), watermark: this.#toAcknowledge };
    coordinator.request();
    while (this.#control.want !== this.#epochs.length + 1) this.work(1);
    const deltas = Array.from({ length: this.#shards }, () => new RowWriter());
    for (const [text, value] of epoch.rows) {
      const key = Buffer.from(text, "latin1");
      const group = keyGroupOf(key);
      const shard = group === metaKeyGroup ? 0 : shardOfKeyGroup(group, keyGroups, this.#shards);
      if (value === null) deltas[shard].delete(key);
      else deltas[shard].put(key, Buffer.from(value, "latin1"));
    }
    this.#inDoubt = epoch; // S1
    for (const [shard, delta] of deltas.entries()) {
      this.#storage.onDelta({
        generation: this.#generation,
        shard,
        epoch: this.#epochs.length + 1,
        rows: delta.take(),
        cells: noCells,
        output: outputOf(this.#epochs.length + 1, shard),
        gatewayConsumed: undefined,
        counts: idle,
        inFlight: 0,
        workMs: 0,
      });
    }
    this.#settle(this.#epochs.length + 1);
  }

  /** The sink has taken everything; the next commit says so. */
  acknowledge(): void {
    this.#toAcknowledge = this.#epochs.length;
    this.#storage.acknowledge(egressCode, watermarkOf(this.#toAcknowledge));
  }

  /** Steps the coordinator: merges, trims, prepares the log. */
  work(steps: number): void {
    for (let step = 0; step < steps; step++) {
      this.#now += 5;
      this.#storage.coordinator?.step();
    }
  }

  rest(): void {
    this.#storage.coordinator?.rest();
  }

  close(): void {
    this.#storage.close();
  }

  #newStorage(): Storage {
    return new Storage({
      clock: { now: () => this.#now, wall: () => this.#now },
      disk: this.#ports.disk,
      openBase: (path) => this.#ports.openBase(path),
      destroyBase: (path) => this.#ports.destroyBase(path),
    });
  }

  /** The epoch in doubt was committed, or was not. */
  #settle(committed: number): void {
    if (this.#inDoubt !== undefined && committed === this.#epochs.length + 1) {
      this.#epochs.push(this.#inDoubt);
      applyTo(this.#live, this.#inDoubt.rows);
    }
    this.#inDoubt = undefined;
    assert.equal(committed, this.#epochs.length, "the committed epoch");
  }

  #draw(count: number): ReadonlyMap<string, string | null> {
    const rows = new Map<string, string | null>();
    const put = (key: Uint8Array, value: Uint8Array | null): unknown =>
      rows.set(text(key), value === null ? null : text(value));
    const known = [...this.#live.keys()];
    for (let index = 0; index < count; index++) {
      const id = `thing-${this.#random.below(200)}`;
      const group = keyGroupOfId(id, keyGroups);
      const kind = this.#random.below(10);
      if (kind < 4) put(stateKey(group, functionCode, id), this.#bytes(this.#random.below(80)));
      else if (kind === 4) put(stateKey(group, functionCode, id), this.#bytes(this.#random.below(6_000)));
      else if (kind === 5)
        put(rowKey(group, tables[this.#random.below(tables.length)], Buffer.from(id)), this.#bytes(30));
      else if (kind === 6) put(inflightKey(group, 1, 0, ++this.#sequence), messageTo(id));
      else if (kind === 7) {
        const { key, value } = positionRow(splitKey(split.ingress, split.split), this.#bytes(8));
        put(key, value);
      } else if (known.length > 0) {
        const key = known[this.#random.below(known.length)];
        if (keyGroupOf(Buffer.from(key, "latin1")) !== metaKeyGroup) rows.set(key, null);
      }
    }
    return rows;
  }

  #bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#random.below(256));
  }
}

/** What a recovery found. @throws when two shards have the same row */
export function contentOf({ merges, watermarks, manifest }: Recovered): Content {
  const rows = new Map<string, string>();
  const visit = (key: string, value: Uint8Array): void => {
    const bytes = Buffer.from(key, "latin1");
    if (keyGroupOf(bytes) === metaKeyGroup && !key.slice(3).startsWith("split/")) return;
    assert.ok(!rows.has(key), "two bases have the same row");
    rows.set(key, text(value));
  };
  for (const { base, overlay } of merges) {
    for (const { key, value } of base.scan(new Uint8Array(0), Uint8Array.of(0xff, 0xff, 0xff))) {
      if (!overlay.has(text(key))) visit(text(key), value);
    }
    for (const [key, value] of overlay) if (value !== null) visit(key, value);
  }
  const position = watermarks.get(egressCode)?.position;
  return {
    epoch: manifest.committed,
    rows,
    watermark: position === undefined ? 0 : Buffer.from(position).readUInt32LE(0),
  };
}

export function assertContent(found: Content, should: Content): void {
  assert.equal(found.epoch, should.epoch, "the committed epoch");
  assert.equal(found.watermark, should.watermark, "the watermark of the sink");
  for (const [key, value] of should.rows)
    assert.equal(found.rows.get(key), value, `the row ${Buffer.from(key, "latin1").toString("hex")}`);
  assert.equal(found.rows.size, should.rows.size, "how many rows there are");
}

/** Messages in flight, positions and output reach shards and sinks. */
export function assertDealt(recovered: Recovered, should: Content): void {
  const messages = recovered.shards.flatMap(({ messages: dealt }) => dealt.map(({ body }) => text(body)));
  const expected = [...should.rows]
    .filter(([key]) => key.charCodeAt(2) === rowTable.INFLIGHT)
    .map(([, value]) => value);
  assert.deepEqual(messages.sort(), expected.sort(), "the messages in flight");
  const positions = recovered.shards.flatMap((shard) => [...shard.positions.values()]);
  assert.equal(positions.length, [...should.rows.keys()].some(isPosition) ? 1 : 0, "the positions of splits");
  const outputs = new Map(recovered.outputs.map(({ epoch, shard, output }) => [`${epoch}/${shard}`, text(output)]));
  for (let epoch = should.watermark + 1; epoch <= should.epoch; epoch++) {
    assert.equal(outputs.get(`${epoch}/0`), text(outputOf(epoch, 0)), `the output of epoch ${epoch}`);
  }
}

/** What a shard puts out in an epoch. */
function outputOf(epoch: number, shard: number): Uint8Array {
  return new TextEncoder().encode(`output of epoch ${epoch}, shard ${shard}`);
}

function watermarkOf(epoch: number): EncodedWatermark {
  const position = new Uint8Array(4);
  new DataView(position.buffer).setUint32(0, epoch, true);
  return { epoch, position };
}

function messageTo(id: string): Uint8Array {
  const writer = new ByteWriter();
  writeMessageHead(writer, functionCode, id, 1, 2, undefined, undefined, 0);
  writer.u8(0xc0); // nil
  return writer.take();
}

function isPosition(key: string): boolean {
  return keyGroupOf(Buffer.from(key, "latin1")) === metaKeyGroup;
}

function applyTo(rows: Map<string, string>, changed: ReadonlyMap<string, string | null>): void {
  for (const [key, value] of changed) {
    if (value === null) rows.delete(key);
    else rows.set(key, value);
  }
}

function text(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}
