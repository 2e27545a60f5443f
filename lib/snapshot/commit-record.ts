/**
 * The payload of a COMMIT record: where the deltas of its epoch are, and how far the egress sinks had come.
 *
 *     count u16 · per delta record: shard u16 · part u16 · parts u16 · segment u32 · offset u32 · length u32 · crc u32
 *     count u16 · per egress: code u32 · epoch u64 · length u32 · position
 */
import { ByteReader, ByteWriter } from "../base/bytes.js";
import type { RecordPlace } from "../log/log-writer.js";

/** One DELTA record of a commit. */
export interface DeltaPlace extends RecordPlace {
  readonly shard: number;
  readonly part: number;
  readonly parts: number;
}

/** How far a sink has come; the position is encoded by the sink's side. */
export interface EncodedWatermark {
  readonly epoch: number;
  readonly position: Uint8Array;
}

/** Watermarks by egress code. */
export type Watermarks = ReadonlyMap<number, EncodedWatermark>;

export function encodeCommit(deltas: readonly DeltaPlace[], watermarks: Watermarks): Uint8Array {
  const writer = new ByteWriter(64 + deltas.length * 24);
  writer.u16(deltas.length);
  for (const place of deltas) {
    writer.u16(place.shard);
    writer.u16(place.part);
    writer.u16(place.parts);
    writer.u32(place.segment);
    writer.u32(place.offset);
    writer.u32(place.length);
    writer.u32(place.crc);
  }
  writer.u16(watermarks.size);
  for (const [code, { epoch, position }] of watermarks) {
    writer.u32(code);
    writer.u64(epoch);
    writer.u32(position.length);
    writer.bytes(position);
  }
  return writer.view();
}

export function decodeCommit(payload: Uint8Array): { deltas: DeltaPlace[]; watermarks: Watermarks } {
  const reader = new ByteReader(payload, "HF_LOG_DAMAGED");
  const deltas: DeltaPlace[] = [];
  for (let count = reader.u16(); count > 0; count--) {
    deltas.push({
      shard: reader.u16(),
      part: reader.u16(),
      parts: reader.u16(),
      segment: reader.u32(),
      offset: reader.u32(),
      length: reader.u32(),
      crc: reader.u32(),
    });
  }
  const watermarks = new Map<number, EncodedWatermark>();
  for (let count = reader.u16(); count > 0; count--) {
    const code = reader.u32();
    const epoch = reader.u64();
    watermarks.set(code, { epoch, position: new Uint8Array(reader.view(reader.u32())) });
  }
  reader.finish();
  return { deltas, watermarks };
}
