/**
 * How many bytes the codec makes of plain data, without making them. Kept equal to payload-codec.ts by a fuzzer.
 *
 * What a turn sends and stores is encoded later, when a capture or a ring needs it: by then nobody could refuse it.
 */

/** Up to here the library encodes text by hand, which keeps everything; above it uses TextEncoder and TextDecoder. */
export const textKeptUnits = 50;

const markBytes = 3;
const dateBytes = 10;
const emptyExtensionBytes = 3;

/** The bytes that `PayloadCodec.encode` makes of a value that is plain data. */
export function encodedBytes(value: unknown): number {
  switch (typeof value) {
    case "number":
      return numberBytes(value);
    case "string":
      return textBytes(value);
    case "boolean":
      return 1;
    case "undefined":
      return emptyExtensionBytes;
    case "bigint":
      return extensionBytes(1 + ((value < 0n ? -value : value).toString(16).length + 1) / 2);
    default:
      return value === null ? 1 : objectBytes(value as object);
  }
}

function objectBytes(value: object): number {
  if (Array.isArray(value)) return arrayBytes(value.length, value);
  if (value instanceof Map) return arrayBytes(1 + 2 * value.size, [...value.keys()], value.values()) + markBytes;
  if (value instanceof Set) return arrayBytes(1 + value.size, value) + markBytes;
  if (value instanceof Date) return dateBytes;
  if (ArrayBuffer.isView(value)) return extensionBytes(value.byteLength);
  return recordBytes(value as Record<string, unknown>);
}

function arrayBytes(length: number, ...parts: Iterable<unknown>[]): number {
  let bytes = headBytes(length);
  for (const each of parts) for (const part of each) bytes += encodedBytes(part);
  return bytes;
}

function recordBytes(record: Record<string, unknown>): number {
  const keys = Object.keys(record);
  let bytes = 0;
  for (const key of keys) bytes += textBytes(key) + encodedBytes(record[key]);
  const isNative = Object.getPrototypeOf(record) !== null && keys.every(isNativeKey);
  return bytes + (isNative ? headBytes(keys.length) : headBytes(1 + 2 * keys.length) + markBytes);
}

function isNativeKey(key: string): boolean {
  return key !== "__proto__" && isNativeText(key);
}

function isNativeText(text: string): boolean {
  if (text.length <= textKeptUnits) return true;
  return text.charCodeAt(0) !== 0xfeff && (text as string & { isWellFormed(): boolean }).isWellFormed();
}

function textBytes(text: string): number {
  if (!isNativeText(text)) return extensionBytes(2 * text.length);
  const bytes = Buffer.byteLength(text);
  return bytes + (bytes < 32 ? 1 : bytes < 0x100 ? 2 : bytes < 0x1_0000 ? 3 : 5);
}

/** Of arrays and records. */
function headBytes(count: number): number {
  return count < 16 ? 1 : count < 0x1_0000 ? 3 : 5;
}

function extensionBytes(count: number): number {
  const bytes = Math.floor(count);
  if (bytes === 1 || bytes === 2 || bytes === 4 || bytes === 8 || bytes === 16) return 2 + bytes;
  return bytes + (bytes < 0x100 ? 3 : bytes < 0x1_0000 ? 4 : 6);
}

function numberBytes(value: number): number {
  if (!Number.isSafeInteger(value)) return 9;
  if (Object.is(value, -0)) return emptyExtensionBytes;
  if (value >= 0) return value < 0x80 ? 1 : value < 0x100 ? 2 : value < 0x1_0000 ? 3 : value <= 0xffff_ffff ? 5 : 9;
  return value >= -0x20 ? 1 : value >= -0x80 ? 2 : value >= -0x8000 ? 3 : value >= -0x8000_0000 ? 5 : 9;
}
