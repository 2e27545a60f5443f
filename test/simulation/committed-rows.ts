/**
 * The committed rows of one shard in the order in which they are asked for: by key, by table, state by its column too.
 *
 * Owner: the ledger; one thread.
 * C1. A row object stands for one value: another value of its key is another object. So what was once read of a row is
 *     kept with it, and an audit at a commit costs what the commit has changed.
 */
import { columnOf, keyGroupOf, metaKeyGroup, rowTable, tableOf } from "../../lib/store/row-key.js";

export interface LedgerRow {
  readonly text: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** The id in the key of a state, once it was looked at. */
  id: string | undefined;
  /** What the ledger has read in the value (C1). */
  read: unknown;
}

const none: readonly LedgerRow[] = [];

export class CommittedRows {
  /** Values by key text. */
  readonly all = new Map<string, Uint8Array>();
  readonly #rows = new Map<string, LedgerRow>();
  readonly #tables = new Map<number, Set<LedgerRow>>();
  readonly #columns = new Map<number, Set<LedgerRow>>();

  /** Those that a recovery has dealt to one shard. */
  static of(dealt: ReadonlyMap<string, Uint8Array>): CommittedRows {
    const rows = new CommittedRows();
    for (const [text, value] of dealt) rows.set(text, Buffer.from(text, "latin1"), value);
    return rows;
  }

  get(text: string): LedgerRow | undefined {
    return this.#rows.get(text);
  }

  set(text: string, key: Uint8Array, value: Uint8Array): LedgerRow {
    this.delete(text);
    const row: LedgerRow = { text, key, value, id: undefined, read: undefined };
    this.all.set(text, value);
    this.#rows.set(text, row);
    for (const index of this.#indexesOf(key)) index.add(row);
    return row;
  }

  delete(text: string): void {
    const row = this.#rows.get(text);
    if (row === undefined) return;
    this.all.delete(text);
    this.#rows.delete(text);
    for (const index of this.#indexesOf(row.key)) index.delete(row);
  }

  ofTable(table: number): Iterable<LedgerRow> {
    return this.#tables.get(table) ?? none;
  }

  ofColumn(column: number): Iterable<LedgerRow> {
    return this.#columns.get(column) ?? none;
  }

  #indexesOf(key: Uint8Array): readonly Set<LedgerRow>[] {
    if (keyGroupOf(key) === metaKeyGroup) return [];
    const table = tableOf(key);
    const ofTable = indexAt(this.#tables, table);
    return table === rowTable.STATE ? [ofTable, indexAt(this.#columns, columnOf(key))] : [ofTable];
  }
}

function indexAt(indexes: Map<number, Set<LedgerRow>>, at: number): Set<LedgerRow> {
  let index = indexes.get(at);
  if (index === undefined) {
    index = new Set();
    indexes.set(at, index);
  }
  return index;
}
