/** What main hands to its threads, and what they tell each other over ports. */
import type { MessagePort } from "node:worker_threads";
import type { WireError } from "../base/errors.js";
import type { ShardLimits, Suspect, TaskInput } from "../shard/ports.js";
import type { CommitNotice } from "../snapshot/coordinator.js";
import type { Delta } from "../snapshot/delta.js";

/** Worker data of a shard thread. It loads while the data directory is recovered, and knows nothing of that yet. */
export interface ShardThreadData {
  readonly index: number;
  readonly gates: SharedArrayBuffer;
  readonly mainPort: MessagePort;
  readonly controlPort: MessagePort;
  /** To the pool of offloaded tasks. */
  readonly offloadPort: MessagePort;
}

/** What a shard thread is given when its generation begins, the only one it sees. */
export interface ShardGeneration {
  readonly moduleUrl: string;
  readonly shards: number;
  readonly keyGroups: number;
  readonly generation: number;
  readonly session: number;
  readonly epoch: number;
  readonly splits: readonly { readonly ingress: string; readonly split: string }[];
  readonly limits: ShardLimits;
  readonly suspects: readonly Suspect[] | undefined;
  readonly notesDirectory: string;
  readonly basePath: string;
  /** recovery's part for this shard, packed */
  readonly restored: Uint8Array;
  readonly control: SharedArrayBuffer;
  /** Rings by other shard; undefined at the own index. */
  readonly outboundRings: readonly (SharedArrayBuffer | undefined)[];
  readonly inboundRings: readonly (SharedArrayBuffer | undefined)[];
  readonly gatewayRing: SharedArrayBuffer;
  /** Ports to the other shards; like those to storage and main they ring in both directions. */
  readonly shardPorts: readonly (MessagePort | undefined)[];
  readonly storagePort: MessagePort;
}

/** Worker data of the storage thread. */
export interface StorageThreadData {
  readonly gates: SharedArrayBuffer;
  readonly controlPort: MessagePort;
  readonly mainPort: MessagePort;
}

/** Ports of the storage thread for one generation. */
export interface StorageGenerationPorts {
  readonly control: SharedArrayBuffer;
  readonly shards: number;
  /** By shard: deltas and rings come in, rings go out. */
  readonly shardPorts: readonly MessagePort[];
}

/** Shard → storage. A bare 0 is a doorbell. */
export type ToStorage = 0 | { readonly kind: "delta"; readonly delta: Delta };

/** Shard → main, about the thread. `loaded`: its modules are there, the application's excepted. */
type ThreadNotice = { readonly kind: "loaded" } | { readonly kind: "failed"; readonly error: WireError };

/** Shard → main, about what it runs. */
export type ShardNotice =
  | { readonly kind: "room" }
  | { readonly kind: "parked"; readonly address: string; readonly error: WireError }
  | {
      readonly kind: "rejected";
      readonly ingress: string;
      readonly split: string;
      readonly where: string;
      readonly error: WireError;
    };

/** Shard → main. */
export type ShardToMain = ThreadNotice | ShardNotice;

/** A task for a thread of the offload pool. */
export interface OffloadTask {
  readonly module: string;
  readonly name: string;
  readonly input: TaskInput;
}

/** Its encoded value, or what it threw. */
export type OffloadOutcome = { readonly bytes: Uint8Array } | { readonly error: WireError };

/** Shard → offload pool. `transfer` is what of the input moves. */
export type ToOffload =
  | { readonly number: number; readonly task: OffloadTask; readonly transfer: readonly ArrayBuffer[] }
  | { readonly abort: number };

/** Offload pool → shard. */
export interface FromOffload {
  readonly number: number;
  readonly outcome: OffloadOutcome;
}

/** How the log is: `full` when the disk has no space for it to grow, `long` when it waits for an egress or a merge. */
export type LogState = "fine" | "long" | "full";

/** Storage → main. */
export type StorageToMain =
  | { readonly kind: "committed"; readonly notice: CommitNotice }
  | { readonly kind: "log"; readonly state: LogState }
  | { readonly kind: "failed"; readonly error: WireError };

/** Where a data directory keeps its notes. */
export function notesDirectory(dataDir: string): string {
  return `${dataDir}/notes`;
}

/** Index of the storage thread's gate; shard i has the gate i + 1. */
export const storageGate = 0;
export function shardGate(shard: number): number {
  return shard + 1;
}
