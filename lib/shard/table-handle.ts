/**
 * The handle of a table in one context. Reads look at what the turn has staged, then at the rows.
 *
 * Owner: a turn's context. Thread: the shard's.
 * B1. `#staged` has what the turn set and deleted, by key of the row; after `clear` the rows are not looked at.
 * B2. The rows may lose expired entries while an async turn goes on; what a write adds to the count is found out when it
 *     is applied.
 */
import { HoldfastError } from "../base/errors.js";
import { copyPlain } from "../codec/plain-data.js";
import { decodeTableKey, encodeTableKey } from "../codec/table-key.js";
import type { TableHandle, TableKey } from "../model/state.js";
import { isCut, itemKey, prefixEnd } from "../store/entry-key.js";
import { ABSENT } from "./instance.js";
import { RowHandle, turnIsOver } from "./row-handle.js";
import { keyBytes, keyText, type StoredRow } from "./rows.js";
import { encodeStateValue, expiryOf, NEVER, wholeKeyOf } from "./state-value.js";

/** An entry that the turn set or, with ABSENT, deleted. */
interface StagedEntry {
  readonly key: Uint8Array;
  readonly value: unknown;
  readonly mutable: boolean;
  readonly bytes: Uint8Array | undefined;
  readonly expiry: number;
}

/** An entry on the way through an iteration. */
interface FoundEntry {
  readonly key: Uint8Array;
  readonly staged: StagedEntry | undefined;
  readonly bytes: Uint8Array;
}

export class TableRowHandle extends RowHandle implements TableHandle<TableKey, unknown> {
  readonly #staged = new Map<string, StagedEntry>();
  /** Expiries that reads have moved. */
  readonly #extended = new Map<string, number>();
  #cleared = false;

  get(key: TableKey): never {
    const [row] = this.#keyOf(key);
    const staged = this.#stagedAt(row);
    if (staged !== undefined) return stagedValue(staged) as never;
    const bytes = this.#stored(row, key);
    if (bytes === undefined) return undefined as never;
    this.#extend(row, bytes);
    return this.decoded(bytes) as never;
  }

  set(key: TableKey, value: unknown): void {
    const [row, entryKey] = this.#keyOf(key);
    const frozen = this.taken(value);
    const expiry = this.rows.expiryFor(this.column.spec.ttl);
    const bytes = encodeStateValue(this.rows.codec, frozen.value, expiry, isCut(entryKey) ? entryKey : undefined);
    this.#staged.set(keyText(row), { key: row, value: frozen.value, mutable: frozen.mutable, bytes, expiry });
  }

  update(key: TableKey, change: (value: never) => unknown): never {
    const [row] = this.#keyOf(key);
    const staged = this.#stagedAt(row);
    const bytes = staged === undefined ? this.#stored(row, key) : undefined;
    const before = staged === undefined ? bytes && this.mutable(bytes) : stagedValue(staged);
    const changed = change((staged === undefined ? before : copyPlain(before, this.what)) as never);
    this.set(key, changed);
    return changed as never;
  }

  delete(key: TableKey): boolean {
    const [row] = this.#keyOf(key);
    const there = this.has(key);
    this.#staged.set(keyText(row), { key: row, value: ABSENT, mutable: false, bytes: undefined, expiry: NEVER });
    return there;
  }

  has(key: TableKey): boolean {
    const [row] = this.#keyOf(key);
    const staged = this.#stagedAt(row);
    return staged === undefined ? this.#stored(row, key) !== undefined : staged.value !== ABSENT;
  }

  entries(): Generator<[TableKey, never], undefined> {
    return this.#each((found, items) => [keyIn(found, items), this.#valueIn(found) as never]);
  }

  keys(): Generator<never, undefined> {
    return this.#each((found, items) => keyIn(found, items) as never);
  }

  values(): Generator<never, undefined> {
    return this.#each((found) => this.#valueIn(found) as never);
  }

  get size(): number {
    const { place } = this;
    let size = this.#cleared ? 0 : (this.rows.head(place)?.count ?? 0);
    const expired = new Set(this.#cleared ? [] : this.rows.expiredItems(place));
    for (const text of expired) if (this.rows.isExpired(this.#extended.get(text) ?? 0)) size--;
    for (const [text, staged] of this.#staged) {
      if (this.#live(text, staged.key) !== undefined) size--;
      if (this.#stagedAt(staged.key)?.value !== ABSENT) size++;
    }
    return size;
  }

  clear(): void {
    this.instance;
    this.#cleared = true;
    this.#staged.clear();
    this.#extended.clear();
  }

  protected override write(): void {
    const { place } = this;
    let change = this.#cleared ? -this.rows.removeAll(place.bucket, place.items) : 0;
    for (const { key, bytes } of this.#staged.values()) change += this.writeEntry(key, bytes); // B2
    for (const [text, expiry] of this.#extended)
      if (!this.#staged.has(text)) this.rows.extend(place.bucket, keyBytes(text), expiry);
    if (change !== 0) {
      const count = (this.rows.head(place)?.count ?? 0) + change;
      this.rows.putHead(place, { kind: "table", count, expiry: NEVER });
    }
  }

  /** Puts or removes the row of an entry; by how much that changes their number. */
  writeEntry(key: Uint8Array, bytes: Uint8Array | undefined): number {
    const { bucket } = this.place;
    if (bytes === undefined) return this.rows.remove(bucket, key) ? -1 : 0;
    return this.rows.put(bucket, key, bytes) ? 0 : 1;
  }

  protected override reset(): void {
    this.#staged.clear();
    this.#extended.clear();
    this.#cleared = false;
  }

  /** The key of the row of an entry, and the entry's own. */
  #keyOf(key: TableKey): [row: Uint8Array, entryKey: Uint8Array] {
    const { items } = this.place;
    const entryKey = encodeTableKey(key, this.what);
    return [itemKey(items, entryKey), entryKey];
  }

  /** What the turn has made of an entry; deleted when that has expired by now. */
  #stagedAt(row: Uint8Array): StagedEntry | undefined {
    const staged = this.#staged.get(keyText(row));
    return staged !== undefined && this.rows.isExpired(staged.expiry) ? { ...staged, value: ABSENT } : staged;
  }

  #stored(row: Uint8Array, key: TableKey): Uint8Array | undefined {
    const bytes = this.#live(keyText(row), row);
    const whole = bytes && wholeKeyOf(bytes);
    if (whole !== undefined && Buffer.compare(whole, encodeTableKey(key, this.what)) !== 0) {
      throw new HoldfastError("HF_STATE_DAMAGED", `${this.what}: an entry lies under the hash of another key`, {
        address: this.instance.toString(),
      });
    }
    return bytes;
  }

  /** The row of an entry as it is stored, unless it has expired. */
  #live(text: string, row: Uint8Array): Uint8Array | undefined {
    if (this.#cleared) return undefined;
    const bytes = this.rows.get(this.place.bucket, row);
    return bytes === undefined || this.#isExpired(text, bytes) ? undefined : bytes;
  }

  #isExpired(text: string, bytes: Uint8Array): boolean {
    return this.rows.isExpired(this.#extended.get(text) ?? expiryOf(bytes));
  }

  #extend(row: Uint8Array, bytes: Uint8Array): void {
    const text = keyText(row);
    const later = this.rows.extended(this.column.spec.ttl, this.#extended.get(text) ?? expiryOf(bytes));
    if (later !== undefined) this.#extended.set(text, later);
  }

  #valueIn({ key, staged, bytes }: FoundEntry): unknown {
    if (staged !== undefined) return stagedValue(staged);
    this.#extend(key, bytes);
    return this.decoded(bytes);
  }

  #each<T>(pick: (found: FoundEntry, items: Uint8Array) => T): Generator<T, undefined> {
    const { items } = this.place;
    return this.#picked(pick, items, this.turn);
  }

  *#picked<T>(
    pick: (found: FoundEntry, items: Uint8Array) => T,
    items: Uint8Array,
    turn: number,
  ): Generator<T, undefined> {
    for (const found of this.#found(turn)) {
      yield pick(found, items);
      this.#check(turn);
    }
  }

  /** The entries in order: what the turn has staged by now, merged into the rows. */
  *#found(turn: number): Generator<FoundEntry> {
    this.#check(turn);
    const staged = [...this.#staged.keys()].sort();
    let next = 0;
    for (const { key, value: bytes } of this.#storedRows(turn)) {
      const text = keyText(key);
      while (next < staged.length && staged[next] < text) yield* this.#stagedFound(staged[next++]);
      if (staged[next] === text) next++;
      if (this.#staged.has(text)) yield* this.#stagedFound(text);
      else if (!this.#cleared && !this.#isExpired(text, bytes)) yield { key, staged: undefined, bytes };
    }
    while (next < staged.length) yield* this.#stagedFound(staged[next++]);
  }

  *#stagedFound(text: string): Generator<FoundEntry> {
    const staged = this.#staged.get(text);
    if (staged?.bytes !== undefined && !this.rows.isExpired(staged.expiry))
      yield { key: staged.key, staged, bytes: staged.bytes };
  }

  /** The stored rows, page by page. */
  *#storedRows(turn: number): Generator<StoredRow> {
    const { place } = this;
    const end = prefixEnd(place.items);
    for (let from = place.items; !this.#cleared; ) {
      const page = this.rows.page(place.bucket, from, end);
      yield* page;
      const last = page.at(-1);
      if (last === undefined) return;
      this.#check(turn);
      from = after(last.key);
    }
  }

  #check(turn: number): void {
    if (turn !== this.turn) throw turnIsOver();
    this.instance;
  }
}

function stagedValue({ value, mutable }: StagedEntry): unknown {
  if (value === ABSENT) return undefined;
  return mutable ? copyPlain(value, "value") : value;
}

function keyIn({ key, bytes }: FoundEntry, items: Uint8Array): TableKey {
  return decodeTableKey(wholeKeyOf(bytes) ?? key.subarray(items.length));
}

/** The first key behind a key. */
function after(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}
