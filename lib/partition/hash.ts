/**
 * The hash of ids. Frozen: it decides which key group, and with it which rows, an id has, and every data directory
 * records its name. A change needs a new name and a migration.
 */

/** The name that data directories record. */
export const hashName = "fnv1a-utf16-fmix32";

const fnvOffset = 0x811c9dc5;
const fnvPrime = 0x01000193;

/** u32 hash of an id: `hashId32` as an unsigned number. */
export function hashId(id: string): number {
  return hashId32(id) >>> 0;
}

/**
 * The hash of an id as a signed 32-bit number, which the engine keeps: half of the unsigned ones are no small integers.
 * FNV-1a over whole UTF-16 code units (each unit is xored in at once, not byte by byte), then murmur3's fmix32, because
 * FNV alone leaves the low bits of similar ids alike.
 */
export function hashId32(id: string): number {
  let h = fnvOffset | 0;
  for (let i = 0; i < id.length; i++) h = Math.imul(h ^ id.charCodeAt(i), fnvPrime);
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}

/** u32 code of a type or state name: the same function. Codes may collide; whoever registers names must check. */
export function hashName32(name: string): number {
  return hashId(name);
}
