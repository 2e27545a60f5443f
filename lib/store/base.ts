/**
 * The port to a base: one shard's committed rows. The storage thread writes it, the shard reads it.
 *
 * Rows are bytes to bytes; the meaning of a key is in row-key.ts. Keys are ordered bytewise.
 */

/** A row to put, or, with `value` undefined, to delete. */
export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array | undefined;
}

/** The writing side. Thread: the storage thread's. */
export interface BaseWriter {
  /** The epoch up to which every committed delta is in this base, as last applied; 0 when new. */
  readonly epoch: number;
  /**
   * Applies rows in one transaction, and with it the epoch row when `epoch` is given (the last slice of a merge).
   * Visible to readers at once; durable after `sync`. Applying the same rows again changes nothing.
   */
  apply(rows: readonly Row[], epoch?: number): void;
  /** Makes everything applied durable. */
  sync(): void;
  /** Rows with `from <= key < to` in key order. Keys and values belong to the caller. */
  scan(from: Uint8Array, to: Uint8Array): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array }>;
  close(): void;
}

/** The reading side. Thread: the shard's. */
export interface BaseReader {
  /** Moves to the newest committed view; `get`, `scan` and `epoch` read from it until the next call. */
  refresh(): void;
  /** The base's epoch row, read in the current view. */
  epoch(): number;
  /** The value belongs to the caller. */
  get(key: Uint8Array): Uint8Array | undefined;
  /** Rows with `from <= key < to` in key order, materialised, at most `limit`. */
  scan(from: Uint8Array, to: Uint8Array, limit?: number): { readonly key: Uint8Array; readonly value: Uint8Array }[];
  close(): void;
}
