/** What the state of a function is made of. */
import { HoldfastError } from "../base/errors.js";
import { ttlMsMax } from "../base/limits.js";
import { freezePlain } from "../codec/plain-data.js";
import { checkSchema, type Schema, validate } from "../model/schema.js";
import type { ListSpec, StateSpec, TableKey, TableSpec, Ttl, ValueSpec } from "../model/state.js";

/** What `value`, `table` and `list` take. */
export interface StateOptions<T> {
  /** Checks the value at every `set`, each value of a table, each item of a list. */
  readonly schema?: Schema<T>;
  /** How long it lives: the value, each entry of a table by itself, a list as a whole. Default: for ever. */
  readonly ttl?: Ttl;
}

/**
 * Declares one persisted value with its initial value, or, without one, a value that is undefined at first.
 *
 * @param options `schema`: checked at every `set`; `ttl`: how long a value lives that was set (default: for ever)
 * @throws `HF_BAD_SCHEMA`, `HF_SCHEMA` when the initial value does not fit, `HF_BAD_APP` for a `ttl` that is none
 */
export function value<T>(initial: T, options?: StateOptions<T>): ValueSpec<T>;
export function value<T>(): ValueSpec<T | undefined>;
export function value<T>(initial?: T, options: StateOptions<T> = {}): ValueSpec<T | undefined> {
  const { schema, ttl } = checked(options);
  if (schema !== undefined && initial !== undefined) validate(schema, initial, "the initial value");
  return { kind: "value", initial, schema: schema as Schema<T | undefined> | undefined, ttl };
}

/**
 * Declares a table: entries by key, each stored by itself. For collections that are too large to read and write as one
 * value. Keys are strings, numbers other than NaN, bigints and booleans, at most 64 KiB.
 *
 * @param options `schema`: checks each value that is set; `ttl`: how long each entry lives (default: for ever)
 * @throws `HF_BAD_SCHEMA`, `HF_BAD_APP` for a `ttl` that is none
 */
export function table<K extends TableKey, V>(options: StateOptions<V> = {}): TableSpec<K, V> {
  const { schema, ttl } = checked(options);
  return { kind: "table", schema, ttl };
}

/**
 * Declares a list, for what is only appended to and read as a whole. Each item is stored by itself.
 *
 * @param options `schema`: checks each item; `ttl`: how long the list lives, as a whole (default: for ever)
 * @throws `HF_BAD_SCHEMA`, `HF_BAD_APP` for a `ttl` that is none
 */
export function list<T>(options: StateOptions<T> = {}): ListSpec<T> {
  const { schema, ttl } = checked(options);
  return { kind: "list", schema, ttl };
}

/** Refuses what is no declaration of state, or has a name that it cannot have. */
export function checkStateSpec(name: string, type: string, spec: StateSpec): void {
  if (name === "register")
    throw new HoldfastError("HF_BAD_APP", `a state of ${type} is called register, as ctx.state.register is: rename it`);
  if (spec?.kind !== "value" && spec?.kind !== "table" && spec?.kind !== "list")
    throw new HoldfastError("HF_BAD_APP", `state ${name} of ${type} was not made by value, table or list`);
  if (spec.kind === "value") freezePlain(spec.initial, `initial value of ${type} ${name}`);
}

function checked<T>({ schema, ttl }: StateOptions<T>): { schema: Schema<T> | undefined; ttl: Ttl | undefined } {
  if (schema !== undefined) checkSchema(schema, "state");
  if (ttl === undefined) return { schema, ttl };
  const { ms, since = "write" } = ttl;
  if (!Number.isSafeInteger(ms) || ms < 1 || ms > ttlMsMax)
    throw new HoldfastError("HF_BAD_APP", "ttl.ms is a whole number of milliseconds, from 1 to a hundred years");
  if (since !== "write" && since !== "access")
    throw new HoldfastError("HF_BAD_APP", 'ttl.since is "write" or "access"');
  return { schema, ttl: { ms, since } };
}
