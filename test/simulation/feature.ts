/**
 * A feature of the programming model in a simulated world: function types of its own, what pokes them, and rules on what
 * is committed. The base workload knows nothing of it. Each world has each feature with one chance in two.
 *
 * Rules look at committed rows only: what a turn saw may be rolled back.
 */
import type { Random } from "../../lib/base/random.js";
import type { Extras } from "../../lib/codec/extras.js";
import type { Address } from "../../lib/model/address.js";
import type { EgressDefinition } from "../../lib/model/egress.js";
import type { AnyFunctionDefinition } from "../../lib/model/function.js";
import type { AnyNamespaceDefinition } from "../../lib/model/namespace.js";
import type { ScheduleDefinition } from "../../lib/model/schedule.js";

/** A send through the gateway. */
export interface SimSendOptions {
  readonly extras?: Extras;
  /** The message is an ask: called with what main hears of its reply. */
  answered?(reply: unknown, failed: boolean): void;
}

/** What a feature may use of its world. */
export interface FeatureWorld {
  readonly random: Random;
  /** Turns misbehave and crashes come only while this is true; after that everything has to drain. */
  readonly faulty: boolean;
  /** Something that the feature is about has happened; one of its `meets`. Turns that are rolled back count, too. */
  met(what: string): void;
  /** Milliseconds as the engine's clocks tell them. */
  now(): number;
  /** Sets the wall clock to this many milliseconds ahead of `now`; it begins with 0. */
  setWall(aheadMs: number): void;
  /** A promise that the scheduler settles. */
  pause(): Promise<void>;
  /** Something asynchronous runs: microtasks have to be drained. Call it in every turn that awaits. */
  asynchronous(): void;
  /** A rule does not hold, seen inside a turn, where an exception would be the function's. */
  broken(what: string): void;
  /**
   * The thread that has this id, or the process, dies in the turn of a message. What the turn does afterwards must not
   * matter: a synchronous one throws `HF_IO`, an asynchronous one stays pending.
   */
  die(kind: "worker" | "process", id: string, message: string): void;
  /** Sends a message through the gateway; false when there is none to send through. */
  send(to: Address<never, unknown>, message: unknown, options?: SimSendOptions): boolean;
  /**
   * Runs a command in the shard of an id, or in all; the results by shard, none when not all of them have started.
   * `done` is called when whoever gave the command hears that it is durable, or that it may be lost.
   */
  command(name: string, args: readonly unknown[], id?: string, done?: (durable: boolean) => void): unknown[];
}

/** A row as it is stored. Another value of its key is another object. */
export interface CommittedRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Reads each row once. */
export function onceEach<T>(read: (row: CommittedRow) => T): (row: CommittedRow) => T {
  const known = new WeakMap<CommittedRow, { readonly value: T }>();
  return (row) => {
    let found = known.get(row);
    if (found === undefined) {
      found = { value: read(row) };
      known.set(row, found);
    }
    return found.value;
  };
}

/** The committed rows of all shards, decoded. */
export interface CommittedView {
  readonly epoch: number;
  /** The committed value of a state, undefined when nothing is stored. */
  state(type: string, state: string, id: string): unknown;
  /** Every stored value of a state: id and value. */
  states(type: string, state: string): Iterable<readonly [string, unknown]>;
  /** Messages in flight to a function type. */
  inFlight(type: string): Iterable<{ readonly id: string; readonly payload: unknown }>;
  /** Rows of one table (`rowTable`), as they are stored. */
  rows(table: number): Iterable<CommittedRow>;
}

export interface SimFeature {
  readonly name: string;
  /** What has to happen in some worlds, as `met` names it. */
  readonly meets: readonly string[];
  readonly functions: readonly AnyFunctionDefinition[];
  /** Namespaces with a provider, and the types that the feature will have it make, with their states. */
  readonly namespaces?: readonly AnyNamespaceDefinition[];
  readonly dynamicTypes?: readonly { readonly type: string; readonly states: readonly string[] }[];
  readonly egresses?: readonly EgressDefinition<never>[];
  readonly schedules?: readonly ScheduleDefinition[];
  /** Called in some turns of the base workload, and therefore as often as they run again: sends something to the feature. */
  poke?(send: (to: Address<never, unknown>, message: unknown) => void): void;
  /** An action of the scheduler, outside of all turns. */
  act?(): void;
  /** A record of one of its egresses left; `again` when its epoch left before (after a restart). */
  left?(egress: string, record: unknown, epoch: number): void;
  /** Called at every commit and every recovery. @throws Violation */
  committed?(view: CommittedView): void;
  /** Called in every round after the faults are over: stops what would go on by itself for ever. */
  settle?(): void;
  /** Only quarantined addresses have anything left to do. Afterwards the world tries all that still are so again. */
  mend?(view: CommittedView): void;
  /** Why the world is not at rest yet as far as the feature is concerned; undefined when it is. */
  unfinished?(view: CommittedView): string | undefined;
  /** Called at the end, with everything drained. @throws Violation */
  ended?(view: CommittedView): void;
}

export type MakeFeature = (world: FeatureWorld) => SimFeature;
