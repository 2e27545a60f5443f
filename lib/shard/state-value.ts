/**
 * The value of a row of state, of whatever kind:
 *
 *     flags u8 │ [expiry f64] │ [length u32 │ key of the entry, when the row's key has it cut] │ payload
 *     flags u8 │ [expiry f64] │ count f64                                     the head of a table, list or registered value
 *
 * Flags: 1 has an expiry, 2 has the whole key, and from 16 on what it is the head of. Plain values have none. An expiry is
 * in milliseconds since 1970; the row is nothing from then on.
 */
import { ByteReader, ByteWriter } from "../base/bytes.js";
import { HoldfastError } from "../base/errors.js";
import type { PayloadCodec } from "../codec/payload-codec.js";
import type { StateSpec } from "../model/state.js";

const expiryFlag = 1;
const wholeKeyFlag = 2;
const kindShift = 4;
const payloadFlags = expiryFlag | wholeKeyFlag;
const kinds: readonly (StateSpec["kind"] | undefined)[] = [undefined, "table", "list", "value"];

/** Stands for "never" where an expiry is a number. */
export const NEVER = Number.POSITIVE_INFINITY;

/** What the head of a state says. */
export interface Head {
  readonly kind: StateSpec["kind"];
  /** Rows of the state, those that have expired and are still there included. */
  readonly count: number;
  readonly expiry: number;
}

/** Writes a value that does not expire. */
export function writeStateValue(writer: ByteWriter, codec: PayloadCodec, value: unknown): void {
  writer.u8(0);
  codec.write(value, writer);
}

/** The bytes of a value; they belong to the caller. @throws `HF_TOO_LARGE` */
export function encodeStateValue(
  codec: PayloadCodec,
  value: unknown,
  expiry: number,
  wholeKey?: Uint8Array,
): Uint8Array {
  const writer = new ByteWriter(64);
  writer.u8((expiry === NEVER ? 0 : expiryFlag) | (wholeKey === undefined ? 0 : wholeKeyFlag));
  if (expiry !== NEVER) writer.f64(expiry);
  if (wholeKey !== undefined) {
    writer.u32(wholeKey.length);
    writer.bytes(wholeKey);
  }
  codec.write(value, writer);
  return writer.take();
}

/** The value in a row, expired or not. @throws `HF_FORMAT` for a kind that a later version wrote. */
export function decodeStateValue(codec: PayloadCodec, bytes: Uint8Array): unknown {
  return codec.read(bytes, payloadAt(bytes), bytes.length);
}

/** When a row expires; `NEVER` if it does not. */
export function expiryOf(bytes: Uint8Array): number {
  return (bytes[0] & expiryFlag) === 0 ? NEVER : new ByteReader(bytes.subarray(1)).f64();
}

/** A row with another expiry. */
export function withExpiry(bytes: Uint8Array, expiry: number): Uint8Array {
  const writer = new ByteWriter(bytes.length + 8);
  writer.u8((bytes[0] & ~expiryFlag) | (expiry === NEVER ? 0 : expiryFlag));
  if (expiry !== NEVER) writer.f64(expiry);
  writer.bytes(bytes, (bytes[0] & expiryFlag) === 0 ? 1 : 9);
  return writer.take();
}

/** The whole key of an entry whose row has it cut. */
export function wholeKeyOf(bytes: Uint8Array): Uint8Array | undefined {
  if ((bytes[0] & wholeKeyFlag) === 0) return undefined;
  const reader = new ByteReader(bytes.subarray((bytes[0] & expiryFlag) === 0 ? 1 : 9));
  return reader.view(reader.u32());
}

export function encodeHead({ kind, count, expiry }: Head): Uint8Array {
  const writer = new ByteWriter(17);
  writer.u8((kinds.indexOf(kind) << kindShift) | (expiry === NEVER ? 0 : expiryFlag));
  if (expiry !== NEVER) writer.f64(expiry);
  writer.f64(count);
  return writer.take();
}

export function decodeHead(bytes: Uint8Array): Head {
  const kind = kinds[bytes[0] >>> kindShift];
  if (kind === undefined) throw newer(bytes[0]);
  const reader = new ByteReader(bytes.subarray((bytes[0] & expiryFlag) === 0 ? 1 : 9));
  return { kind, expiry: expiryOf(bytes), count: reader.f64() };
}

function payloadAt(bytes: Uint8Array): number {
  const [flags] = bytes;
  if ((flags & ~payloadFlags) !== 0) throw newer(flags);
  const at = (flags & expiryFlag) === 0 ? 1 : 9;
  return (flags & wholeKeyFlag) === 0 ? at : at + 4 + (wholeKeyOf(bytes) as Uint8Array).length;
}

function newer(kind: number | undefined): HoldfastError {
  return new HoldfastError(
    "HF_FORMAT",
    `a state row of kind ${kind} was written by a newer version of holdfast: upgrade`,
  );
}
