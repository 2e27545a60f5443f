/**
 * Strings made from ASCII bytes, remembered: the ids and short texts of messages come again and again, and a string that
 * is found needs no decoding and carries its hash for the next map look-up.
 *
 * Owner: one thread. A direct-mapped cache: a slot holds the last string with its hash.
 */
const slots = 16_384;
const slotMask = slots - 1;
/** Longer strings are decoded by the runtime and not remembered. */
const rememberedMax = 40;

const remembered: string[] = new Array(slots).fill("");

/** The string of `length` bytes, or undefined when one of them is not ASCII. */
export function readAscii(bytes: Uint8Array, at: number, length: number): string | undefined {
  if (length > rememberedMax) return readLong(bytes, at, length);
  const end = at + length;
  let hash = length;
  let all = 0;
  for (let i = at; i < end; i++) {
    const byte = bytes[i];
    all |= byte;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  if (all > 0x7f) return undefined;
  const slot = (hash ^ (hash >>> 14)) & slotMask;
  const known = remembered[slot];
  if (known.length === length && sameAscii(known, bytes, at)) return known;
  return (remembered[slot] = fromBytes(bytes, at, end));
}

function sameAscii(text: string, bytes: Uint8Array, at: number): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== bytes[at + i]) return false;
  return true;
}

function readLong(bytes: Uint8Array, at: number, length: number): string | undefined {
  for (let i = at; i < at + length; i++) if (bytes[i] > 0x7f) return undefined;
  return fromBytes(bytes, at, at + length);
}

function fromBytes(bytes: Uint8Array, at: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString("latin1");
}
