/** Asynchronous operations: work that a turn starts and does not wait for. Its result is a message to the same address. */

/** How an operation failed, as plain data. */
export interface OperationError {
  /** The name of the error's class, `Error` for what is not an error. */
  readonly name: string;
  /** At most 8,000 code units; longer ones are cut. */
  readonly message: string;
  /** `HF_OPERATION_TIMEOUT`, `HF_BAD_VALUE`, …, or the `code` of the error that was thrown, if it has one. */
  readonly code: string | undefined;
}

/**
 * The message that brings the outcome of an operation. Make it part of a function's message type:
 * `receive(ctx, message: Order | OperationResult<Price, { order: string }>)`, and tell it apart by its `kind` or with
 * `isOperationResult`.
 *
 * `T` is what the operation resolves to, `D` the metadata it was started with.
 */
export type OperationResult<T = unknown, D = undefined> =
  | {
      readonly kind: "operation";
      readonly status: "success";
      readonly value: T;
      readonly error: undefined;
      readonly metadata: D;
    }
  | {
      readonly kind: "operation";
      readonly status: "failure";
      readonly value: undefined;
      readonly error: OperationError;
      readonly metadata: D;
    }
  | {
      /** It was under way when its thread or the process ended: it may or may not have had its effect outside. */
      readonly kind: "operation";
      readonly status: "unknown";
      readonly value: undefined;
      readonly error: undefined;
      readonly metadata: D;
    };

/** True for the outcome of an operation; narrows a message type that has some among others. */
export function isOperationResult<M>(message: M): message is Extract<M, { readonly kind: "operation" }> {
  return typeof message === "object" && message !== null && (message as { kind?: unknown }).kind === "operation";
}

/** What the function that does an operation is given. */
export interface OperationScope {
  /** Fires at the operation's timeout, and when the application stops: pass it to what is waited for. */
  readonly signal: AbortSignal;
}

/** How an operation runs. */
export interface OperationOptions {
  /**
   * Milliseconds from its start after which it has failed with `HF_OPERATION_TIMEOUT`, whatever it does later. 1 to
   * 2,147,483,647; 600,000 (ten minutes) by default.
   */
  readonly timeoutMs?: number;
}

/** How an offloaded task runs. */
export interface OffloadOptions<D> extends OperationOptions {
  /** Comes back with the result; plain data of at most 64 KiB encoded, durable with the turn. */
  readonly metadata?: D;
  /**
   * Buffers of `input` that move to the task and are not copied. They must not be used afterwards; the move happens
   * after the turn was applied.
   */
  readonly transfer?: readonly ArrayBuffer[];
  /** Ends the task when it fires; the status is then `failure`. */
  readonly signal?: AbortSignal;
}
