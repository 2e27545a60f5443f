/** The handle a function gets with each message. */
import type { Address, AnyAddress } from "./address.js";
import type { EgressDefinition } from "./egress.js";
import type { StateHandles, StateSpecs } from "./state.js";

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
  /** The function that sent the message, or undefined for one from an ingress, `app.send` or `app.ask`. */
  readonly caller: AnyAddress | undefined;
  /**
   * The same in every attempt of this turn, on every restart, and different for every message: the idempotency key
   * for calls to the outside.
   */
  readonly messageId: string;
  /** The state declared by this function, at this address. */
  readonly state: StateHandles<S>;
  /**
   * Sends a message. It is copied; order per pair of addresses is kept.
   *
   * @throws `HF_BAD_VALUE`, `HF_UNKNOWN_FUNCTION`
   */
  send<T>(to: Address<T, unknown>, message: NoInfer<T>): void;
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
}
