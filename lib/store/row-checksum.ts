/** The crc32 that goes with each row of a base: over its key, then its value. */
import { crc32 } from "node:zlib";

/** The call into zlib costs more than 64 bytes are worth. */
const shortBytesMax = 64;

const crcTable = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1;
  return crc;
});

/** The crc of a key, in `bytes` from `from` to `to`. */
export function keyChecksum(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let crc = -1;
  for (let index = from; index < to; index++) crc = crcTable[(crc ^ bytes[index]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** The crc of a row whose key has the crc `keyCrc`. */
export function rowChecksum(keyCrc: number, value: Uint8Array): number {
  if (value.length > shortBytesMax) return crc32(value, keyCrc);
  let crc = ~keyCrc;
  for (let index = 0; index < value.length; index++) crc = crcTable[(crc ^ value[index]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
