/** What recovery hands to a shard, packed into one transferable buffer for its way to another thread. */
import { ByteReader, ByteWriter } from "../base/bytes.js";
import { readText, writeText } from "../codec/text.js";
import type { RestoredMessage, RestoredShard } from "../shard/ports.js";
import { keyText } from "../shard/rows.js";
import { forEachRow, RowWriter, rowHeaderBytes } from "../store/row-writer.js";

export function packRestored(restored: RestoredShard): Uint8Array<ArrayBuffer> {
  const writer = new ByteWriter(4096 + overlayBytes(restored)); // growing it would copy all again and again
  writer.f64(restored.gatewayConsumed);
  writer.u32(restored.orphans);
  writer.u32(restored.messages.length);
  for (const message of restored.messages) {
    writer.u8(message.rowed ? 1 : 0);
    writer.u32(message.generation);
    writer.u16(message.sender);
    writer.u64(message.sequence);
    writer.u32(message.body.length);
    writer.bytes(message.body);
  }
  writer.u32(restored.tombstones.length);
  for (const key of restored.tombstones) {
    writer.u16(key.length);
    writer.bytes(key);
  }
  writer.u32(restored.positions.size);
  for (const [name, { bytes, rowed }] of restored.positions) {
    writeText(writer, name);
    writer.u8(rowed ? 1 : 0);
    writer.u32(bytes.length);
    writer.bytes(bytes);
  }
  const rows = new RowWriter(writer);
  for (const [key, value] of restored.overlay) {
    const bytes = Buffer.from(key, "latin1");
    if (value === null) rows.delete(bytes);
    else rows.put(bytes, value);
  }
  return writer.take();
}

function overlayBytes({ overlay }: RestoredShard): number {
  let bytes = 0;
  for (const [key, value] of overlay) bytes += rowHeaderBytes + key.length + (value?.length ?? 0);
  return bytes;
}

export function unpackRestored(packed: Uint8Array): RestoredShard {
  const reader = new ByteReader(packed);
  const gatewayConsumed = reader.f64();
  const orphans = reader.u32();
  const messages: RestoredMessage[] = [];
  for (let count = reader.u32(); count > 0; count--) {
    messages.push({
      rowed: reader.u8() === 1,
      generation: reader.u32(),
      sender: reader.u16(),
      sequence: reader.u64(),
      body: reader.view(reader.u32()),
    });
  }
  const tombstones: Uint8Array[] = [];
  for (let count = reader.u32(); count > 0; count--) tombstones.push(reader.view(reader.u16()));
  const positions = new Map<string, { bytes: Uint8Array; rowed: boolean }>();
  for (let count = reader.u32(); count > 0; count--) {
    const name = readText(reader);
    const rowed = reader.u8() === 1;
    positions.set(name, { rowed, bytes: reader.view(reader.u32()) });
  }
  const overlay = new Map<string, Uint8Array | null>();
  forEachRow(reader.view(reader.remaining), (key, value) => overlay.set(keyText(key), value ?? null));
  return { gatewayConsumed, orphans, messages, tombstones, positions, overlay };
}
