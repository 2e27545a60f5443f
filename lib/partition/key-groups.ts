/** From an id to its key group, and from key groups to shards: contiguous ranges that differ in size by at most one. */
import { invariant } from "../base/invariant.js";
import { hashId } from "./hash.js";

/** Key groups `first <= g < end`. */
export interface KeyGroupRange {
  readonly first: number;
  readonly end: number;
}

/** The key group of an id, for ever. */
export function keyGroupOf(id: string, keyGroups: number): number {
  return hashId(id) % keyGroups;
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
