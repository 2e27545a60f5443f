/** Declarations of state and the handles a turn sees. */
import type { Schema } from "./schema.js";

/** Makes every part of a value readonly for the compiler; at run time it is frozen or a copy. */
export type DeepReadonly<T> = T extends (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends Date | Uint8Array | Map<unknown, unknown> | Set<unknown> | ArrayBufferView
    ? T
    : T extends object
      ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T;

/** The declaration of one persisted value. Made by `value`. */
export interface ValueSpec<T> {
  readonly kind: "value";
  /** What `get` returns while nothing was set. */
  readonly initial: T;
  readonly schema: Schema<T> | undefined;
}

/** Every kind of state declaration. */
// biome-ignore lint/suspicious/noExplicitAny: the value type is irrelevant to who only needs "some spec"
export type StateSpec = ValueSpec<any>;
/** The `state` part of a function definition: names to declarations. */
export type StateSpecs = { readonly [name: string]: StateSpec };

/** One persisted value as a turn sees it. Changes apply when the turn ends, or not at all when it throws. */
export interface ValueHandle<T> {
  /** The value as of this turn; the declared initial value when nothing is stored. Frozen, or a copy. */
  get(): DeepReadonly<T>;
  /**
   * Replaces the value. The value is copied.
   *
   * @throws `HF_BAD_VALUE` when it is not plain data, `HF_SCHEMA` when it does not fit the schema.
   */
  set(value: T): void;
  /** Sets what `change` makes of a mutable copy of the value, and returns it. Errors as `set`. */
  update(change: (value: T) => T): T;
  /** Back to the initial value; nothing is stored any more. */
  clear(): void;
}

/** The handles of a function's state, by name. */
export type StateHandles<S extends StateSpecs> = {
  readonly [K in keyof S]: S[K] extends ValueSpec<infer T> ? ValueHandle<T> : never;
};
