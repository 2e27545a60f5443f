/**
 * What one shard adds in one epoch: rows for its base, and output that leaves with the commit.
 *
 *     rows:     what a RowWriter writes (row-writer.ts)
 *     payload:  rows length u32 · rows · output          the bytes of the log's DELTA records, parts joined
 *
 * On the way to the coordinator the rows of cells are apart, with a handle for each: the coordinator then finds what it
 * has of a cell without looking at its key. Handles name cells of one shard while it runs and are never stored.
 */
import { ByteReader, ByteWriter } from "../base/bytes.js";
import { invariant } from "../base/invariant.js";
import type { ShardCounts } from "../shard/ports.js";

/** A shard's delta on its way to the coordinator. */
export interface Delta {
  readonly generation: number;
  readonly shard: number;
  readonly epoch: number;
  /** Rows of anything but cells. */
  readonly rows: Uint8Array;
  readonly cells: CellRows;
  readonly output: Uint8Array;
  /** Last gateway sequence consumed in this cut; undefined when none was since the last capture. */
  readonly gatewayConsumed: number | undefined;
  readonly counts: ShardCounts;
  /** Messages in flight in this cut, parked ones excepted. */
  readonly inFlight: number;
  /** Time the capture took on the shard's thread. */
  readonly workMs: number;
}

/** The rows of the cells of one delta: one for each. */
export interface CellRows {
  readonly rows: Uint8Array;
  /** By row: the handle of the cell, where its key is, and a hash that tells it from most others. */
  readonly places: Int32Array;
}

/** Numbers in `CellRows.places` for each row. */
export const placeWidth = 3;

export const noCells: CellRows = { rows: new Uint8Array(0), places: new Int32Array(0) };

/** No delta is larger: the overload cap comes first. */
export const deltaBytesMax = 2 ** 32;

/** Visits the places of the keys of a delta's rows in order; behind each key stands the length of the value. */
export function forEachRowPlace(rows: Uint8Array, visit: (keyFrom: number, keyTo: number) => void): void {
  invariant(rows.length < deltaBytesMax, "a delta is within its limit");
  let at = 0;
  while (at < rows.length) {
    const keyTo = at + 2 + (rows[at] | (rows[at + 1] << 8));
    visit(at + 2, keyTo);
    at = keyTo + 4 + Math.max(0, u32(rows, keyTo) - 1);
  }
  invariant(at === rows.length, "rows end where the delta ends");
}

/** The value whose length stands at a place: a view, undefined for a deletion. */
export function valueAt(rows: Uint8Array, at: number): Uint8Array | undefined {
  const length = u32(rows, at);
  return length === 0 ? undefined : rows.subarray(at + 4, at + 4 + length - 1);
}

/** True where the length that stands at a place is that of a deletion. */
export function deletesAt(rows: Uint8Array, at: number): boolean {
  return u32(rows, at) === 0;
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}

/** The payload of a delta's log records. */
export function joinDelta(rows: Uint8Array, cells: CellRows, output: Uint8Array): Uint8Array {
  const writer = new ByteWriter(4 + rows.length + cells.rows.length + output.length);
  writer.u32(rows.length + cells.rows.length);
  writer.bytes(rows);
  writer.bytes(cells.rows);
  writer.bytes(output);
  return writer.view();
}

/** The two sections of a payload, as views. */
export function splitDelta(payload: Uint8Array): { rows: Uint8Array; output: Uint8Array } {
  const reader = new ByteReader(payload, "HF_LOG_DAMAGED");
  const rows = reader.view(reader.u32());
  return { rows, output: reader.view(reader.remaining) };
}
