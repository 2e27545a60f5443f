/**
 * Rows on their way to a base, put or deleted, as bytes:
 *
 *     key length u16 · key · value length + 1 u32 (0: delete) · value, repeated
 */
import { ByteReader, ByteWriter } from "../base/bytes.js";

/** What a row takes besides the bytes of its key and value: its two lengths. */
export const rowHeaderBytes = 2 + 4;

/** Writes rows. */
export class RowWriter {
  readonly #writer: ByteWriter;
  #keyAt = 0;
  #valueAt = 0;

  /** Appends to what `writer` holds, or begins anew. */
  constructor(writer = new ByteWriter(4096)) {
    this.#writer = writer;
  }

  get length(): number {
    return this.#writer.length;
  }

  delete(key: Uint8Array, offset = 0, length = key.length): void {
    this.#writer.u16(length);
    this.#writer.bytes(key, offset, length);
    this.#writer.u32(0);
  }

  put(key: Uint8Array, value: Uint8Array): void {
    this.beginKey().bytes(key);
    this.endKey().bytes(value);
    this.endValue();
  }

  /** Begins a row; the key's bytes are written to the writer returned. */
  beginKey(): ByteWriter {
    this.#keyAt = this.#writer.reserve(2);
    return this.#writer;
  }

  /** Ends the key; the value's bytes are written to the writer returned. */
  endKey(): ByteWriter {
    this.#writer.patchU16(this.#keyAt, this.#writer.length - this.#keyAt - 2);
    this.#valueAt = this.#writer.reserve(4);
    return this.#writer;
  }

  endValue(): void {
    this.#writer.patchU32(this.#valueAt, this.#writer.length - this.#valueAt - 4 + 1);
  }

  /** Ends the row as a deletion instead of `endValue`, with nothing written since `endKey`. */
  endDelete(): void {
    this.#writer.patchU32(this.#valueAt, 0);
  }

  /** Appends rows that another writer wrote. */
  rows(rows: Uint8Array): void {
    this.#writer.bytes(rows);
  }

  /** The rows, on an ArrayBuffer of their own; the writer is then empty. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#writer.take();
  }
}

/** Visits rows in order; key and value are views, `undefined` deletes. */
export function forEachRow(rows: Uint8Array, visit: (key: Uint8Array, value: Uint8Array | undefined) => void): void {
  const reader = new ByteReader(rows, "HF_LOG_DAMAGED");
  while (reader.remaining > 0) {
    const key = reader.view(reader.u16());
    const length = reader.u32();
    visit(key, length === 0 ? undefined : reader.view(length - 1));
  }
}
