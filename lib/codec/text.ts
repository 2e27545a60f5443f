/**
 * Any JavaScript string as bytes and back, lone surrogates included; different strings never give equal bytes.
 *
 *     flag u8: 0 = one byte per code unit (all are <= 0xFF), 1 = UTF-16LE
 *
 * The writer always takes flag 0 when it can, and the reader relies on nothing else, so the form is canonical.
 */
import type { ByteReader, ByteWriter } from "../base/bytes.js";
import { HoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";

const narrow = 0;
const wide = 1;

/** Writes flag, byte length (u16) and bytes. */
export function writeText(writer: ByteWriter, text: string): void {
  const head = writer.reserve(3);
  const flag = writeUnits(writer, text);
  const length = writer.length - head - 3;
  invariant(length <= 0xffff, "text fits its u16 length");
  writer.patchU8(head, flag);
  writer.patchU16(head + 1, length);
}

/** Reads what `writeText` wrote. */
export function readText(reader: ByteReader): string {
  const flag = reader.u8();
  return readUnits(reader, flag, reader.u16());
}

function writeUnits(writer: ByteWriter, text: string): number {
  if (writer.latin1(text)) return narrow;
  writer.utf16(text);
  return wide;
}

function readUnits(reader: ByteReader, flag: number, length: number): string {
  if (flag === narrow) return reader.latin1(length);
  if (flag === wide) return reader.utf16(length);
  throw new HoldfastError(
    "HF_STATE_DAMAGED",
    `damaged bytes: text flag ${flag}; restore the data directory from a copy`,
  );
}
