/**
 * A base in memory for the simulator: rows, the views of readers, and what a crash takes away.
 *
 * Owner: the simulator; one thread.
 *
 * S1. `#rows` is the newest image. `#history` holds, per version above `#kept`, what each of its rows was before: the
 *     image of an older version is the newest one with the history above it undone. Nothing is ever cloned.
 * S2. `#durable` is the version of the last `sync`; a power loss ends at a version between it and the newest, because
 *     a real base may have made any prefix of its commits durable by itself.
 * S3. A reader's view is one version, taken by the first read after `refresh`, as in the real base.
 * S4. A crash ends every writer and reader; using one afterwards is a bug in the simulated threads.
 */
import { invariant } from "../../lib/base/invariant.js";
import type { Random } from "../../lib/base/random.js";
import type { BaseReader, BaseWriter, Row } from "../../lib/store/base.js";
import { decodeEpoch, encodeEpoch, epochKey } from "../../lib/store/row-key.js";

interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A row, and its value before a version; undefined when there was none. */
type Undo = Map<string, Uint8Array | undefined>;

/** One base. It outlives the writers and readers that crashes end. */
export class SimBase {
  #rows = new Map<string, Uint8Array>();
  /** The keys of `#rows` in order; undefined when they have changed. */
  #order: string[] | undefined;
  #history: Undo[] = [];
  /** The version below the first of `#history`. */
  #kept = 0;
  #durable = 0;
  #life = 0;
  #writer: SimBaseWriter | undefined;
  #readers = new Set<SimBaseReader>();

  /** The newest version: how many applies there were and still are. */
  get version(): number {
    return this.#kept + this.#history.length;
  }

  /** Ends with the current life; one at a time. */
  openWriter(): BaseWriter {
    invariant(this.#writer === undefined, "a base has one writer");
    this.#writer = new SimBaseWriter(this, this.#life);
    return this.#writer;
  }

  openReader(): BaseReader {
    const reader = new SimBaseReader(this, this.#life);
    this.#readers.add(reader);
    return reader;
  }

  /**
   * Ends every writer and reader. `process` keeps what was applied, as the page cache does; `os` goes back to the last
   * sync, or to any apply since, as `random` says.
   */
  crash(kind: "process" | "os", random: Random): void {
    this.#life++;
    this.#writer = undefined;
    this.#readers.clear();
    if (kind === "process") return;
    const target = this.#durable + random.below(this.version - this.#durable + 1);
    while (this.version > target) this.#undo(this.#history.pop()!);
  }

  /** For the handles: everything below acts for one of them. */
  assertAlive(life: number): void {
    invariant(life === this.#life, "a base handle is not used after a crash"); // S4
  }

  apply(rows: readonly Row[], epoch: number | undefined): void {
    const undo: Undo = new Map();
    for (const row of rows) this.#write(undo, row.key, row.value);
    if (epoch !== undefined) this.#write(undo, epochKey, encodeEpoch(epoch));
    this.#history.push(undo);
    this.#trim();
  }

  sync(): void {
    this.#durable = this.version;
    this.#trim();
  }

  release(handle: SimBaseWriter | SimBaseReader): void {
    if (handle === this.#writer) this.#writer = undefined;
    else this.#readers.delete(handle as SimBaseReader);
  }

  get(key: Uint8Array, version: number): Uint8Array | undefined {
    return this.#at(nameOf(key), version)?.slice();
  }

  scan(from: Uint8Array, to: Uint8Array, version: number): StoredRow[] {
    const [first, end] = [nameOf(from), nameOf(to)];
    const rows: StoredRow[] = [];
    for (const name of this.#names(first, end, version)) {
      const value = this.#at(name, version);
      if (value !== undefined) rows.push({ key: Uint8Array.from(Buffer.from(name, "latin1")), value: value.slice() });
    }
    return rows;
  }

  #write(undo: Undo, key: Uint8Array, value: Uint8Array | undefined): void {
    const name = nameOf(key);
    const before = this.#rows.get(name);
    if (!undo.has(name)) undo.set(name, before);
    if ((before === undefined) !== (value === undefined)) this.#order = undefined;
    if (value === undefined) {
      this.#rows.delete(name);
      return;
    }
    invariant(!(value.buffer instanceof SharedArrayBuffer), "a value for a base is not on shared memory");
    this.#rows.set(name, Uint8Array.from(value));
  }

  #undo(undo: Undo): void {
    for (const [name, before] of undo) {
      if (before === undefined) this.#rows.delete(name);
      else this.#rows.set(name, before);
    }
    this.#order = undefined;
  }

  /** The first change after a version says what the row was at it (S1). */
  #at(name: string, version: number): Uint8Array | undefined {
    for (let index = version - this.#kept; index < this.#history.length; index++) {
      const undo = this.#history[index]!;
      if (undo.has(name)) return undo.get(name);
    }
    return this.#rows.get(name);
  }

  /** Names in a range that exist at a version, and perhaps some that do not. */
  #names(first: string, end: string, version: number): string[] {
    this.#order ??= [...this.#rows.keys()].sort(byCodeUnits);
    const names = this.#order.slice(lowerBound(this.#order, first), lowerBound(this.#order, end));
    const gone: string[] = [];
    for (let index = version - this.#kept; index < this.#history.length; index++) {
      for (const name of this.#history[index]!.keys()) {
        if (name >= first && name < end && !this.#rows.has(name)) gone.push(name);
      }
    }
    return gone.length === 0 ? names : [...new Set([...names, ...gone])].sort(byCodeUnits);
  }

  /** Forgets history that neither a power loss nor a reader can go back to. */
  #trim(): void {
    let oldest = this.#durable;
    for (const reader of this.#readers) oldest = Math.min(oldest, reader.view ?? oldest);
    if (oldest > this.#kept) {
      this.#history.splice(0, oldest - this.#kept);
      this.#kept = oldest;
    }
  }
}

class SimBaseWriter implements BaseWriter {
  readonly #base: SimBase;
  readonly #life: number;
  #closed = false;

  constructor(base: SimBase, life: number) {
    this.#base = base;
    this.#life = life;
  }

  get epoch(): number {
    return decodeEpoch(this.#open().get(epochKey, this.#base.version));
  }

  apply(rows: readonly Row[], epoch?: number): void {
    this.#open().apply(rows, epoch);
  }

  sync(): void {
    this.#open().sync();
  }

  scan(from: Uint8Array, to: Uint8Array): StoredRow[] {
    const base = this.#open();
    return base.scan(from, to, base.version);
  }

  close(): void {
    this.#closed = true;
    this.#base.release(this);
  }

  #open(): SimBase {
    invariant(!this.#closed, "a base is open when it is used");
    this.#base.assertAlive(this.#life);
    return this.#base;
  }
}

class SimBaseReader implements BaseReader {
  readonly #base: SimBase;
  readonly #life: number;
  #closed = false;
  /** The version that is read; undefined until the first read after `refresh` (S3). */
  view: number | undefined;

  constructor(base: SimBase, life: number) {
    this.#base = base;
    this.#life = life;
  }

  refresh(): void {
    this.view = undefined;
  }

  epoch(): number {
    return decodeEpoch(this.get(epochKey));
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#base.get(key, this.#hold());
  }

  scan(from: Uint8Array, to: Uint8Array, limit = Number.POSITIVE_INFINITY): StoredRow[] {
    return this.#base.scan(from, to, this.#hold()).slice(0, limit);
  }

  close(): void {
    this.#closed = true;
    this.#base.release(this);
  }

  #hold(): number {
    invariant(!this.#closed, "a base is open when it is used");
    this.#base.assertAlive(this.#life);
    this.view ??= this.#base.version;
    return this.view;
  }
}

/** Bytes as a string of code units below 256, which sorts as the bytes do. */
function nameOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.length).toString("latin1");
}

function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function lowerBound(sorted: readonly string[], name: string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle]! < name) low = middle + 1;
    else high = middle;
  }
  return low;
}
