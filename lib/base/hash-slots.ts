/**
 * Slots of a hash table with open addressing, a power of two of them. A slot holds the number of an entry + 1, 0 is empty;
 * the hash of each entry stands at its number. Between the home slot of an entry, the lower bits of its hash, and its own
 * none is empty.
 */

/** Gives an entry the first empty slot from its home on. */
export function fillSlot(slots: Int32Array, hashes: Int32Array, number: number): void {
  const mask = slots.length - 1;
  let slot = hashes[number] & mask;
  while (slots[slot] !== 0) slot = (slot + 1) & mask;
  slots[slot] = number + 1;
}

/** Empties a slot; what stood behind it because of it moves up. */
export function emptySlot(slots: Int32Array, hashes: Int32Array, slot: number): void {
  const mask = slots.length - 1;
  let gap = slot;
  for (let next = (gap + 1) & mask; slots[next] !== 0; next = (next + 1) & mask) {
    const home = hashes[slots[next] - 1] & mask;
    if (((next - home) & mask) < ((next - gap) & mask)) continue; // it would be before its home
    slots[gap] = slots[next];
    gap = next;
  }
  slots[gap] = 0;
}
