/** Declarations of state and the handles a turn sees. */
import type { Schema } from "./schema.js";

/** What the key of a table may be; a number other than NaN. */
export type TableKey = string | number | bigint | boolean;

/** Makes every part of a value readonly for the compiler; at run time it is frozen or a copy. */
export type DeepReadonly<T> = T extends (infer E)[]
  ? readonly DeepReadonly<E>[]
  : T extends Date | Uint8Array | Map<unknown, unknown> | Set<unknown> | ArrayBufferView
    ? T
    : T extends object
      ? { readonly [K in keyof T]: DeepReadonly<T[K]> }
      : T;

/** How long state lives. */
export interface Ttl {
  /** Milliseconds, a whole number from 1 to a hundred years. */
  readonly ms: number;
  /**
   * From when the time counts: the last write (default), or the last read or write. A read counts once it moves the end
   * by a tenth of `ms`, so reads in quick succession cost no writes.
   */
  readonly since?: "write" | "access";
}

/** The declaration of one persisted value. Made by `value`. */
export interface ValueSpec<T> {
  readonly kind: "value";
  /** What `get` returns while nothing was set. */
  readonly initial: T;
  readonly schema: Schema<T> | undefined;
  /** When the value goes back to the initial one. */
  readonly ttl?: Ttl | undefined;
}

declare const tableOf: unique symbol;
declare const listOf: unique symbol;

/** The declaration of a table. Made by `table`. */
export interface TableSpec<K extends TableKey, V> {
  readonly kind: "table";
  /** Exists for the compiler only. */
  readonly [tableOf]?: readonly [K, V];
  readonly schema: Schema<V> | undefined;
  /** When an entry goes; each has a time of its own. */
  readonly ttl: Ttl | undefined;
}

/** The declaration of a list. Made by `list`. */
export interface ListSpec<T> {
  readonly kind: "list";
  /** Exists for the compiler only. */
  readonly [listOf]?: T;
  readonly schema: Schema<T> | undefined;
  /** When the list is emptied, as a whole. */
  readonly ttl: Ttl | undefined;
}

/** Every kind of state declaration. */
// biome-ignore lint/suspicious/noExplicitAny: the value type is irrelevant to who only needs "some spec"
export type StateSpec = ValueSpec<any> | TableSpec<any, any> | ListSpec<any>;
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

/**
 * A table as a turn sees it: entries by key, each stored by itself, so that a turn reads and writes only what it
 * touches. Changes apply when the turn ends, or not at all when it throws.
 *
 * Every method throws `HF_TURN_ENDED` after the turn, and `HF_BAD_VALUE` for a key that is not a string, a bigint, a
 * boolean or a number other than NaN. As in a Map, -0 is the key 0, and 1, "1" and 1n are three keys.
 */
export interface TableHandle<K extends TableKey, V> {
  /** The value of a key, undefined when there is none. Frozen, or a copy. */
  get(key: K): DeepReadonly<V> | undefined;
  /**
   * Sets an entry. The value is copied.
   *
   * @throws `HF_BAD_VALUE` when it is not plain data, `HF_SCHEMA` when it does not fit the schema, `HF_TOO_LARGE`
   */
  set(key: K, value: V): void;
  /** Sets what `change` makes of a mutable copy of the value, undefined when there is none, and returns it. Errors as `set`. */
  update(key: K, change: (value: V | undefined) => V): V;
  /** Removes an entry; true when there was one. */
  delete(key: K): boolean;
  has(key: K): boolean;
  /**
   * The entries in the order of the keys (booleans, numbers, bigints, strings; strings by code units, as far as their
   * first 90 or so go). Read page by page: memory does not grow with the table. What is changed while iterating is seen,
   * what is added may be.
   */
  entries(): IterableIterator<[K, DeepReadonly<V>]>;
  /** The keys, as `entries`. */
  keys(): IterableIterator<K>;
  /** The values, as `entries`. */
  values(): IterableIterator<DeepReadonly<V>>;
  /** The number of entries. Counted, not found by looking at them. */
  readonly size: number;
  /** Removes every entry: work for each of them. */
  clear(): void;
}

/**
 * A list as a turn sees it: appending costs the same however long it is. Changes apply when the turn ends, or not at all
 * when it throws. Every method throws `HF_TURN_ENDED` after the turn.
 */
export interface ListHandle<T> {
  /**
   * Adds an item at the end. It is copied.
   *
   * @throws `HF_BAD_VALUE` when it is not plain data, `HF_SCHEMA` when it does not fit the schema, `HF_TOO_LARGE`
   */
  append(item: T): void;
  /** Adds items at the end, all or, when one is refused, none. Errors as `append`. */
  appendAll(items: Iterable<T>): void;
  /** Replaces all items, or, when one is refused, none; no items are the same as `clear`. Errors as `append`. */
  replaceWith(items: Iterable<T>): void;
  /** All items, read into memory: a frozen array of frozen values or copies. */
  view(): readonly DeepReadonly<T>[];
  /** The number of items. Counted, not found by looking at them. */
  readonly length: number;
  /** Removes every item: work for each of them. */
  clear(): void;
}

/** The handle of one declaration. */
export type StateHandle<S> =
  S extends ValueSpec<infer T>
    ? ValueHandle<T>
    : S extends TableSpec<infer K, infer V>
      ? TableHandle<K, V>
      : S extends ListSpec<infer T>
        ? ListHandle<T>
        : never;

/** The handles of a function's state, by name. */
export type StateHandles<S extends StateSpecs> = {
  readonly [K in keyof S]: StateHandle<S[K]>;
};

/** What `ctx.state` has beside the declared states. */
export interface StateRegister {
  /**
   * State that is declared while the application runs, at the address of this turn: the handle of that name, as if it
   * had been declared. Nothing is stored before the first write. Call it in every turn that uses the state.
   *
   * @throws `HF_BAD_NAME`, `HF_BAD_SCHEMA`; `HF_BAD_VALUE` when the function declares a state of that name, when the name
   *   was registered as another kind, or when two names have the same 32-bit code
   */
  register<S extends StateSpec>(name: string, spec: S): StateHandle<S>;
}
