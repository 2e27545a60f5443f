/** The handle a function gets with each message. */
import type { Address, AnyAddress } from "./address.js";
import type { EgressDefinition } from "./egress.js";
import type { StateHandles, StateSpecs } from "./state.js";

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
  /**
   * Aborted when the turn is given up: after its time limit (`HF_TURN_TIMEOUT`), by `app.cancel` (`HF_CANCELLED`) or
   * because the application stops (`HF_STOPPED`); `signal.reason` is the error. Pass it to what an async turn waits for.
   */
  readonly signal: AbortSignal;
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
   * Answers the message: resolves the caller's `app.ask`, or sends to the calling function.
   *
   * @throws `HF_NO_CALLER` when the message has neither; `HF_BAD_VALUE`
   */
  reply(message: R): void;
}
