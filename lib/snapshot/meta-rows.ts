/** A shard's META rows: positions of its splits, and what it has consumed of the gateway's session. */
import { createHash } from "node:crypto";
import { ByteReader, ByteWriter } from "../base/bytes.js";
import { readText, writeText } from "../codec/text.js";
import { metaKey } from "../store/row-key.js";

const splitPrefix = "split/";
const gatewayName = "gateway";

interface MetaRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A META row, decoded. */
export type Meta =
  | { readonly kind: "position"; readonly split: string; readonly bytes: Uint8Array }
  | { readonly kind: "gateway"; readonly session: number; readonly consumed: number }
  | { readonly kind: "other" };

/** The row of a split's position: the key holds a hash of the name (names may be long), the value the name. */
export function positionRow(split: string, bytes: Uint8Array): MetaRow {
  const writer = new ByteWriter();
  writeText(writer, split);
  writer.bytes(bytes);
  return { key: positionKey(split), value: writer.take() };
}

export function positionKey(split: string): Uint8Array {
  return metaKey(splitPrefix + createHash("sha256").update(split, "utf16le").digest("hex").slice(0, 32));
}

export function gatewayRow(session: number, consumed: number): MetaRow {
  const writer = new ByteWriter();
  writer.u32(session);
  writer.f64(consumed);
  return { key: metaKey(gatewayName), value: writer.take() };
}

/** Decodes the value of the META row of this name. */
export function decodeMeta(name: string, value: Uint8Array): Meta {
  const reader = new ByteReader(value);
  if (name === gatewayName) return { kind: "gateway", session: reader.u32(), consumed: reader.f64() };
  if (!name.startsWith(splitPrefix)) return { kind: "other" };
  const split = readText(reader);
  return { kind: "position", split, bytes: new Uint8Array(reader.view(reader.remaining)) };
}
