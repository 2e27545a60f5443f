/**
 * The handle of a list in one context. Items have rows of their own; the head has their number and the expiry of all.
 *
 * Owner: a turn's context. Thread: the shard's.
 * L1. The items of the list are those of the rows, unless the turn replaced them or the head has expired, then what the
 *     turn has appended.
 */
import { copyPlain } from "../codec/plain-data.js";
import type { ListHandle } from "../model/state.js";
import { indexKey, prefixEnd } from "../store/entry-key.js";
import { RowHandle } from "./row-handle.js";
import { encodeStateValue, NEVER } from "./state-value.js";

interface StagedItem {
  readonly value: unknown;
  readonly mutable: boolean;
  readonly bytes: Uint8Array;
}

export class ListRowHandle extends RowHandle implements ListHandle<unknown> {
  readonly #appended: StagedItem[] = [];
  #replaced = false;
  #written = false;
  /** The expiry that writes and reads of this turn give the list. */
  #expiry: number | undefined = undefined;
  /** The stored items, once they were read. */
  #read: readonly unknown[] | undefined = undefined;

  append(item: unknown): void {
    this.instance;
    this.#add([item]);
  }

  appendAll(items: Iterable<unknown>): void {
    this.instance;
    this.#add(items);
  }

  replaceWith(items: Iterable<unknown>): void {
    this.instance;
    const staged = this.#staged(items);
    this.clear();
    this.#keep(staged);
  }

  view(): never {
    this.instance;
    const stored = this.#storedCount();
    const read = stored === 0 ? [] : this.#storedItems();
    if (stored > 0) this.#expiry = this.rows.extended(this.column.spec.ttl, this.#expiryNow()) ?? this.#expiry;
    const own = this.#appended.map(({ value, mutable }) => (mutable ? copyPlain(value, this.what) : value));
    return Object.freeze([...read, ...own]) as never;
  }

  get length(): number {
    this.instance;
    return this.#storedCount() + this.#appended.length;
  }

  clear(): void {
    this.instance;
    this.#replaced = true;
    this.#written = true;
    this.#appended.length = 0;
    this.#expiry = undefined;
  }

  protected override write(): void {
    const { place, rows } = this;
    const head = rows.head(place);
    const stored = this.#storedCount(); // L1
    if (this.#written) {
      if (head !== undefined && stored === 0) rows.removeAll(place.bucket, place.items);
      for (const [n, { bytes }] of this.#appended.entries()) this.writeItem(stored + n, bytes);
      const count = stored + this.#appended.length;
      rows.putHead(place, { kind: "list", count, expiry: this.#expiry ?? NEVER });
    } else if (this.#expiry !== undefined) rows.extend(place.bucket, place.head, this.#expiry);
  }

  /** Puts the row of the n-th item. */
  writeItem(index: number, bytes: Uint8Array): void {
    const { place } = this;
    this.rows.put(place.bucket, indexKey(place.items, index), bytes);
  }

  protected override reset(): void {
    this.#appended.length = 0;
    this.#replaced = false;
    this.#written = false;
    this.#expiry = undefined;
    this.#read = undefined;
  }

  #add(items: Iterable<unknown>): void {
    this.#keep(this.#staged(items));
  }

  #staged(items: Iterable<unknown>): StagedItem[] {
    return Array.from(items, (item) => {
      const { value, mutable } = this.taken(item);
      return { value, mutable, bytes: encodeStateValue(this.rows.codec, value, NEVER) };
    });
  }

  #keep(staged: readonly StagedItem[]): void {
    if (staged.length === 0) return;
    if (this.#storedCount() === 0) this.#replaced = true; // the new expiry is not for what has expired
    for (const item of staged) this.#appended.push(item);
    this.#written = true;
    const { ttl } = this.column.spec;
    this.#expiry = ttl === undefined ? undefined : this.rows.expiryFor(ttl);
  }

  #expiryNow(): number {
    return this.#expiry ?? this.rows.head(this.place)?.expiry ?? NEVER;
  }

  /** L1 */
  #storedCount(): number {
    if (this.#replaced) return 0;
    const head = this.rows.head(this.place);
    return head === undefined || this.rows.isExpired(this.#expiryNow()) ? 0 : head.count;
  }

  #storedItems(): readonly unknown[] {
    this.#read ??= this.#readItems();
    return this.#read;
  }

  #readItems(): unknown[] {
    const { bucket, items } = this.place;
    const end = prefixEnd(items);
    const read: unknown[] = [];
    for (let page = this.rows.page(bucket, items, end); page.length > 0; ) {
      for (const { value } of page) read.push(this.decoded(value));
      page = this.rows.page(bucket, indexKey(items, read.length), end);
    }
    return read;
  }
}
