/**
 * The fields of messages, written and read with a position in a local variable or a field: this is done for every message
 * that leaves its shard, and a call per byte would cost more than the message. A text has the form of text.ts.
 */
import { HoldfastError } from "../base/errors.js";
import { readAscii } from "./ascii-strings.js";

const narrow = 0;
const wide = 1;
const float = new Float64Array(1);
const floatBytes = new Uint8Array(float.buffer);

/** All `put` functions write at `at`, in memory that was reserved, and return the end. */
export function putU32(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
  return at + 4;
}

export function putF64(bytes: Uint8Array, at: number, value: number): number {
  float[0] = value;
  for (let i = 0; i < 8; i++) bytes[at + i] = floatBytes[i];
  return at + 8;
}

export function putText(bytes: Uint8Array, at: number, text: string): number {
  const { length } = text;
  const start = at + 3;
  for (let i = 0; i < length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0xff) return putWideText(bytes, at, text);
    bytes[start + i] = unit;
  }
  bytes[at] = narrow;
  bytes[at + 1] = length;
  bytes[at + 2] = length >>> 8;
  return start + length;
}

export function putU16(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  return at + 2;
}

function putWideText(bytes: Uint8Array, at: number, text: string): number {
  const length = text.length * 2;
  bytes[at] = wide;
  bytes[at + 1] = length;
  bytes[at + 2] = length >>> 8;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    bytes[at + 3 + 2 * i] = unit;
    bytes[at + 4 + 2 * i] = unit >>> 8;
  }
  return at + 3 + length;
}

/** Reads fields one after the other. Owner: one thread; used for one message after the other. */
export class FieldReader {
  bytes: Uint8Array = new Uint8Array(0);
  /** On `bytes`. */
  view = new DataView(this.bytes.buffer);
  at = 0;
  end = 0;

  /** Begins with the `length` bytes at `offset`. */
  reset(bytes: Uint8Array, offset: number, length: number): void {
    if (offset + length > bytes.length) throw damaged(offset);
    if (bytes !== this.bytes) this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    this.bytes = bytes;
    this.at = offset;
    this.end = offset + length;
  }

  /** @throws `HF_STATE_DAMAGED` when more was read than there is. */
  check(): void {
    if (this.at > this.end) throw damaged(this.at);
  }

  u8(): number {
    return this.bytes[this.at++];
  }

  u16(): number {
    const { bytes, at } = this;
    this.at = at + 2;
    return bytes[at] | (bytes[at + 1] << 8);
  }

  i32(): number {
    const { bytes, at } = this;
    this.at = at + 4;
    return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
  }

  u32(): number {
    return this.i32() >>> 0;
  }

  f64(): number {
    for (let i = 0; i < 8; i++) floatBytes[i] = this.bytes[this.at + i];
    this.at += 8;
    return float[0];
  }

  text(): string {
    const { bytes } = this;
    const flag = bytes[this.at];
    const length = bytes[this.at + 1] | (bytes[this.at + 2] << 8);
    const at = this.at + 3;
    this.at = at + length;
    if (this.at > this.end || flag > wide) throw damaged(at);
    const ascii = flag === narrow ? readAscii(bytes, at, length) : undefined;
    if (ascii !== undefined) return ascii;
    return Buffer.from(bytes.buffer, bytes.byteOffset + at, length).toString(flag === narrow ? "latin1" : "utf16le");
  }
}

/** The error for bytes that are no message. */
export function damaged(at: number): HoldfastError {
  return new HoldfastError(
    "HF_STATE_DAMAGED",
    `damaged message at offset ${at}: restore the data directory from a copy`,
  );
}
