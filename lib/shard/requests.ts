/**
 * Which messages with an idempotency key were applied at the addresses of this shard, and what was replied.
 *
 * A row is written when the turn of a keyed message is applied. A later message with the same key finds it when its own
 * turn comes: turns of an address never overlap, so no message can slip in between, and one that comes while the first
 * is still being processed waits behind it as every message does.
 *
 *     key group │ REQUEST │ 0 │ type hash · id hash · two hashes of the key    the applied keys that have these hashes
 *     key group │ REQUEST │ 1 │ end of the retention f64 as u64 BE │ the 16 bytes above    what ends when
 *
 * Owner and thread: the shard.
 * Q1. A row and the effects of the turn it stands for are written in the same epoch.
 * Q2. Nothing reads a key whose retention has ended, whether its row is still there or not.
 */
import { ByteWriter } from "../base/bytes.js";
import { requestRetentionMs } from "../base/limits.js";
import { hashId } from "../partition/hash.js";
import { rowKey, rowTable } from "../store/row-key.js";
import type { Message } from "./instance.js";
import type { Part, PartPort } from "./part.js";

/** An applied key. */
export interface AppliedRequest {
  readonly type: string;
  readonly id: string;
  readonly key: string;
  /** Encoded reply; undefined when there was none. */
  readonly reply: Uint8Array | undefined;
  /** Wall time at which the key is forgotten. */
  readonly ends: number;
}

/** Rows reclaimed by one step. */
const reclaimPerStepMax = 128;
/** Time between two looks for rows to reclaim. */
const reclaimIntervalMs = 1_000;
const appliedPart = 0;
const endsPart = 1;
const prefixBytes = 4;

export class Requests implements Part {
  readonly #port: PartPort;
  /** Key groups of this shard that the current look has not been at. */
  #toLookAt: number[] = [];
  /** When the next look begins. */
  #nextLook: number;

  constructor(port: PartPort) {
    this.#port = port;
    this.#nextLook = port.clock.now() + reclaimIntervalMs;
  }

  /** Infinite while no row is known to end. */
  #ends = 0;

  get nextDue(): number {
    if (this.#toLookAt.length > 0) return this.#port.clock.now();
    if (this.#ends === Number.POSITIVE_INFINITY) return this.#ends;
    const { clock } = this.#port;
    return Math.max(this.#nextLook, clock.now() + this.#ends - clock.wall());
  }

  /** What was applied under the key of a message, when its retention has not ended. */
  find({ target, keyGroup, extras }: Message): AppliedRequest | undefined {
    const key = extras?.key;
    if (key === undefined) return undefined;
    const { id } = target;
    const { type } = target.entry;
    const now = this.#port.clock.wall();
    return this.#applied(keyGroup, hashesOf(type, id, key)).find(
      (applied) => applied.key === key && applied.id === id && applied.type === type && this.isLive(applied, now),
    );
  }

  /** Q2 */
  isLive({ ends }: AppliedRequest, now: number): boolean {
    return now < ends;
  }

  /** The turn of a keyed message was applied (Q1). */
  remember({ target, keyGroup, extras }: Message, reply: Uint8Array | undefined): void {
    const key = extras?.key;
    if (key === undefined) return;
    const { id } = target;
    const { type } = target.entry;
    const hashes = hashesOf(type, id, key);
    const ends = this.#port.clock.wall() + (extras?.retentionMs ?? requestRetentionMs);
    const others = this.#applied(keyGroup, hashes).filter(
      (applied) => applied.key !== key || applied.id !== id || applied.type !== type,
    );
    this.#write(keyGroup, hashes, [...others, { type, id, key, reply, ends }]);
    this.#port.rows.put(bucketOf(keyGroup), endsKey(keyGroup, ends, hashes), noBytes, this.#port.epoch);
    this.#ends = Math.min(this.#ends, ends);
  }

  /** Nobody will repeat the message with this key any more. */
  forget({ target, keyGroup, extras }: Message): void {
    const key = extras?.key;
    if (key === undefined) return;
    const { id } = target;
    const { type } = target.entry;
    const hashes = hashesOf(type, id, key);
    const kept: AppliedRequest[] = [];
    for (const applied of this.#applied(keyGroup, hashes)) {
      if (applied.key !== key || applied.id !== id || applied.type !== type) kept.push(applied);
      else this.#port.rows.delete(bucketOf(keyGroup), endsKey(keyGroup, applied.ends, hashes), this.#port.epoch);
    }
    this.#write(keyGroup, hashes, kept);
  }

  /** Reclaims rows whose retention has ended. */
  step(): number {
    if (this.#toLookAt.length === 0) {
      if (this.#ends === Number.POSITIVE_INFINITY || this.nextDue > this.#port.clock.now()) return 0;
      this.#ends = Number.POSITIVE_INFINITY;
      this.#nextLook = this.#port.clock.now() + reclaimIntervalMs;
      for (let group = 0; group < this.#port.config.keyGroups; group++)
        if (this.#port.owns(group)) this.#toLookAt.push(group);
    }
    const group = this.#toLookAt[this.#toLookAt.length - 1];
    if (this.#reclaim(group)) this.#toLookAt.pop();
    return 1;
  }

  /** True when nothing of the key group is left to reclaim. */
  #reclaim(group: number): boolean {
    const { rows, clock, epoch } = this.#port;
    const now = clock.wall();
    const from = rowKey(group, rowTable.REQUEST, Uint8Array.of(endsPart));
    const to = rowKey(group, rowTable.REQUEST, Uint8Array.of(endsPart + 1));
    const found = rows.scan(bucketOf(group), from, to, reclaimPerStepMax);
    for (const { key } of found) {
      const ends = endOf(key);
      if (ends > now) {
        this.#ends = Math.min(this.#ends, ends);
        return true;
      }
      const hashes = key.slice(prefixBytes + 8);
      const applied = this.#applied(group, hashes);
      const live = applied.filter((request) => this.isLive(request, now));
      if (live.length < applied.length) this.#write(group, hashes, live);
      rows.delete(bucketOf(group), key, epoch);
      this.#port.touch();
    }
    return found.length < reclaimPerStepMax;
  }

  #applied(keyGroup: number, hashes: Uint8Array): readonly AppliedRequest[] {
    const value = this.#port.rows.get(bucketOf(keyGroup), appliedKey(keyGroup, hashes));
    return value === undefined ? [] : (this.#port.codec.decode(value) as AppliedRequest[]);
  }

  #write(keyGroup: number, hashes: Uint8Array, applied: readonly AppliedRequest[]): void {
    const { rows, codec, epoch } = this.#port;
    const key = appliedKey(keyGroup, hashes);
    if (applied.length === 0) rows.delete(bucketOf(keyGroup), key, epoch);
    else rows.put(bucketOf(keyGroup), key, codec.encode(applied).slice(), epoch);
  }
}

const noBytes = new Uint8Array(0);

function bucketOf(keyGroup: number): string {
  return `request ${keyGroup}`;
}

function hashesOf(type: string, id: string, key: string): Uint8Array {
  const writer = new ByteWriter(16);
  for (const text of [type, id, key, `${key}\0`]) writer.u32(hashId(text));
  return writer.take();
}

function appliedKey(keyGroup: number, hashes: Uint8Array): Uint8Array {
  const part = new Uint8Array(1 + hashes.length);
  part[0] = appliedPart;
  part.set(hashes, 1);
  return rowKey(keyGroup, rowTable.REQUEST, part);
}

/** Positive floats sort as their bits do. */
function endsKey(keyGroup: number, ends: number, hashes: Uint8Array): Uint8Array {
  const part = new Uint8Array(9 + hashes.length);
  part[0] = endsPart;
  new DataView(part.buffer).setFloat64(1, ends);
  part.set(hashes, 9);
  return rowKey(keyGroup, rowTable.REQUEST, part);
}

function endOf(key: Uint8Array): number {
  return new DataView(key.buffer, key.byteOffset, key.length).getFloat64(prefixBytes);
}
