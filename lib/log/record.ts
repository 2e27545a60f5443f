/**
 * The bytes of one log record. Little-endian; every record starts at a multiple of 8 and is zero-padded to one.
 *
 *     0 length u32   header and payload, without padding; 0 = nothing was written here
 *     4 crc u32      over bytes 8..length, seeded with generation, segment, offset and length
 *     8 magic u8     9 type u8     10 shard u16    12 part u16    14 parts u16
 *    16 generation u32             20 flags u32
 *    24 epoch u64                  32 durable u64
 *    40 payload
 *
 * R1. The seed ties a record to its place: bytes that a recycled segment still holds were written under another
 *     segment number, which gives another seed for the same offset, and so never verify.
 * R2. Padding is zero and verified, so no byte of a record is unprotected.
 */
import { crc32 } from "node:zlib";
import { invariant } from "../base/invariant.js";
import { logRecordBytesMax } from "../base/limits.js";

/** What a record is. */
export const recordType = {
  /** Part of what one shard adds in one epoch. */
  delta: 1,
  /** The epoch is complete: lists its deltas. */
  commit: 2,
  /** The first record of a generation that went on from an older one. */
  recovery: 3,
  /** The last record of a segment: the payload names the next one. */
  seal: 4,
  /** Carries only `durable`, when nothing else does. */
  synced: 5,
} as const;
export type RecordType = (typeof recordType)[keyof typeof recordType];

/** What the writer says about a record. */
export interface RecordHeader {
  readonly type: RecordType;
  readonly shard: number;
  /** Which part of how many, from 0. */
  readonly part: number;
  readonly parts: number;
  readonly generation: number;
  readonly flags: number;
  readonly epoch: number;
  /** The largest epoch known durable when this was written. */
  readonly durable: number;
}

/** A header as read, with what the encoding added. */
export interface StoredHeader extends RecordHeader {
  /** Header and payload, without padding. */
  readonly length: number;
  readonly crc: number;
}

export const recordHeaderBytes = 40;
export const recordAlignment = 8;
const magic = 0xe9;
const typeMax = 5;
const twoTo32 = 2 ** 32;

/** Bytes that a record of so many payload bytes takes in a segment. */
export function recordBytes(payloadBytes: number): number {
  return alignRecord(recordHeaderBytes + payloadBytes);
}

/** The next multiple of 8. */
export function alignRecord(bytes: number): number {
  return (bytes + (recordAlignment - 1)) & -recordAlignment;
}

/**
 * Writes a record at `at` of `into`, for the place `offset` of `segment`.
 *
 * @returns the checksum, which a commit record repeats.
 */
export function encodeRecord(
  into: Uint8Array,
  at: number,
  header: RecordHeader,
  payload: Uint8Array,
  segment: number,
  offset: number,
): number {
  const length = recordHeaderBytes + payload.length;
  const end = at + alignRecord(length);
  invariant(headerFits(header), "a record's header fits its fields");
  invariant(payload.length <= logRecordBytesMax, "a record's payload is within its limit");
  invariant(at % recordAlignment === 0 && offset % recordAlignment === 0, "a record is aligned");
  invariant(end <= into.length, "a record fits its buffer");
  const view = new DataView(into.buffer, into.byteOffset + at, recordHeaderBytes);
  view.setUint32(0, length, true);
  view.setUint8(8, magic);
  view.setUint8(9, header.type);
  view.setUint16(10, header.shard, true);
  view.setUint16(12, header.part, true);
  view.setUint16(14, header.parts, true);
  view.setUint32(16, header.generation, true);
  view.setUint32(20, header.flags, true);
  setUint53(view, 24, header.epoch);
  setUint53(view, 32, header.durable);
  into.set(payload, at + recordHeaderBytes);
  into.fill(0, at + length, end); // R2
  const crc = crc32(into.subarray(at + 8, at + length), seedOf(header.generation, segment, offset, length));
  view.setUint32(4, crc, true);
  return crc;
}

/** A cheap first look for a search: false when no record can start at `at`. */
export function mayBeRecord(from: Uint8Array, at: number): boolean {
  return from[at + 8] === magic;
}

/** The header at `at`, or undefined when the bytes there cannot be one. Says nothing about their truth. */
export function readRecordHeader(from: Uint8Array, at: number): StoredHeader | undefined {
  if (at + recordHeaderBytes > from.length || !mayBeRecord(from, at)) return undefined;
  const type = from[at + 9]!;
  if (type === 0 || type > typeMax) return undefined;
  const view = new DataView(from.buffer, from.byteOffset + at, recordHeaderBytes);
  const length = view.getUint32(0, true);
  if (length < recordHeaderBytes || length > recordHeaderBytes + logRecordBytesMax) return undefined;
  if (at + alignRecord(length) > from.length) return undefined;
  return {
    type: type as RecordType,
    shard: view.getUint16(10, true),
    part: view.getUint16(12, true),
    parts: view.getUint16(14, true),
    generation: view.getUint32(16, true),
    flags: view.getUint32(20, true),
    epoch: getUint53(view, 24),
    durable: getUint53(view, 32),
    length,
    crc: view.getUint32(4, true),
  };
}

/** True when the bytes at `at` are the record that was written for this place. */
export function verifyRecord(
  from: Uint8Array,
  at: number,
  header: StoredHeader,
  segment: number,
  offset: number,
): boolean {
  const { length } = header;
  const end = at + alignRecord(length);
  if (end > from.length) return false;
  for (let index = at + length; index < end; index++) if (from[index] !== 0) return false; // R2
  const seed = seedOf(header.generation, segment, offset, length);
  return crc32(from.subarray(at + 8, at + length), seed) === header.crc && headerFits(header);
}

/** The payload of a SEAL record. */
export function encodeSeal(nextSegment: number): Uint8Array {
  const payload = new Uint8Array(8);
  setUint53(new DataView(payload.buffer), 0, nextSegment);
  return payload;
}

/** The segment that a SEAL record names. */
export function decodeSeal(payload: Uint8Array): number {
  invariant(payload.length === 8, "a seal names one segment");
  return getUint53(new DataView(payload.buffer, payload.byteOffset, 8), 0);
}

/** Bytes of a SEAL record. */
export const sealBytes = recordBytes(8);

/** The writing end refuses what the reading end would not believe. */
function headerFits(header: RecordHeader): boolean {
  return (
    header.type >= 1 &&
    header.type <= typeMax &&
    isUint(header.shard, 0xffff) &&
    isUint(header.parts, 0xffff) &&
    isUint(header.part, header.parts - 1) &&
    isUint(header.generation, twoTo32 - 1) &&
    isUint(header.flags, twoTo32 - 1) &&
    isUint(header.epoch, Number.MAX_SAFE_INTEGER) &&
    isUint(header.durable, Number.MAX_SAFE_INTEGER)
  );
}

function isUint(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 0 && value <= max;
}

/** R1: one-to-one in the low half of the segment number when all else is equal. */
function seedOf(generation: number, segment: number, offset: number, length: number): number {
  const place = mix(Math.imul(offset, 0x9e3779b1) ^ mix(generation) ^ Math.imul(length, 0x85ebca77));
  return mix((segment >>> 0) ^ place ^ Math.floor(segment / twoTo32)) >>> 0;
}

function mix(value: number): number {
  let h = value ^ (value >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

function setUint53(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / twoTo32), true);
}

function getUint53(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * twoTo32 + view.getUint32(at, true);
}
