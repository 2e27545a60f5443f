/**
 * The rooms of a shard beside turns: timers, operations, quarantine, … Each is a part with rows of its own, driven by
 * the shard's step, and offers commands to whoever asks from outside.
 *
 * Thread: the shard's. What a turn asks a part for is staged in the turn's context (`TurnContext.stage`) and applied
 * with it.
 */
import type { Clock } from "../base/clock.js";
import type { Random } from "../base/random.js";
import type { Peer } from "../codec/message-codec.js";
import type { PayloadCodec } from "../codec/payload-codec.js";
import type { OutputWriter } from "./output.js";
import type { ShardConfig, ShardEvent } from "./ports.js";
import type { FunctionEntry, Registry } from "./registry.js";
import type { Rows } from "./rows.js";

export interface Part {
  /** Rows of the last commit are there to be read: takes up what was pending. Called once, before the first step. */
  restore?(): void;
  /** A slice of work, with a budget; returns the amount. Runs between turns. */
  step?(): number;
  /** When `step` has something to do even if nothing else happens, in `Clock.now` milliseconds; infinite for never. */
  readonly nextDue?: number;
  /** `ctx.destroy()` at an address applies: what the part has of it goes. */
  destroy?(entry: FunctionEntry, id: string, keyGroup: number): void;
  /** What will become a message by itself and is waited for by `drained`. */
  readonly inFlight?: number;
  /** The shard ends. */
  close?(): void;
  /** What is asked from outside, by name. Runs between turns; arguments and result are plain data. */
  readonly commands?: { readonly [name: string]: (...args: never[]) => unknown };
}

/** What a part needs of its shard. */
export interface PartPort {
  readonly config: ShardConfig;
  readonly registry: Registry;
  readonly codec: PayloadCodec;
  readonly clock: Clock;
  readonly random: Random;
  readonly rows: Rows;
  /** The output of the epoch that is open now. */
  readonly output: OutputWriter;
  /** The epoch that is open now: what is written to `rows` carries it. */
  readonly epoch: number;
  /** True when an epoch is durable. */
  isCommitted(epoch: number): boolean;
  /** The key group of an id, and whether this shard owns it. */
  keyGroupOf(id: string): number;
  owns(keyGroup: number): boolean;
  /** False while too much is in flight here: who adds messages on its own waits, with an infinite `nextDue`. */
  readonly admissionOpen: boolean;
  /** Sends a message; `rootHi`, `rootLo` and `index` make its id, the same in every attempt. The payload is kept. */
  dispatch(
    entry: FunctionEntry,
    id: string,
    payload: unknown,
    payloadWeight: number,
    rootHi: number,
    rootLo: number,
    index: number,
    caller: Peer | undefined,
  ): void;
  /** Checks and encodes a value; the bytes belong to the caller. */
  encode(value: unknown, what: string): Uint8Array;
  /** There is something new to commit. */
  touch(): void;
  /** Asks for another step, from anywhere on the thread. */
  wakeSelf(): void;
  report(event: ShardEvent): void;
}
