/**
 * The rows of the TIMER table. All lie under the key group of an address: a timer and what leads to it under the sender's,
 * a schedule under the target's.
 *
 *     kind u8 = clock      value: milliseconds u64
 *     kind u8 = timer      due u64 BE │ generation u32 BE │ sequence u64 BE      value: see `encodeTimer`
 *     kind u8 = sent       sender type u32 BE │ hash of sender id u32 BE │ 0 │ due │ generation │ sequence      of a timer without a token
 *                          sender type u32 BE │ hash of sender id u32 BE │ 1 │ 16 bytes of a hash of id and token
 *                                                                            value: due │ generation │ sequence, where the key has them not
 *     kind u8 = schedule   name in UTF-8                                         value: see schedules.ts
 *
 * The order of timer keys is the order in which they fire.
 */
import { createHash } from "node:crypto";
import { ByteReader, ByteWriter } from "../base/bytes.js";
import type { Peer } from "../codec/message-codec.js";
import { readText, writeText } from "../codec/text.js";
import { hashId } from "../partition/hash.js";
import { rowKey, rowTable } from "../store/row-key.js";

const kind = { clock: 0, timer: 1, sent: 2, schedule: 3 } as const;
/** Buckets of a key group's senders. */
const sentBuckets = 64;
const withoutToken = 0;
const withToken = 1;
const noBytes = new Uint8Array(0);
const senderBytes = 8;
const prefixBytes = 4; // key group, table, kind
const orderBytes = 20;
const hasToken = 1;
const hasTargetType = 2;
const hasSenderType = 4;

/** Where a timer stands: its key without the table. */
export interface TimerKey {
  readonly keyGroup: number;
  /** Milliseconds since 1970. */
  readonly due: number;
  readonly generation: number;
  readonly sequence: number;
}

/** What a timer will send. */
export interface Timer {
  readonly target: Peer;
  readonly sender: Peer;
  readonly token: string | undefined;
  readonly idHi: number;
  readonly idLo: number;
  /** The encoded message. */
  readonly payload: Uint8Array;
}

/** Negative when `a` fires first. */
export function compareTimers(a: TimerKey, b: TimerKey): number {
  return a.due - b.due || a.generation - b.generation || a.sequence - b.sequence;
}

/** The bucket of `Rows` of a key group's timers. */
export function timerBucket(keyGroup: number): string {
  return `timers ${keyGroup}`;
}

/** The bucket of the rows that lead from a sender to its timers: its writes are sorted when they are scanned. */
export function sentBucket(keyGroup: number, senderId: string): string {
  return `sent ${keyGroup} ${hashId(senderId) % sentBuckets}`;
}

export function clockKey(keyGroup: number): Uint8Array {
  return rowKey(keyGroup, rowTable.TIMER, Uint8Array.of(kind.clock));
}

/** True for the key of a clock among those of its table. */
export function isClockKey(key: Uint8Array): boolean {
  return key[prefixBytes - 1] === kind.clock;
}

/** A clock's value: milliseconds since 1970. */
export function encodeClock(now: number): Uint8Array {
  const writer = new ByteWriter(16);
  writer.u64(now);
  return writer.take();
}

export function decodeClock(value: Uint8Array): number {
  return new ByteReader(value).u64();
}

export function timerKey(key: TimerKey): Uint8Array {
  const part = new Uint8Array(1 + orderBytes);
  part[0] = kind.timer;
  writeOrder(part, 1, key);
  return rowKey(key.keyGroup, rowTable.TIMER, part);
}

/** The key behind all timers of a key group. */
export function timersEnd(keyGroup: number): Uint8Array {
  return rowKey(keyGroup, rowTable.TIMER, Uint8Array.of(kind.timer + 1));
}

/** The row that leads from its sender to a timer with a token. */
export function tokenKey(keyGroup: number, sender: Peer, token: string): Uint8Array {
  const { id: ownId, dynamicType } = sender;
  const id = dynamicType === undefined ? ownId : `${dynamicType}\0${ownId}`;
  const part = new Uint8Array(2 + senderBytes + 16);
  writeSender(part, sender.code, ownId);
  part[1 + senderBytes] = withToken;
  const hash = createHash("sha256").update(`${id.length} `).update(id, "utf16le").update(token, "utf16le").digest();
  part.set(hash.subarray(0, 16), 2 + senderBytes);
  return rowKey(keyGroup, rowTable.TIMER, part);
}

/** The row that leads from its sender to a timer without a token. */
export function untokenedKey(timer: TimerKey, sender: Peer): Uint8Array {
  const part = new Uint8Array(2 + senderBytes + orderBytes);
  writeSender(part, sender.code, sender.id);
  part[1 + senderBytes] = withoutToken;
  writeOrder(part, 2 + senderBytes, timer);
  return rowKey(timer.keyGroup, rowTable.TIMER, part);
}

/** The bounds of what leads to the timers of a sender, and of any other one with the same hashes. */
export function sentBounds(
  keyGroup: number,
  code: number,
  id: string,
): { readonly from: Uint8Array; readonly to: Uint8Array } {
  const part = new Uint8Array(2 + senderBytes);
  writeSender(part, code, id);
  const from = rowKey(keyGroup, rowTable.TIMER, part);
  part[1 + senderBytes] = withToken + 1;
  return { from, to: rowKey(keyGroup, rowTable.TIMER, part) };
}

export function scheduleKey(keyGroup: number, name: string): Uint8Array {
  const text = Buffer.from(name, "utf8");
  const part = new Uint8Array(1 + text.length);
  part[0] = kind.schedule;
  part.set(text, 1);
  return rowKey(keyGroup, rowTable.TIMER, part);
}

/** The bounds of the schedules of a key group: `from <= key < to`. */
export function scheduleBounds(keyGroup: number): { readonly from: Uint8Array; readonly to: Uint8Array } {
  return {
    from: rowKey(keyGroup, rowTable.TIMER, Uint8Array.of(kind.schedule)),
    to: rowKey(keyGroup, rowTable.TIMER, Uint8Array.of(kind.schedule + 1)),
  };
}

/** True for the key of a timer among those of its table. */
export function isTimerKey(key: Uint8Array): boolean {
  return key[prefixBytes - 1] === kind.timer;
}

/** True for the key of what leads from a sender to a timer among those of its table. */
export function isSentKey(key: Uint8Array): boolean {
  return key[prefixBytes - 1] === kind.sent;
}

/** True for the key of a schedule among those of its table. */
export function isScheduleKey(key: Uint8Array): boolean {
  return key[prefixBytes - 1] === kind.schedule;
}

/** Reads the key of a timer. */
export function decodeTimerKey(key: Uint8Array): TimerKey {
  return readOrder((key[0] << 8) | key[1], key, prefixBytes);
}

/** The value of a row that leads to a timer. */
export function encodeSentValue(key: TimerKey, token: string | undefined): Uint8Array {
  if (token === undefined) return noBytes;
  const value = new Uint8Array(orderBytes);
  writeOrder(value, 0, key);
  return value;
}

/** The timer that such a row leads to. */
export function decodeSent(key: Uint8Array, value: Uint8Array): TimerKey {
  const keyGroup = (key[0] << 8) | key[1];
  if (key[prefixBytes + senderBytes] === withToken) return readOrder(keyGroup, value, 0);
  return readOrder(keyGroup, key, prefixBytes + senderBytes + 1);
}

/** Target and sender (code, id), message id, flags, token, names of types that a namespace made, message. */
export function encodeTimer({ target, sender, token, idHi, idLo, payload }: Timer): Uint8Array {
  const writer = new ByteWriter(64 + payload.length);
  writer.u32(target.code);
  writeText(writer, target.id);
  writer.u32(sender.code);
  writeText(writer, sender.id);
  writer.u32(idHi >>> 0);
  writer.u32(idLo >>> 0);
  const [targetType, senderType] = [target.dynamicType, sender.dynamicType];
  writer.u8(
    (token === undefined ? 0 : hasToken) |
      (targetType === undefined ? 0 : hasTargetType) |
      (senderType === undefined ? 0 : hasSenderType),
  );
  if (token !== undefined) writeText(writer, token);
  if (targetType !== undefined) writeText(writer, targetType);
  if (senderType !== undefined) writeText(writer, senderType);
  writer.bytes(payload);
  return writer.take();
}

export function decodeTimer(value: Uint8Array): Timer {
  const reader = new ByteReader(value);
  let target: Peer = { code: reader.u32(), id: readText(reader) };
  let sender: Peer = { code: reader.u32(), id: readText(reader) };
  const idHi = reader.u32() | 0;
  const idLo = reader.u32() | 0;
  const flags = reader.u8();
  const token = (flags & hasToken) === 0 ? undefined : readText(reader);
  if ((flags & hasTargetType) !== 0) target = { ...target, dynamicType: readText(reader) };
  if ((flags & hasSenderType) !== 0) sender = { ...sender, dynamicType: readText(reader) };
  return { target, sender, token, idHi, idLo, payload: reader.view(reader.remaining) };
}

function writeSender(into: Uint8Array, code: number, id: string): void {
  into[0] = kind.sent;
  const view = new DataView(into.buffer);
  view.setUint32(1, code);
  view.setUint32(5, hashId(id));
}

function writeOrder(into: Uint8Array, at: number, { due, generation, sequence }: TimerKey): void {
  const view = new DataView(into.buffer, into.byteOffset);
  view.setBigUint64(at, BigInt(due));
  view.setUint32(at + 8, generation);
  view.setBigUint64(at + 12, BigInt(sequence));
}

function readOrder(keyGroup: number, from: Uint8Array, at: number): TimerKey {
  const view = new DataView(from.buffer, from.byteOffset, from.length);
  return {
    keyGroup,
    due: Number(view.getBigUint64(at)),
    generation: view.getUint32(at + 8),
    sequence: Number(view.getBigUint64(at + 12)),
  };
}
