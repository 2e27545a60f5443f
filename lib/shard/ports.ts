/** What a shard needs of the world, and what floors above it implement for it. */
import type { Clock } from "../base/clock.js";
import type { Random } from "../base/random.js";
import type { ControlWords } from "../channel/control-words.js";
import type { Inbound } from "../channel/inbound.js";
import type { Outbound } from "../channel/outbound.js";
import type { FrameReader } from "../codec/frame-codec.js";
import type { AppDefinition } from "../model/app.js";
import type { BaseReader } from "../store/base.js";
import type { CellList } from "./cell-list.js";
import type { Message } from "./instance.js";
import type { OutboxEntry } from "./outbox.js";
import type { OutputWriter } from "./output.js";

/** Fixed for the life of a shard. */
export interface ShardConfig {
  readonly app: AppDefinition;
  readonly index: number;
  readonly shards: number;
  readonly keyGroups: number;
  readonly generation: number;
  /** The gateway's session: the first generation of this process. */
  readonly session: number;
  /** The committed epoch the shard starts from. */
  readonly epoch: number;
  /** Splits dealt to this shard. */
  readonly splits: readonly { readonly ingress: string; readonly split: string }[];
  readonly limits: ShardLimits;
  /** Messages that threads may have died of; turns are then written down. Undefined in a generation like any other. */
  readonly suspects: readonly Suspect[] | undefined;
}

/** A message that ran when a thread or the process died. */
export interface Suspect {
  /** `ctx.messageId` */
  readonly id: string;
  /** How often something died while it ran, or was pending in the thread that died. */
  readonly deaths: number;
  /** How often the process ended while it was only pending: anybody may have ended that. */
  readonly ends: number;
  /** At the last of them it was pending, perhaps beside others: it has to run alone. */
  readonly pending: boolean;
  /** Of what the last one died, for people. */
  readonly reason: string;
}

/** What a shard on trial writes down: ids of messages. */
export interface TurnsNote {
  /** Its synchronous turn, or synchronous part of a turn, runs. */
  readonly turn: string | undefined;
  /** Their async turns are pending, oldest first. */
  readonly pending: readonly string[];
  /** Its turn ended last. */
  readonly last: string | undefined;
  /** They were blamed before, and their turns ended without killing anything. */
  readonly cleared: readonly string[];
}

/** The limits a user or a test may choose. */
export interface ShardLimits {
  /** Infinite for as many as there is memory for. */
  readonly residentInstancesMax: number;
  readonly admissionBytesMax: number;
  readonly overloadBytesMax: number;
  readonly turnAttemptsMax: number;
  readonly turnRetryBaseMs: number;
  readonly turnTimeoutMs: number;
  readonly timersResidentMax: number;
  readonly recentRowsMax: number;
  readonly recentSlabBytes: number;
  readonly unmergedCellsMin: number;
  readonly receivePerStepMax: number;
  readonly turnsPerStepMax: number;
  readonly captureRowsPerStepMax: number;
}

/** A message found at recovery. */
export interface RestoredMessage {
  readonly generation: number;
  readonly sender: number;
  readonly sequence: number;
  readonly body: Uint8Array;
  /** Its row is already in this shard's base; else it came from another shard's outbox or from another deal. */
  readonly rowed: boolean;
}

/** What recovery hands to a shard. */
export interface RestoredShard {
  /** In the order of their keys. */
  readonly messages: readonly RestoredMessage[];
  /** Rows of this shard's base that moved to another shard: deleted with the first epoch. */
  readonly tombstones: readonly Uint8Array[];
  /** Committed rows newer than the base, those in flight excepted, by latin1 text of the key; null for deleted ones. */
  readonly overlay: ReadonlyMap<string, Uint8Array | null>;
  /** Encoded positions of this shard's splits, by `splitKey`. */
  readonly positions: ReadonlyMap<string, { readonly bytes: Uint8Array; readonly rowed: boolean }>;
  /** Last sequence consumed from the gateway in this session. */
  readonly gatewayConsumed: number;
  /** Messages of unknown function types that stay in this shard's base. */
  readonly orphans: number;
}

/** One shard's part of an epoch at the moment of its capture; the shard changes nothing of it from now on. */
export interface CapturedEffects {
  readonly epoch: number;
  /**
   * Cells written since the last capture, all to be taken before the next one; the value of a cell that was written again is
   * `captured`, else `value`.
   */
  readonly cells: CellList;
  readonly messages: readonly Message[];
  readonly outboxes: readonly (readonly OutboxEntry[])[];
  /** What the shard wrote and deleted by key, as a RowWriter writes it. */
  readonly rows: Uint8Array;
  readonly positions: readonly { readonly name: string; readonly bytes: Uint8Array }[];
  /** Undefined when nothing was consumed since the last capture. */
  readonly gateway: { readonly session: number; readonly consumed: number } | undefined;
  readonly output: OutputWriter;
  readonly counts: ShardCounts;
  /** Messages of this shard that are neither done nor parked. */
  readonly inFlight: number;
}

/** What a shard has done since its start. */
export interface ShardCounts {
  readonly turns: number;
  readonly ingested: number;
  readonly rejected: number;
  /** Addresses whose turn failed for good; their messages wait. */
  readonly parked: number;
  /** Messages of function types that this version of the application does not define; they wait in the base. */
  readonly orphans: number;
  /** Every split of this shard was read to its end. */
  readonly exhausted: boolean;
  /** Instances in memory. */
  readonly resident: number;
}

/** The snapshot side of a shard (floor 5 implements it). */
export interface CapturePort {
  /** A capture is not finished: older frames are recorded, newer ones wait. */
  readonly open: boolean;
  /** Called once, before all else: what reads the frames of each other shard. */
  attach(frames: readonly (FrameReader | undefined)[]): void;
  begin(effects: CapturedEffects): void;
  /**
   * Called for each frame before it is taken. True when its message has a row among this shard's in-flight rows: it was
   * copied into an earlier delta, or it belongs to the open capture and is recorded by this call.
   */
  frameHasRow(from: number, channel: Inbound): boolean;
  /** Encodes a slice, finishes when every shard has captured. Returns the amount of work. */
  step(): number;
}

/** What a task gets: encoded plain data, or a value to be cloned with buffers that move. */
export type TaskInput =
  | { readonly bytes: Uint8Array }
  | { readonly value: unknown; readonly transfer: readonly ArrayBuffer[] };

export interface ShardPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly control: ControlWords;
  /** Channels to the other shards; undefined at the shard's own index. */
  readonly outbound: readonly (Outbound | undefined)[];
  readonly inbound: readonly (Inbound | undefined)[];
  readonly gateway: Inbound;
  readonly base: BaseReader;
  readonly capture: CapturePort;
  wakeShard(shard: number): void;
  wakeStorage(): void;
  /** A ring from this sender (a shard, or `gatewaySender`) has room again: wakes it if it waits for that. */
  wakeForRoom(from: number): void;
  /** Asks for another step of this shard: something happened on its own thread. */
  wakeSelf(): void;
  /** How many instances memory has room for, when there are so many now. Asked at each capture. */
  roomFor(resident: number): number;
  /** Runs a function of a module beside the shards; settles on the shard's thread. */
  offload(module: string, name: string, input: TaskInput, signal: AbortSignal): Promise<unknown>;
  /** Keeps a note over the death of the process; it replaces the one before. */
  noteTurns(note: string): void;
  /** Something a person should know: a parked address, a rejected record. */
  report(event: ShardEvent): void;
}

export type ShardEvent =
  | { readonly kind: "parked"; readonly address: string; readonly error: unknown }
  | {
      readonly kind: "rejected";
      readonly ingress: string;
      readonly split: string;
      readonly where: string;
      readonly error: unknown;
    };
