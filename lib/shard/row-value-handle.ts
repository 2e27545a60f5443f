/**
 * The handle of a value that is a row and not a cell: one that expires, or was declared at run time. It lies under the
 * same key as a cell would, so a declaration may change. One declared at run time has a head, so that `destroy` finds it.
 *
 * Owner: a turn's context. Thread: the shard's.
 */
import { copyPlain } from "../codec/plain-data.js";
import type { ValueHandle } from "../model/state.js";
import { stateKey } from "../store/row-key.js";
import { valueBucket } from "./entry-rows.js";
import { ABSENT } from "./instance.js";
import { RowHandle } from "./row-handle.js";
import { encodeHead, encodeStateValue, expiryOf, NEVER } from "./state-value.js";

export class RowValueHandle extends RowHandle implements ValueHandle<unknown> {
  #touched = false;
  #value: unknown = ABSENT;
  #mutable = false;
  #bytes: Uint8Array | undefined = undefined;
  /** The expiry that this turn gives the value. */
  #expiry: number | undefined = undefined;

  get(): never {
    this.instance;
    if (this.#touched) return this.#own() as never;
    const bytes = this.#stored();
    if (bytes === undefined) return this.#initial() as never;
    this.#expiry = this.rows.extended(this.column.spec.ttl, this.#expiry ?? expiryOf(bytes)) ?? this.#expiry;
    return this.decoded(bytes) as never;
  }

  set(given: unknown): void {
    const { value, mutable } = this.taken(given);
    this.instance;
    const expiry = this.rows.expiryFor(this.column.spec.ttl);
    this.#bytes = encodeStateValue(this.rows.codec, value, expiry);
    this.#expiry = expiry;
    this.#value = value;
    this.#mutable = mutable;
    this.#touched = true;
  }

  update(change: (value: never) => unknown): never {
    const value = this.get() as unknown;
    const changed = change(
      (typeof value === "object" && value !== null ? copyPlain(value, this.what) : value) as never,
    );
    this.set(changed);
    return changed as never;
  }

  clear(): void {
    this.instance;
    this.reset();
    this.#touched = true;
  }

  protected override write(): void {
    const { place, rows } = this;
    const key = this.#key();
    const bucket = valueBucket(place.keyGroup);
    if (!this.#touched) {
      if (this.#expiry === undefined) return;
      rows.extend(bucket, key, this.#expiry);
      if (this.column.registered) rows.extend(place.bucket, place.head, this.#expiry);
      return;
    }
    if (this.#bytes === undefined) rows.remove(bucket, key);
    else rows.put(bucket, key, this.#bytes);
    if (!this.column.registered) return;
    if (this.#bytes === undefined) rows.remove(place.bucket, place.head);
    else rows.put(place.bucket, place.head, encodeHead({ kind: "value", count: 1, expiry: this.#expiry ?? NEVER }));
  }

  protected override reset(): void {
    this.#touched = false;
    this.#value = ABSENT;
    this.#mutable = false;
    this.#bytes = undefined;
    this.#expiry = undefined;
  }

  #own(): unknown {
    if (this.#value === ABSENT || this.rows.isExpired(this.#expiry ?? NEVER)) return this.#initial();
    return this.#mutable ? copyPlain(this.#value, this.what) : this.#value;
  }

  #initial(): unknown {
    const { initial, copyInitial } = this.column;
    return copyInitial ? copyPlain(initial, this.what) : initial;
  }

  #stored(): Uint8Array | undefined {
    const bytes = this.rows.get(valueBucket(this.place.keyGroup), this.#key());
    return bytes === undefined || this.rows.isExpired(this.#expiry ?? expiryOf(bytes)) ? undefined : bytes;
  }

  #key(): Uint8Array {
    return stateKey(this.place.keyGroup, this.column.code, this.instance.storedId);
  }
}
