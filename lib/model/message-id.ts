/**
 * Message ids: hash(parent id, send index), so that a turn that runs again sends messages with the same ids. 64 bits of
 * lineage as two lanes of 32 bits, signed so that they are small integers to the engine; `ctx.messageId` adds 32 bits of the target's address.
 */

/** The low lane of the id of the `index`-th message sent by a message with low lane `lo`. */
export function childLo(lo: number, index: number): number {
  return mix32(lo ^ Math.imul(index + 1, 0x9e3779b1));
}

/** The high lane, from the parent's high lane and the child's low lane. For a fixed index the pair is a bijection. */
export function childHi(hi: number, childLow: number, index: number): number {
  return mix32((hi + Math.imul(childLow, 0x85ebca6b) + index) | 0);
}

/** `ctx.messageId`: 24 hexadecimal digits. */
export function formatMessageId(hi: number, lo: number, addressHash: number): string {
  return hex(hi) + hex(lo) + hex(addressHash);
}

/** murmur3's finalizer. */
function mix32(value: number): number {
  let x = value;
  x ^= x >>> 16;
  x = Math.imul(x, 0x85ebca6b);
  x ^= x >>> 13;
  x = Math.imul(x, 0xc2b2ae35);
  x ^= x >>> 16;
  return x | 0;
}

function hex(word: number): string {
  return (word >>> 0).toString(16).padStart(8, "0");
}
