/**
 * Operations that turns have started and do not wait for: `ctx.run` and `ctx.offload`.
 *
 *     turn applied ─▶ row written ─▶ started ─▶ settled ─▶ row deleted and result dispatched, in one epoch
 *                          └── found by a restore ──▶ row deleted and `unknown` dispatched, in its first epoch
 *
 *     key group │ OPERATION │ generation u32 · sequence u64        →  [function code, id, metadata]
 *     and behind that, of a function type that a namespace made, its name
 *
 * Owner and thread: the shard; promises settle between steps and are only noted here, the next step applies them.
 * B1. An operation has a row from the epoch of its turn to that of its result, and exactly one result follows from it.
 * B2. An operation is started after its turn was applied, outside of all turns.
 * B3. It ends once: settled, timed out or removed, whatever comes first.
 * B4. An address with as many pending operations as its function allows takes no message until one has ended. Every
 *     operation ends, so it does not wait for ever. A full address stays in memory.
 */
import { HoldfastError, toWire } from "../base/errors.js";
import { Heap } from "../base/heap.js";
import { invariant } from "../base/invariant.js";
import {
  MiB,
  operationMetadataBytesMax,
  operationsPerStepMax,
  operationsPerTurnMax,
  operationTimeoutMs,
  pendingOperationsDefault,
} from "../base/limits.js";
import { Queue } from "../base/queue.js";
import { encodedBytes } from "../codec/payload-size.js";
import { copyPlain, estimateBytes } from "../codec/plain-data.js";
import type {
  OffloadOptions,
  OperationError,
  OperationOptions,
  OperationResult,
  OperationScope,
} from "../model/operation.js";
import { Task } from "../model/task.js";
import { hashId32 } from "../partition/hash.js";
import { rowKey, rowTable } from "../store/row-key.js";
import type { Instance } from "./instance.js";
import type { Part, PartPort } from "./part.js";
import type { TaskInput } from "./ports.js";
import type { FunctionEntry } from "./registry.js";
import { keyText, type StoredRow } from "./rows.js";
import type { StagedEffect, TurnContext } from "./turn-context.js";

const bucket = "operations";
const timeoutMaxMs = 2 ** 31 - 1;
const errorTextMax = 8_000;
/** Values above it are encoded once to see whether they fit. */
const surelyFits = MiB;

/** What operations need of their shard beside what every part needs. */
export interface OperationsPort extends PartPort {
  /** Runs a task beside the shards. */
  offload(module: string, name: string, input: TaskInput, signal: AbortSignal): Promise<unknown>;
  /** The address takes no message until it is opened. */
  closeAddress(instance: Instance): void;
  openAddress(instance: Instance): void;
}

type Outcome = Pick<OperationResult<unknown, unknown>, "status" | "value" | "error">;

/** What a row says. */
type OperationRow = [code: number, id: string, metadata: unknown, dynamicType?: string];

/** The pending operations of one address. */
class AddressOperations {
  readonly name: string;
  readonly pending = new Set<Operation>();
  /** Set while the address is full (B4). */
  full: Instance | undefined = undefined;

  constructor(name: string) {
    this.name = name;
  }
}

/** One operation whose turn was applied. */
export class Operation implements OperationScope {
  readonly entry: FunctionEntry;
  readonly id: string;
  readonly metadata: unknown;
  /** Its row. */
  readonly key: Uint8Array;
  readonly timeoutMs: number;
  readonly start: (scope: OperationScope) => unknown;
  readonly of: AddressOperations;
  deadline = Number.POSITIVE_INFINITY;
  /** Among the deadlines; -1 outside. */
  place = -1;
  over = false;
  /** Its address was destroyed: it has no result. */
  removed = false;
  outcome: Outcome | undefined = undefined;
  #abort: AbortController | undefined;

  constructor(wish: Wish, key: Uint8Array, of: AddressOperations) {
    this.entry = wish.instance.entry;
    this.id = wish.instance.id;
    this.metadata = wish.metadata;
    this.timeoutMs = wish.timeoutMs;
    this.start = wish.start;
    this.key = key;
    this.of = of;
  }

  /** Made when it is asked for: few operations look at it. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  abort(reason: unknown): void {
    this.#abort?.abort(reason);
  }
}

/** What a turn asks for. */
interface Wish {
  readonly instance: Instance;
  readonly start: (scope: OperationScope) => unknown;
  readonly metadata: unknown;
  /** The row's value. */
  readonly row: Uint8Array;
  readonly timeoutMs: number;
}

/** All that one turn asks for. */
class Wishes implements StagedEffect {
  readonly list: Wish[] = [];
  readonly #operations: Operations;

  constructor(operations: Operations) {
    this.#operations = operations;
  }

  apply(): void {
    for (const wish of this.list) this.#operations.register(wish);
  }
}

export class Operations implements Part {
  readonly #port: OperationsPort;
  readonly #addresses = new Map<string, AddressOperations>();
  readonly #toStart = new Queue<Operation>();
  readonly #settled = new Queue<Operation>();
  readonly #deadlines = new Heap<Operation>(
    (a, b) => a.deadline < b.deadline,
    (operation, place) => {
      operation.place = place;
    },
  );
  #sequence = 0;
  #pending = 0;
  #closed = false;

  constructor(port: OperationsPort) {
    this.#port = port;
  }

  /** Operations whose result has not been dispatched: each will be a message by itself. */
  get inFlight(): number {
    return this.#pending;
  }

  get nextDue(): number {
    if (this.#toStart.length > 0 || this.#settled.length > 0) return Number.NEGATIVE_INFINITY;
    return this.#deadlines.peek()?.deadline ?? Number.POSITIVE_INFINITY;
  }

  // --- in a turn ----------------------------------------------------------------------------------------------------

  /** `ctx.run` */
  run(context: TurnContext, start: unknown, metadata: unknown, options: OperationOptions = {}): void {
    const { instance } = context;
    if (typeof start !== "function") throw badOptions(instance, "ctx.run takes a function that starts the operation");
    this.#wish(context, start as Wish["start"], metadata, options);
  }

  /** `ctx.offload` */
  offload(context: TurnContext, task: unknown, input: unknown, options: OffloadOptions<unknown> = {}): void {
    const { instance } = context;
    if (!(task instanceof Task)) throw badOptions(instance, "ctx.offload takes a task made by defineTask");
    const { transfer, signal } = options;
    const { module, name } = task;
    const given: TaskInput =
      transfer === undefined ? { bytes: this.#port.encode(input, "input") } : { value: input, transfer };
    const start = (scope: OperationScope): Promise<unknown> => {
      const either = signal === undefined ? scope.signal : AbortSignal.any([signal, scope.signal]);
      return this.#port.offload(module, name, given, either);
    };
    this.#wish(context, start, options.metadata, options);
  }

  #wish(context: TurnContext, start: Wish["start"], metadata: unknown, options: OperationOptions): void {
    const { instance } = context;
    const timeoutMs = options.timeoutMs ?? operationTimeoutMs;
    if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > timeoutMaxMs)
      throw badOptions(instance, `timeoutMs is a whole number from 1 to ${timeoutMaxMs}`);
    let wishes = context.staged.find((effect) => effect instanceof Wishes);
    if (wishes === undefined) {
      wishes = new Wishes(this);
      context.stage(wishes);
    }
    if (wishes.list.length >= operationsPerTurnMax) {
      throw new HoldfastError(
        "HF_OVERLOAD",
        `a turn starts at most ${operationsPerTurnMax} operations: go on in a later turn, with a message to yourself`,
        { address: instance.toString() },
      );
    }
    const kept = copyPlain(metadata, "metadata");
    const { code, id, dynamicType } = instance;
    const row = this.#port.encode(
      dynamicType === undefined ? [code, id, kept] : [code, id, kept, dynamicType],
      "metadata",
    );
    if (row.length > operationMetadataBytesMax) {
      throw new HoldfastError(
        "HF_TOO_LARGE",
        `the metadata of an operation is over ${operationMetadataBytesMax} bytes: keep the large part in state`,
        { address: instance.toString() },
      );
    }
    wishes.list.push({ instance, start, metadata: kept, row, timeoutMs });
  }

  // --- from its turn to its result ----------------------------------------------------------------------------------

  /** The turn applies: the operation exists (B1). */
  register(wish: Wish): void {
    const { instance } = wish;
    const name = instance.toString();
    let of = this.#addresses.get(name);
    if (of === undefined) {
      of = new AddressOperations(name);
      this.#addresses.set(name, of);
    }
    const operation = new Operation(wish, this.#nextKey(this.#port.keyGroupOf(instance.id)), of);
    this.putRow(operation.key, wish.row);
    of.pending.add(operation);
    this.#pending++;
    this.#toStart.push(operation);
    if (of.full === undefined && this.isFull(of.pending.size, instance.entry)) {
      of.full = instance;
      this.#port.closeAddress(instance);
    }
  }

  /** B4 */
  isFull(pending: number, entry: FunctionEntry): boolean {
    return pending >= (entry.definition.options.pendingOperations ?? pendingOperationsDefault);
  }

  step(): number {
    if (this.#pending === 0 && this.#settled.length === 0 && this.#toStart.length === 0) return 0;
    let count = 0;
    for (; count < operationsPerStepMax; count++) {
      const operation = this.#toStart.shift();
      if (operation === undefined) break;
      this.#begin(operation); // B2
    }
    const now = this.#port.clock.now();
    for (let late = this.#deadlines.peek(); late !== undefined && late.deadline <= now; late = this.#deadlines.peek()) {
      this.#deadlines.pop();
      this.#timeOut(late);
    }
    for (let budget = operationsPerStepMax; budget > 0; budget--) {
      const operation = this.#settled.shift();
      if (operation === undefined) break;
      if (!operation.removed) this.complete(operation);
      count++;
    }
    return count;
  }

  #begin(operation: Operation): void {
    if (operation.over) return;
    operation.deadline = this.#port.clock.now() + operation.timeoutMs;
    this.#deadlines.push(operation);
    new Promise((resolve) => resolve(operation.start(operation))).then(
      (value) => this.#settle(operation, () => this.#success(value)),
      (error: unknown) => this.#settle(operation, () => failure(error)),
    );
  }

  #timeOut(operation: Operation): void {
    const { entry, id, timeoutMs } = operation;
    const address = `${entry.type}@${id}`;
    const error = new HoldfastError(
      "HF_OPERATION_TIMEOUT",
      `${address}: an operation did not end within ${timeoutMs} ms`,
      { address },
    );
    this.#settle(operation, () => failure(error));
    operation.abort(error);
  }

  #settle(operation: Operation, outcome: () => Outcome): void {
    if (operation.over || this.#closed) return; // B3
    operation.over = true;
    if (operation.place >= 0) this.#deadlines.removeAt(operation.place);
    operation.outcome = outcome();
    this.#settled.push(operation);
    this.#port.wakeSelf();
  }

  /** What does not fit into a message is a failure. */
  #success(value: unknown): Outcome {
    try {
      const { value: copy } = copyPlain({ value }, "result"); // as deep as it will be in the message
      if (encodedBytes(copy) > surelyFits) this.#port.codec.encode([copy, new Uint8Array(operationMetadataBytesMax)]);
      return { status: "success", value: copy, error: undefined } as Outcome;
    } catch (error) {
      return failure(error);
    }
  }

  /** The row goes and the result is on its way, in one epoch (B1). */
  complete(operation: Operation): void {
    const { entry, id, key, metadata, outcome, of } = operation;
    invariant(outcome !== undefined, "what is complete has an outcome");
    this.dropRow(key);
    this.deliver(entry, id, key, { kind: "operation", ...outcome, metadata } as OperationResult<unknown, unknown>);
    this.#forget(operation, of);
    this.#port.touch();
  }

  #forget(operation: Operation, of: AddressOperations): void {
    invariant(of.pending.delete(operation), "an operation ends once"); // B3
    this.#pending--;
    if (of.full !== undefined && !this.isFull(of.pending.size, operation.entry)) {
      const instance = of.full;
      of.full = undefined;
      this.#port.openAddress(instance);
    }
    if (of.pending.size === 0) this.#addresses.delete(of.name);
  }

  destroy(entry: FunctionEntry, id: string): void {
    this.removeAll(entry, id);
  }

  /** An address is destroyed: its pending operations are told to end, and have no result. A full address opens. */
  removeAll(entry: FunctionEntry, id: string): void {
    const of = this.#addresses.get(`${entry.type}@${id}`);
    if (of === undefined) return;
    for (const operation of [...of.pending]) {
      operation.over = true;
      operation.removed = true;
      if (operation.place >= 0) this.#deadlines.removeAt(operation.place);
      this.dropRow(operation.key);
      this.#forget(operation, of);
      operation.abort(new HoldfastError("HF_STOPPED", `${entry.type}@${id} was destroyed`));
    }
    this.#port.touch();
  }

  /** The shard ends: what is pending will be `unknown` at the next start. */
  close(): void {
    this.#closed = true;
    const reason = new HoldfastError("HF_STOPPED", "the application stops");
    for (const { pending } of this.#addresses.values()) for (const operation of pending) operation.abort(reason);
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  /** Operations of generations that are over: nobody knows how they ended. */
  restore(): void {
    const { config, rows } = this.#port;
    for (let keyGroup = 0; keyGroup < config.keyGroups; keyGroup++) {
      if (!this.#port.owns(keyGroup)) continue;
      const found = rows.scan(
        bucket,
        rowKey(keyGroup, rowTable.OPERATION, new Uint8Array(0)),
        rowKey(keyGroup, rowTable.QUARANTINE, new Uint8Array(0)), // the next table
      );
      for (const row of found) this.giveUp(row);
    }
  }

  /** One row of an old generation becomes one message; one of an unknown function type waits for its type. */
  giveUp({ key, value }: StoredRow): void {
    const [code, id, metadata, dynamicType] = this.#port.codec.decode(value) as OperationRow;
    const entry = this.#port.registry.peer({ code, id, dynamicType });
    if (entry === undefined) return;
    this.dropRow(key);
    const result = { kind: "operation", status: "unknown", value: undefined, error: undefined, metadata } as const;
    this.deliver(entry, id, key, result);
    this.#port.touch();
  }

  deliver(entry: FunctionEntry, id: string, key: Uint8Array, result: OperationResult<unknown, unknown>): void {
    const payload = copyPlain(result, "result");
    const root = keyText(key);
    this.#port.dispatch(entry, id, payload, estimateBytes(), hashId32(`${root}#`), hashId32(root), 0, undefined);
  }

  putRow(key: Uint8Array, value: Uint8Array): void {
    this.#port.rows.put(bucket, key, value, this.#port.epoch);
  }

  dropRow(key: Uint8Array): void {
    this.#port.rows.delete(bucket, key, this.#port.epoch);
  }

  #nextKey(keyGroup: number): Uint8Array {
    const part = new DataView(new ArrayBuffer(12));
    part.setUint32(0, this.#port.config.generation);
    part.setBigUint64(4, BigInt(++this.#sequence));
    return rowKey(keyGroup, rowTable.OPERATION, new Uint8Array(part.buffer));
  }
}

function failure(thrown: unknown): Outcome {
  return { status: "failure", value: undefined, error: toOperationError(thrown) } as Outcome;
}

function toOperationError(thrown: unknown): OperationError {
  try {
    const { name, message, code } = toWire(thrown);
    return { name: String(name).slice(0, errorTextMax), message: String(message).slice(0, errorTextMax), code };
  } catch {
    return { name: "Error", message: "an error that cannot be read was thrown", code: undefined };
  }
}

function badOptions(instance: Instance, what: string): HoldfastError {
  return new HoldfastError("HF_BAD_OPTIONS", what, { address: instance.toString() });
}
