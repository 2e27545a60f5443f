/**
 * The `ctx` of a turn: collects what the turn does, so that it applies as a whole or not at all.
 *
 * Owner: the shard, one reusable context per function type; one that went async belongs to its turn and is not reused.
 * Thread: the shard's.
 * T1. Nothing is visible outside the context before `apply` of the turn: writes are staged in the handles, sends and
 *     records in lists.
 * T2. Every method throws `HF_TURN_ENDED` unless its turn is the one that runs.
 * T3. The index of a send is its position in the turn, whatever happens to other sends: message ids are reproducible.
 */
import { HoldfastError } from "../base/errors.js";
import { askTimeoutMs, payloadBytesMax } from "../base/limits.js";
import { encodedBytes } from "../codec/payload-size.js";
import { copiedShape, copyPlain, estimateBytes, freezePlain } from "../codec/plain-data.js";
import type { Shape } from "../codec/shape.js";
import { Address, type AnyAddress } from "../model/address.js";
import type { Context, ContextAskOptions, DelayOptions } from "../model/context.js";
import type { EgressDefinition } from "../model/egress.js";
import { formatMessageId } from "../model/message-id.js";
import type { OffloadOptions, OperationOptions, OperationScope } from "../model/operation.js";
import { validate } from "../model/schema.js";
import type { StateHandles, StateRegister, StateSpecs, ValueHandle } from "../model/state.js";
import type { Task } from "../model/task.js";
import { checkDate, checkDelay, checkToken } from "./delay.js";
import type { EntryRows } from "./entry-rows.js";
import { ABSENT, type Instance, type Message, type StateCell } from "./instance.js";
import type { Operations } from "./operations.js";
import type { Column, FunctionEntry, Registry } from "./registry.js";
import { RunTimeState, rowHandle } from "./run-time-state.js";
import type { Timers } from "./timers.js";
import { TurnTimers } from "./turn-timers.js";

/** What a context needs of its shard. */
export interface TurnPort {
  readonly registry: Registry;
  readonly timers: Timers;
  readonly operations: Operations;
  /** The cell of a state, loaded from the base when it is not resident. */
  cell(instance: Instance, column: Column): StateCell;
  /** The states that are rows. */
  readonly entries: EntryRows;
  /** Removes everything of an address. */
  destroy(instance: Instance): void;
  /** Checks and encodes a value that leaves the application; the bytes belong to the caller. */
  encode(value: unknown, what: string): Uint8Array;
  /** Sends a question now; `index` is its number in the turn. */
  ask(
    context: TurnContext,
    entry: FunctionEntry,
    id: string,
    payload: unknown,
    index: number,
    timeoutMs: number,
  ): Promise<unknown>;
}

/** A send of a turn that has not ended. */
export interface StagedSend {
  entry: FunctionEntry;
  id: string;
  payload: unknown;
  /** The shape of the payload, when it is known. */
  shape: Shape | undefined;
  /** Estimated bytes of the payload beyond a small message's. */
  weight: number;
}

/** Something a turn asked for that is neither a send nor a record nor a write; it applies or is discarded with the turn. */
export interface StagedEffect {
  apply(): void;
  discard?(): void;
}

/** A record of a turn that has not ended. */
export interface StagedRecord {
  readonly egressCode: number;
  readonly bytes: Uint8Array;
}

export class TurnContext implements Context<StateSpecs, unknown, unknown> {
  readonly state: StateHandles<StateSpecs> & StateRegister;
  /** @internal */
  readonly handles: readonly ValueCellHandle[];
  /** @internal */
  readonly sends: StagedSend[] = [];
  /** @internal Sends of this turn; the list keeps its objects for the next one. */
  sendCount = 0;
  /** @internal */
  readonly records: StagedRecord[] = [];
  /** @internal Replies of this turn to an `ask`. */
  readonly replies: Uint8Array[] = [];
  /** @internal What the turn asked the shard's parts for; see `stage`. */
  readonly staged: StagedEffect[] = [];
  /** @internal */
  active = false;
  readonly #port: TurnPort;
  /** What the turn does with delayed messages, once it does. */
  #delayed: TurnTimers | undefined;
  /** The turn asked for the end of its address; that comes after everything else it did. */
  #destroys = false;
  readonly #destruction: StagedEffect = {
    apply: () => {},
    discard: () => {
      this.#destroys = false;
    },
  };
  #message: Message | undefined;
  #abort: AbortController | undefined = undefined;
  #instance: Instance | undefined;
  #asked = 0;

  constructor(port: TurnPort, entry: FunctionEntry) {
    this.#port = port;
    this.handles = entry.columns.map((column) => new ValueCellHandle(this, port, column));
    const runTime = new RunTimeState(this, port.entries, port.registry, entry);
    const state: Record<string, unknown> = {}; // not a null prototype: its look-ups are slow
    for (const handle of this.handles) state[handle.column.name] = handle;
    for (const column of entry.rowColumns) state[column.name] = rowHandle(this, port.entries, column);
    state.register = runTime.register.bind(runTime);
    this.state = Object.freeze(state) as never;
  }

  get self(): Address<unknown, unknown> {
    const instance = this.instance;
    return new Address(instance.entry.type, instance.id);
  }

  get caller(): AnyAddress | undefined {
    const { caller } = this.message;
    const entry = this.#port.registry.peer(caller);
    return caller === undefined || entry === undefined ? undefined : new Address(entry.type, caller.id);
  }

  get messageId(): string {
    const message = this.message;
    return formatMessageId(message.idHi, message.idLo, message.hash);
  }

  get signal(): AbortSignal {
    this.instance; // T2
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  send<T>(to: Address<T, unknown>, message: NoInfer<T>): void {
    if (!this.active) throw turnEnded(); // T2
    const entry = this.#entryOf(to as AnyAddress);
    this.#stage(entry, to.id, copyPlain(message, "message"));
  }

  sendAfter<T>(delayMs: number, to: Address<T, unknown>, message: NoInfer<T>, options?: DelayOptions): void {
    const now = this.#port.timers.time.now();
    this.#sendLater(checkDelay(delayMs, now, this.instance), to as AnyAddress, message, options);
  }

  sendAt<T>(date: Date, to: Address<T, unknown>, message: NoInfer<T>, options?: DelayOptions): void {
    this.#sendLater(checkDate(date, this.instance), to as AnyAddress, message, options);
  }

  cancel(token: string): boolean {
    checkToken(token, this.instance);
    return this.#timersOfTurn.cancel(token);
  }

  ask<T, Reply>(to: Address<T, Reply>, message: NoInfer<T>, options: ContextAskOptions = {}): Promise<Reply> {
    const reply = this.#ask(to as AnyAddress, message, options);
    reply.catch(() => {}); // a function may not look at it
    return reply as Promise<Reply>;
  }

  async #ask(to: AnyAddress, message: unknown, options: ContextAskOptions): Promise<unknown> {
    if (!this.active) throw turnEnded(); // T2
    const { timeoutMs = askTimeoutMs } = options;
    if (typeof timeoutMs !== "number" || !(timeoutMs > 0)) {
      throw new HoldfastError("HF_BAD_OPTIONS", `timeoutMs must be a positive number, not ${String(timeoutMs)}`);
    }
    const entry = this.#entryOf(to);
    const payload = copyPlain(message, "message");
    return this.#port.ask(this, entry, to.id, payload, this.#asked++, timeoutMs);
  }

  emit<T>(egress: EgressDefinition<T>, record: NoInfer<T>): void {
    const self = this.instance;
    const code = this.#port.registry.egressCodes.get(egress?.name);
    if (code === undefined) {
      throw new HoldfastError(
        "HF_UNKNOWN_EGRESS",
        `the application defines no egress "${String(egress?.name)}": add it to defineApp({ egresses })`,
        { address: self.toString() },
      );
    }
    const checked =
      egress.schema === undefined
        ? record
        : validate(egress.schema, record, `record for ${egress.name}`, self.toString());
    this.records.push({ egressCode: code, bytes: this.#port.encode(checked, "record") });
  }

  reply(message: unknown): void {
    const { caller, ask } = this.message;
    if (ask !== undefined || this.message.extras?.key !== undefined) {
      this.replies.push(this.#port.encode(message, "reply"));
      return;
    }
    const entry = this.#port.registry.peer(caller);
    if (caller === undefined || entry === undefined) {
      throw new HoldfastError(
        "HF_NO_CALLER",
        "nobody waits for a reply: the message came from an ingress or from app.send",
        {
          address: this.instance.toString(),
        },
      );
    }
    this.#stage(entry, caller.id, copyPlain(message, "reply"));
  }

  destroy(): void {
    if (this.#destroys) return;
    this.stage(this.#destruction);
    this.#destroys = true;
  }

  run<D>(start: (scope: OperationScope) => unknown, metadata?: D, options?: OperationOptions): void {
    this.#port.operations.run(this, start, metadata, options);
  }

  offload<I, D>(task: Task<I, unknown>, input: NoInfer<I>, options?: OffloadOptions<D>): void {
    this.#port.operations.offload(this, task, input, options);
  }

  /** @internal Starts a turn. */
  begin(message: Message): void {
    this.#message = message;
    this.#instance = message.target;
    this.#asked = 0;
    this.active = true;
  }

  /** @internal The turn is given up: whoever asked for its signal learns why. */
  abort(reason: unknown): void {
    this.#abort?.abort(reason);
  }

  /** @internal Has something happen when the turn is applied, after its writes and sends, or when it is not. */
  stage(effect: StagedEffect): void {
    this.instance; // T2
    this.staged.push(effect);
  }

  /** @internal */
  applyStaged(): void {
    if (this.staged.length === 0) return;
    for (const effect of this.staged) effect.apply();
    if (this.#destroys) this.#port.destroy(this.target);
    this.#destroys = false;
    this.staged.length = 0;
  }

  /** @internal */
  discardStaged(): void {
    if (this.staged.length === 0) return;
    for (const effect of this.staged) effect.discard?.();
    this.staged.length = 0;
  }

  /** @internal Ends the turn and forgets what is staged; applying it is the shard's work, before this. */
  end(): void {
    this.active = false;
    this.sendCount = 0;
    if (this.records.length > 0) this.records.length = 0;
    if (this.replies.length > 0) this.replies.length = 0;
    if (this.#abort !== undefined) this.#abort = undefined;
    for (let i = 0; i < this.handles.length; i++) this.handles[i].forget();
  }

  /** @internal The message of the running turn (T2). */
  get message(): Message {
    if (!this.active) throw turnEnded();
    return this.#message as Message;
  }

  /** @internal The instance of the turn, running or being applied. */
  get target(): Instance {
    return this.#instance as Instance;
  }

  /** @internal The instance of the running turn (T2). */
  get instance(): Instance {
    if (!this.active) throw turnEnded();
    return this.#instance as Instance;
  }

  #sendLater(due: number, to: AnyAddress, message: unknown, options: DelayOptions | undefined): void {
    const entry = this.#entryOf(to);
    const token = options?.token;
    if (token !== undefined) checkToken(token, this.instance);
    const payload = this.#port.encode(message, "message");
    this.#timersOfTurn.send(due, entry.peer(to.id), payload, token);
  }

  get #timersOfTurn(): TurnTimers {
    if (this.#delayed === undefined) {
      this.#delayed = new TurnTimers(this.#port.timers, this.message, () => {
        this.#delayed = undefined;
      });
      this.stage(this.#delayed);
    }
    return this.#delayed;
  }

  #entryOf(to: AnyAddress): FunctionEntry {
    const entry = this.#port.registry.named(to?.type);
    if (entry === undefined) {
      throw new HoldfastError(
        "HF_UNKNOWN_FUNCTION",
        `the application defines no function "${String(to?.type)}": add it to defineApp({ functions })`,
        { address: this.instance.toString() },
      );
    }
    entry.checkId(to.id); // an address may be made by hand
    return entry;
  }

  /** Stages a send of the value that was copied last. */
  #stage(entry: FunctionEntry, id: string, payload: unknown): void {
    const index = this.sendCount++; // T3
    const weight = estimateBytes(); // of the copy that was made last, as the shape is
    const shape = copiedShape();
    if (index < this.sends.length) {
      const send = this.sends[index];
      send.entry = entry;
      send.id = id;
      send.payload = payload;
      send.shape = shape;
      send.weight = weight;
    } else {
      this.sends.push({ entry, id, payload, shape, weight });
    }
  }
}

/** The handle of one value in one context; stages what its turn writes (T1). */
export class ValueCellHandle implements ValueHandle<unknown> {
  readonly column: Column;
  /** True when the running turn has written. */
  touched = false;
  staged: unknown = ABSENT;
  stagedMutable = false;
  /** The cell at the running turn's instance, once it was looked up. */
  #cell: StateCell | undefined = undefined;
  readonly #context: TurnContext;
  readonly #port: TurnPort;

  constructor(context: TurnContext, port: TurnPort, column: Column) {
    this.#context = context;
    this.#port = port;
    this.column = column;
  }

  get(): never {
    if (!this.#context.active) throw turnEnded();
    const { column } = this;
    let value = this.staged;
    let mutable = this.stagedMutable;
    if (!this.touched) {
      const { cell } = this;
      value = cell.value;
      mutable = cell.mutable;
    }
    if (value === ABSENT) return (column.copyInitial ? copyPlain(column.initial, "value") : column.initial) as never;
    return (mutable ? copyPlain(value, "value") : value) as never;
  }

  set(value: unknown): void {
    if (!this.#context.active) throw turnEnded();
    const { schema } = this.column.spec;
    const checked =
      schema === undefined
        ? value
        : validate(schema, value, `state ${this.column.name}`, this.#context.instance.toString());
    if (typeof checked === "number" || typeof checked === "string" || typeof checked === "boolean") {
      if (
        typeof checked === "string" &&
        4 * checked.length > payloadBytesMax &&
        encodedBytes(checked) > payloadBytesMax
      )
        throw tooLarge(this.#context.instance, this.column);
      this.staged = checked;
      this.stagedMutable = false;
    } else {
      const frozen = freezePlain(checked, `state ${this.column.name}`);
      this.staged = frozen.value;
      this.stagedMutable = frozen.mutable;
    }
    this.touched = true;
  }

  update(change: (value: never) => unknown): never {
    const value = this.get() as unknown;
    const changed = change((typeof value === "object" && value !== null ? copyPlain(value, "value") : value) as never);
    this.set(changed);
    return changed as never;
  }

  clear(): void {
    this.#context.instance; // T2
    this.staged = ABSENT;
    this.stagedMutable = false;
    this.touched = true;
  }

  /** The cell that a turn reads, and that its writes go to when it is applied. */
  get cell(): StateCell {
    this.#cell ??= this.#port.cell(this.#context.target, this.column);
    return this.#cell;
  }

  /** Ends the turn for this handle. */
  forget(): void {
    this.touched = false;
    this.staged = ABSENT;
    this.#cell = undefined;
  }
}

function turnEnded(): HoldfastError {
  return new HoldfastError(
    "HF_TURN_ENDED",
    "this ctx was used after its turn: await everything that uses ctx before receive returns",
  );
}

function tooLarge(instance: Instance, column: Column): HoldfastError {
  return new HoldfastError("HF_TOO_LARGE", `state ${column.name} is over ${payloadBytesMax} bytes`, {
    address: instance.toString(),
  });
}
