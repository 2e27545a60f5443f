/** The handle a function gets with each message. */
import type { Address, AnyAddress } from "./address.js";
import type { EgressDefinition } from "./egress.js";
import type { OffloadOptions, OperationOptions, OperationScope } from "./operation.js";
import type { StateHandles, StateRegister, StateSpecs } from "./state.js";
import type { Task } from "./task.js";

/** How a delayed message is sent. */
export interface DelayOptions {
  /**
   * A name for `ctx.cancel`, of at most 1,000 UTF-16 code units. It belongs to the sending address; using it again while
   * its message is pending replaces that message.
   */
  readonly token?: string;
}

/** What `ctx.ask` may say. */
export interface ContextAskOptions {
  /** Milliseconds until the promise rejects with `HF_ASK_TIMEOUT`. Default 30,000. The message stays accepted. */
  readonly timeoutMs?: number;
}

/**
 * What a function can do in one turn. All of it applies together when the turn ends, or not at all when it throws.
 * Every method throws `HF_TURN_ENDED` once the turn is over.
 */
export interface Context<S extends StateSpecs = StateSpecs, R = unknown, M = never> {
  /** The address this turn runs at. */
  readonly self: Address<M, R>;
  /**
   * The function that sent the message, or undefined for one from an ingress, `app.send` or `app.ask`, and for the result
   * of an operation.
   */
  readonly caller: AnyAddress | undefined;
  /**
   * The same in every attempt of this turn, on every restart, and different for every message: the idempotency key
   * for calls to the outside.
   */
  readonly messageId: string;
  /**
   * Aborted when the turn is given up: after its time limit (`HF_TURN_TIMEOUT`), by `app.cancel` (`HF_CANCELLED`) or
   * because the application stops (`HF_STOPPED`); `signal.reason` is the error. Pass it to what an async turn waits for.
   */
  readonly signal: AbortSignal;
  /** The state declared by this function, at this address; and `register`, for state that is declared at run time. */
  readonly state: StateHandles<S> & StateRegister;
  /**
   * Sends a message. It is copied; order per pair of addresses is kept.
   *
   * @throws `HF_BAD_VALUE`, `HF_UNKNOWN_FUNCTION`
   */
  send<T>(to: Address<T, unknown>, message: NoInfer<T>): void;
  /**
   * Sends a message after a delay, never earlier. Pending messages survive restarts; one that came due in the meantime is
   * sent at the start, the earliest first.
   *
   * @param delayMs milliseconds from now, 0 or more
   * @throws `HF_BAD_VALUE` for a delay, message or token that is none, `HF_UNKNOWN_FUNCTION`
   */
  sendAfter<T>(delayMs: number, to: Address<T, unknown>, message: NoInfer<T>, options?: DelayOptions): void;
  /**
   * Sends a message at a date, never earlier; at once when that has passed.
   *
   * @throws `HF_BAD_VALUE` for a date, message or token that is none, `HF_UNKNOWN_FUNCTION`
   */
  sendAt<T>(date: Date, to: Address<T, unknown>, message: NoInfer<T>, options?: DelayOptions): void;
  /**
   * Cancels the pending message of this address with this token. True exactly when there was one: it will never be
   * delivered, unless this turn fails, and with it the cancelling. False when it was sent already, was cancelled by an
   * earlier call, or never was.
   *
   * @throws `HF_BAD_VALUE` for a token that is none
   */
  cancel(token: string): boolean;
  /**
   * Writes a record to an egress; it leaves after the commit that contains it.
   *
   * @throws `HF_BAD_VALUE`, `HF_SCHEMA`, `HF_UNKNOWN_EGRESS`
   */
  emit<T>(egress: EgressDefinition<T>, record: NoInfer<T>): void;
  /**
   * Sends a message and resolves with what its turn says to `ctx.reply`. For async turns: the address stays locked while
   * it waits. The message leaves at once and is applied even if this turn fails later; a turn that runs again gets the
   * reply of the first time, as long as it asks the same in the same order.
   *
   * @throws (as a rejection) `HF_ASK_TIMEOUT`, `HF_ASK_CYCLE` when the other address waits for this one, `HF_NO_REPLY`,
   *   `HF_FUNCTION_FAILED` when the other turn failed for good, `HF_BAD_OPTIONS`, and what `send` throws
   */
  ask<T, Reply>(to: Address<T, Reply>, message: NoInfer<T>, options?: ContextAskOptions): Promise<Reply>;
  /**
   * Answers the message: resolves the caller's `app.ask` or `ctx.ask`, or sends to the calling function.
   *
   * @throws `HF_NO_CALLER` when the message has neither; `HF_BAD_VALUE`
   */
  reply(message: R): void;
  /**
   * Removes everything of this address when the turn applies: its state of every kind, its delayed messages that are
   * pending, its pending operations (their signals abort, no result comes), what this turn asked for included. Until then
   * the turn sees its state as before.
   *
   * Messages that it sent and those on their way to it stay, an operation's result that was sent among them; the next one
   * finds a fresh instance. So do delayed messages and schedules of others for it, and its idempotency keys until their
   * retention ends: a repeated message is not applied again.
   */
  destroy(): void;
  /**
   * Starts an operation that the turn does not wait for. `start` is called soon after the turn was applied; a turn that
   * throws starts nothing. What its promise resolves to comes back to this address as an `OperationResult`, exactly
   * once: `success` with the value, `failure` with the error, or `unknown` when its thread or the process ended before
   * the result was committed. `start` must not use `ctx`.
   *
   * A value that is not plain data is a `failure` with `HF_BAD_VALUE`, one that is too large with `HF_TOO_LARGE`. An
   * address with `pendingOperations` of them pending takes no further message until one has ended.
   *
   * @param metadata comes back with the result; plain data of at most 64 KiB encoded, durable with the turn
   * @throws `HF_BAD_VALUE`, `HF_TOO_LARGE` (metadata), `HF_BAD_OPTIONS`, `HF_OVERLOAD` above 1,000 in one turn
   */
  run<D>(start: (scope: OperationScope) => unknown, metadata?: D, options?: OperationOptions): void;
  /**
   * Runs a task on a pool of threads beside the shards, one per core, started when first needed. The result comes back
   * as with `run`: an error of the task is a `failure`, and so is one that loads its module (`HF_BAD_MODULE`).
   *
   * @throws as `run`, and `HF_BAD_VALUE` when `input` is not plain data (unless `transfer` is given: it is then cloned
   *   when the task starts, and an input that cannot be is a `failure`)
   */
  offload<I, D>(task: Task<I, unknown>, input: NoInfer<I>, options?: OffloadOptions<D>): void;
}
