/**
 * The rows of tables, lists, and of everything that expires or was declared at run time.
 *
 * Owner and thread: the shard. Written when a turn applies and between turns (W4 of Rows).
 * E1. A row with an expiry has one EXPIRY row, with that time and the row's key; there are no other EXPIRY rows.
 * E2. The head of a table or list counts its rows, expired ones that are still there included. A table or list without
 *     rows has no head.
 * E3. `#due` has, per key group, a time not later than its first expiry.
 * E4. Time does not go back: what was found expired stays so.
 */
import { invariant } from "../base/invariant.js";
import { expiriesPerStepMax, expirySweepMs, tablePageRows, ttlAccessGrain } from "../base/limits.js";
import type { PayloadCodec } from "../codec/payload-codec.js";
import type { Ttl } from "../model/state.js";
import { keyGroupOfHash } from "../partition/key-groups.js";
import {
  addressPrefix,
  decodeEntryKey,
  expiryBound,
  expiryEnd,
  expiryKey,
  expiryOfKey,
  headKey,
  itemPrefix,
  prefixEnd,
} from "../store/entry-key.js";
import { columnOf, idOf, keyGroupOf, rowTable, stateKey, tableOf } from "../store/row-key.js";
import type { Instance } from "./instance.js";
import type { Part, PartPort } from "./part.js";
import type { FunctionEntry, RowColumn } from "./registry.js";
import { keyText, type StoredRow } from "./rows.js";
import { decodeHead, encodeHead, expiryOf, type Head, NEVER, withExpiry } from "./state-value.js";

/** Where the rows of one state of one address are. */
export interface StatePlace {
  readonly keyGroup: number;
  /** The bucket of everything of the address. */
  readonly bucket: string;
  readonly head: Uint8Array;
  readonly items: Uint8Array;
}

export class EntryRows implements Part {
  readonly #port: PartPort;
  readonly #due = new Map<number, number>();
  #earliest = NEVER;
  #now = 0;
  /** Not before this time is anything removed: what expires is removed together. */
  #sweepAt = 0;

  constructor(port: PartPort) {
    this.#port = port;
  }

  get codec(): PayloadCodec {
    return this.#port.codec;
  }

  // --- reading ------------------------------------------------------------------------------------------------------

  place({ hash, code, storedId }: Instance, column: RowColumn): StatePlace {
    const keyGroup = keyGroupOfHash(hash, this.#port.config.keyGroups);
    const address = addressPrefix(keyGroup, code, storedId);
    const [head, items] = [headKey(address, column.code), itemPrefix(address, column.code)];
    return { keyGroup, bucket: keyText(address), head, items };
  }

  get(bucket: string, key: Uint8Array): Uint8Array | undefined {
    return this.#port.rows.get(bucket, key);
  }

  head({ bucket, head }: StatePlace): Head | undefined {
    const bytes = this.get(bucket, head);
    return bytes === undefined ? undefined : decodeHead(bytes);
  }

  /** The next page of a range. */
  page(bucket: string, from: Uint8Array, to: Uint8Array): StoredRow[] {
    return this.#port.rows.scan(bucket, from, to, tablePageRows);
  }

  /** E4 */
  now(): number {
    this.#now = Math.max(this.#now, Math.floor(this.#port.clock.wall()));
    return this.#now;
  }

  isExpired(expiry: number): boolean {
    return expiry !== NEVER && expiry <= this.now();
  }

  /** When what is written now expires. */
  expiryFor(ttl: Ttl | undefined): number {
    return ttl === undefined ? NEVER : this.now() + ttl.ms;
  }

  /** The expiry that a read gives, undefined when it stays as it is. */
  extended(ttl: Ttl | undefined, expiry: number): number | undefined {
    if (ttl?.since !== "access") return undefined;
    const later = this.expiryFor(ttl);
    return expiry === NEVER || later - expiry >= ttl.ms * ttlAccessGrain ? later : undefined;
  }

  /** The keys of items of a state that have expired and are still there. */
  expiredItems({ keyGroup, items }: StatePlace): string[] {
    const due = this.#due.get(keyGroup) ?? NEVER;
    if (due > this.now()) return [];
    const prefix = keyText(items);
    const expired = this.#port.rows.scan(
      expiryBucket(keyGroup),
      expiryBound(keyGroup, due),
      expiryBound(keyGroup, this.now() + 1),
    );
    return expired.map(({ value }) => keyText(value)).filter((key) => key.startsWith(prefix));
  }

  // --- writing ------------------------------------------------------------------------------------------------------

  /** Puts a row; true when there was one. */
  put(bucket: string, key: Uint8Array, value: Uint8Array): boolean {
    const before = this.get(bucket, key);
    const expiry = expiryOf(value);
    const expiryBefore = before === undefined ? NEVER : expiryOf(before);
    this.#port.rows.put(bucket, key, value, this.#port.epoch);
    if (expiry === expiryBefore) return before !== undefined;
    if (expiryBefore !== NEVER) this.#forgetExpiry(key, expiryBefore);
    if (expiry !== NEVER) this.#noteExpiry(key, expiry);
    return before !== undefined;
  }

  /** Removes a row; true when there was one. */
  remove(bucket: string, key: Uint8Array): boolean {
    const before = this.get(bucket, key);
    if (before === undefined) return false;
    this.#port.rows.delete(bucket, key, this.#port.epoch);
    const expiry = expiryOf(before);
    if (expiry !== NEVER) this.#forgetExpiry(key, expiry);
    return true;
  }

  /** Gives a row another expiry, unless it is gone. */
  extend(bucket: string, key: Uint8Array, expiry: number): void {
    const bytes = this.get(bucket, key);
    if (bytes !== undefined) this.put(bucket, key, withExpiry(bytes, expiry));
  }

  /** Removes every row with a prefix; how many there were. */
  removeAll(bucket: string, prefix: Uint8Array): number {
    const end = prefixEnd(prefix);
    let count = 0;
    for (let page = this.page(bucket, prefix, end); page.length > 0; page = this.page(bucket, prefix, end)) {
      for (const { key } of page) this.remove(bucket, key);
      count += page.length;
    }
    return count;
  }

  /** E2 */
  putHead(place: StatePlace, head: Head): void {
    invariant(head.count >= 0, "a state has no less than no rows");
    if (head.count === 0) this.remove(place.bucket, place.head);
    else this.put(place.bucket, place.head, encodeHead(head));
  }

  /** Everything of an address goes. */
  destroy(entry: FunctionEntry, ownId: string, keyGroup: number): void {
    const id = entry.storedId(ownId);
    const address = addressPrefix(keyGroup, entry.code, id);
    const bucket = keyText(address);
    const end = prefixEnd(address);
    for (let page = this.page(bucket, address, end); page.length > 0; page = this.page(bucket, address, end)) {
      for (const { key, value } of page) {
        const place = decodeEntryKey(key);
        if (place?.kind === "head" && decodeHead(value).kind === "value")
          this.remove(valueBucket(keyGroup), stateKey(keyGroup, place.column, id));
        this.remove(bucket, key);
      }
    }
    for (const { spec, code } of entry.rowColumns)
      if (spec.kind === "value") this.remove(valueBucket(keyGroup), stateKey(keyGroup, code, id));
  }

  // --- expiry -------------------------------------------------------------------------------------------------------

  restore(): void {
    const { keyGroups } = this.#port.config;
    for (let keyGroup = 0; keyGroup < keyGroups; keyGroup++) if (this.#port.owns(keyGroup)) this.#findDue(keyGroup, 0);
    this.#findEarliest();
  }

  get nextDue(): number {
    if (this.#earliest === NEVER) return NEVER;
    return this.#port.clock.now() + Math.max(this.#earliest, this.#sweepAt) - this.now();
  }

  /** Removes what has expired, some per step. */
  step(): number {
    if (this.#earliest === NEVER || Math.max(this.#earliest, this.#sweepAt) > this.now()) return 0;
    let removed = 0;
    for (const [keyGroup, due] of this.#due) {
      if (due > this.now()) continue;
      removed += this.#sweep(keyGroup, due, expiriesPerStepMax - removed);
      if (removed >= expiriesPerStepMax) break;
      this.#findDue(keyGroup, due);
    }
    this.#findEarliest();
    if (removed < expiriesPerStepMax) this.#sweepAt = this.now() + expirySweepMs;
    if (removed > 0) this.#port.touch();
    return removed;
  }

  #sweep(keyGroup: number, from: number, budget: number): number {
    const until = expiryBound(keyGroup, this.now() + 1);
    const due = this.#port.rows.scan(expiryBucket(keyGroup), expiryBound(keyGroup, from), until, budget); // E3
    for (const { key, value: target } of due) {
      this.reclaim(target);
      this.#port.rows.delete(expiryBucket(keyGroup), key, this.#port.epoch); // also when it is a cell's by now
    }
    return due.length;
  }

  /** Removes an expired row, and what stands and falls with it. */
  reclaim(target: Uint8Array): void {
    if (tableOf(target) === rowTable.STATE) {
      if (!this.#isCell(target)) this.remove(valueBucket(keyGroupOf(target)), target);
      return;
    }
    const place = decodeEntryKey(target);
    if (place === undefined) return;
    const bucket = keyText(place.address);
    this.remove(bucket, target);
    if (place.kind === "head") this.removeAll(bucket, itemPrefix(place.address, place.column));
    else this.#uncount(bucket, headKey(place.address, place.column));
  }

  /** The declaration has no time to live any more: the row is a cell's, which may have a newer value. */
  #isCell(key: Uint8Array): boolean {
    const code = columnOf(key);
    const { registry } = this.#port;
    for (const { columns } of registry.byCode.values()) if (columns.some((column) => column.code === code)) return true;
    const [type, id] = idOf(key).split("\0", 2); // of a type that a namespace makes, which it may not have made yet
    if (id === undefined) return false;
    return registry.restored(type)?.columns.some((column) => column.code === code) === true;
  }

  #uncount(bucket: string, key: Uint8Array): void {
    const bytes = this.get(bucket, key);
    if (bytes === undefined) return;
    const head = decodeHead(bytes);
    if (head.count === 1) this.remove(bucket, key);
    else this.put(bucket, key, encodeHead({ ...head, count: head.count - 1 }));
  }

  /** E1 */
  #noteExpiry(key: Uint8Array, expiry: number): void {
    const keyGroup = keyGroupOf(key);
    this.#port.rows.put(expiryBucket(keyGroup), expiryKey(key, expiry), key, this.#port.epoch);
    if (expiry < (this.#due.get(keyGroup) ?? NEVER)) this.#due.set(keyGroup, expiry); // E3
    if (expiry < this.#earliest) this.#earliest = expiry;
  }

  #forgetExpiry(key: Uint8Array, expiry: number): void {
    this.#port.rows.delete(expiryBucket(keyGroupOf(key)), expiryKey(key, expiry), this.#port.epoch);
  }

  /** Nothing expires before `from`. */
  #findDue(keyGroup: number, from: number): void {
    const bucket = expiryBucket(keyGroup);
    const [first] = this.#port.rows.scan(bucket, expiryBound(keyGroup, from), expiryEnd(keyGroup), 1);
    if (first === undefined) this.#due.delete(keyGroup);
    else this.#due.set(keyGroup, expiryOfKey(first.key));
  }

  #findEarliest(): void {
    this.#earliest = NEVER;
    for (const due of this.#due.values()) if (due < this.#earliest) this.#earliest = due;
  }
}

/** The bucket of values that are rows. */
export function valueBucket(keyGroup: number): string {
  return `value ${keyGroup}`;
}

function expiryBucket(keyGroup: number): string {
  return `expiry ${keyGroup}`;
}
