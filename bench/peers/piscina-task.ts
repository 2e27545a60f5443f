/** The task of the `piscina` peer: counts, and says how much. */
import type { Hop } from "./peer.js";

const counters = new Map<string, number>();

export default function count({ userId, amount }: Hop): number {
  counters.set(userId, (counters.get(userId) ?? 0) + amount);
  return amount;
}
