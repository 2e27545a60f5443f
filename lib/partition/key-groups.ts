/** From an id to its key group, and from key groups to shards: contiguous ranges that differ in size by at most one. */
import { invariant } from "../base/invariant.js";
import { hashId32 } from "./hash.js";

/** Key groups `first <= g < end`. */
export interface KeyGroupRange {
  readonly first: number;
  readonly end: number;
}

/** The key group of an id, for ever. */
export function keyGroupOf(id: string, keyGroups: number): number {
  return keyGroupOfHash(hashId32(id), keyGroups);
}

/**
 * The key group of an id with this signed hash: the unsigned hash modulo the number of groups, in steps that stay small
 * integers. The operator on an unsigned number is a division of doubles, 25 ns of a turn's 240.
 */
export function keyGroupOfHash(hash: number, keyGroups: number): number {
  if ((keyGroups & (keyGroups - 1)) === 0) return hash & (keyGroups - 1);
  return ((((hash >>> 1) % keyGroups) << 1) + (hash & 1)) % keyGroups;
}

/** The shard that owns a key group. */
export function shardOfKeyGroup(keyGroup: number, keyGroups: number, shards: number): number {
  invariant(keyGroup >= 0 && keyGroup < keyGroups, "key group in range");
  return Math.floor((keyGroup * shards) / keyGroups);
}

/** The key groups that a shard owns; empty when there are more shards than key groups and this one got none. */
export function keyGroupRange(shard: number, keyGroups: number, shards: number): KeyGroupRange {
  invariant(shard >= 0 && shard < shards, "shard in range");
  return { first: Math.ceil((shard * keyGroups) / shards), end: Math.ceil(((shard + 1) * keyGroups) / shards) };
}
