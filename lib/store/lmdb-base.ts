/**
 * Bases on LMDB: the only file that imports lmdb.
 *
 * Owner: a `LmdbBaseWriter` belongs to the storage thread, which opens each environment before any reader does and is
 * never terminated; a `LmdbBaseReader` belongs to its shard's thread. Both threads share one native environment.
 *
 * L1. All writes go through `transactionSync`. The environment is opened without `overlappingSync`, so a commit writes
 *     its pages, fdatasyncs, and then writes the meta page through an O_DSYNC descriptor: committed is durable, and
 *     `sync` has nothing left to do.
 * L2. A stored value is crc32(key ‖ value) u32 LE ‖ value. LMDB pages carry no checksum of their own.
 * L3. Nothing that lmdb hands out or takes is shared: values are copied in (it reads zeros from shared memory) and
 *     copied out (it returns one reused buffer, or a view of the map).
 * L4. A reader's view is one read transaction, held from the first read after `refresh` to the next `refresh`. lmdb
 *     renews its own default transaction from a timer, so every read names the held one.
 * L5. Every call into lmdb happens inside its thread's gate, and none begins once the gate is closed. A process that
 *     exits while a transaction is open hangs, and a thread that is terminated (an exit does that too) inside one of
 *     lmdb's read calls aborts the process: whoever terminates a thread closes its gate first. Loading lmdb is the first
 *     such call: whoever starts a thread has it begin inside, and the thread says that it has loaded.
 * L6. No base is opened without room for it. LMDB makes its lock file longer without writing and then maps it: on a full
 *     disk the first touch is a SIGBUS that ends the process. So the file gets its bytes before. And a new data file that
 *     LMDB cannot write its first pages to is a failed open, whose cleanup takes the process with it.
 * L7. LMDB believes every byte of its file. So a writer inspects the file before LMDB sees it (lmdb-image.ts), also
 *     whether its rows are those that its sums say (row-sums.ts). The sums go with the rows, in the same transaction.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  rmSync,
  statfsSync,
  statSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { open, type RootDatabase, type Transaction } from "lmdb";
import { type ErrorCode, HoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { baseMapBytes, KiB, MiB, mergeSliceRowsMax } from "../base/limits.js";
import type { BaseReader, BaseWriter, Row } from "./base.js";
import { type ImageReport, type InspectOptions, inspectImage } from "./lmdb-image.js";
import { keyChecksum, rowChecksum } from "./row-checksum.js";
import { decodeEpoch, encodeEpoch, epochKey, keyGroupOf, keyHex } from "./row-key.js";
import { RowSums } from "./row-sums.js";

/** The thread is not inside lmdb. */
export const gateOutside = 0;
/** The thread is inside lmdb. */
export const gateInside = 1;
/** The thread is about to be terminated; before its next call into lmdb it waits for ever. */
export const gateClosed = 2;

/** One shared word per thread, for all bases that it has open, which says whether it is inside lmdb. */
export interface Gate {
  readonly words: Int32Array;
  readonly index: number;
}

/** How to open a base for writing. */
export interface BaseWriterOptions {
  /** Address space to reserve. A base that outgrows it is mapped again, which costs a pause and needs twice the space. */
  readonly mapBytes?: number;
  readonly gate?: Gate;
}

/** How to open a base for reading. */
export interface BaseReaderOptions {
  readonly gate?: Gate;
}

/** A row as it is handed out. */
interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The transaction that reads go to; undefined for lmdb's own. */
interface View {
  transaction: Transaction | undefined;
}

const noView: View = { transaction: undefined };

/** What lmdb has and does not declare: options for `getBinaryFast`, and the size of what it returned. */
interface FastReads {
  readonly lastSize: number;
  getBinaryFast(key: Uint8Array, options: View): Uint8Array | undefined;
}
type Environment = RootDatabase<Uint8Array, Uint8Array> & FastReads;

const dataFile = "data.mdb";
const crcBytes = 4;
/** At least what LMDB makes of its lock file for 126 readers; of a longer one it uses all. */
const lockFileBytes = 12 * KiB;
const scratchBytesMax = 1 * MiB;
const subarray = Uint8Array.prototype.subarray;

/** Opens a base for writing, and makes it when there is none. Thread: the storage thread's, before any reader. */
export function openBaseWriter(path: string, options: BaseWriterOptions = {}): BaseWriter {
  return new LmdbBaseWriter(path, options);
}

/** Opens a base for reading, while its writer has it open. Thread: the shard's. */
export function openBaseReader(path: string, options: BaseReaderOptions = {}): BaseReader {
  return new LmdbBaseReader(path, options);
}

/** Deletes a base that nobody has open; nothing when there is none. */
export function destroyBase(path: string): void {
  try {
    rmSync(path, { recursive: true, force: true });
  } catch (thrown) {
    throw asHoldfastError(thrown, path, "deleting");
  }
}

/**
 * Waits until a thread is outside lmdb and keeps it there (L5). For the thread that is about to terminate it, or, in
 * its exit hook, to exit; blocks for `timeoutMs` at most.
 *
 * @returns false when the thread was still inside at the end.
 */
export function closeGate(gate: Gate, timeoutMs: number): boolean {
  const { words, index } = gate;
  const deadline = performance.now() + timeoutMs;
  while (Atomics.compareExchange(words, index, gateOutside, gateClosed) === gateInside) {
    if (performance.now() >= deadline) return false;
    Atomics.wait(words, index, gateInside, 1); // nobody notifies: leaving is on the reader's hot path
  }
  return true;
}

/** For whoever is about to start a thread: it begins inside its gate, as it loads lmdb (L5). */
export function beginInside(gate: Gate): void {
  Atomics.store(gate.words, gate.index, gateInside);
}

/** For a thread that began inside its gate, once its modules are there (L5). */
export function leaveLoaded(gate: Gate): void {
  invariant(Atomics.load(gate.words, gate.index) === gateInside, "a thread loads lmdb inside its gate");
  leave(gate);
}

/** For whoever sees that a thread has ended, wherever it was: nobody has to wait for it any more. */
export function closeGateOfEnded(gate: Gate): void {
  Atomics.store(gate.words, gate.index, gateClosed);
}

function enter(gate: Gate | undefined): void {
  if (gate === undefined) return;
  const seen = Atomics.compareExchange(gate.words, gate.index, gateOutside, gateInside);
  if (seen === gateOutside) return;
  if (seen === gateClosed) Atomics.wait(gate.words, gate.index, gateClosed); // until the thread is terminated
  invariant(false, "a thread enters a gate once, and none that is closed");
}

function leave(gate: Gate | undefined): void {
  if (gate !== undefined) Atomics.store(gate.words, gate.index, gateOutside);
}

class LmdbBaseWriter implements BaseWriter {
  readonly #path: string;
  readonly #db: Environment;
  readonly #gate: Gate | undefined;
  readonly #sums: RowSums;
  #scratch = Buffer.allocUnsafeSlow(64 * KiB);
  #epoch: number;
  #closed = false;

  constructor(path: string, options: BaseWriterOptions) {
    this.#path = path;
    this.#gate = options.gate;
    this.#sums = checkImage(path)?.sums ?? new RowSums(); // L7
    enter(this.#gate);
    try {
      reserveRoom(path);
      this.#db = openEnvironment(path, { mapSize: options.mapBytes ?? baseMapBytes, overlappingSync: false });
      syncNames(path);
      this.#epoch = decodeEpoch(readValue(this.#db, path, epochKey, noView));
      this.#db.resetReadTxn();
    } catch (thrown) {
      throw asHoldfastError(thrown, path, "opening");
    } finally {
      leave(this.#gate);
    }
  }

  get epoch(): number {
    return this.#epoch;
  }

  apply(rows: readonly Row[], epoch?: number): void {
    invariant(!this.#closed, "a base is open when rows are applied");
    enter(this.#gate);
    this.#sums.begin();
    try {
      this.#db.transactionSync(() => {
        for (let index = 0; index < rows.length; index++) this.#write(rows[index]!);
        if (epoch !== undefined) this.#put(epochKey, encodeEpoch(epoch));
        for (const { key, value } of this.#sums.changed()) this.#store(key, keyChecksum(key), value); // L7
      });
    } catch (thrown) {
      this.#sums.rollback();
      throw asHoldfastError(thrown, this.#path, "writing");
    } finally {
      leave(this.#gate);
    }
    if (epoch !== undefined) this.#epoch = epoch;
  }

  sync(): void {
    invariant(!this.#closed, "a base is open when it is synced"); // L1: nothing to do
  }

  /** Reads slice by slice, each in its own view, so that a long walk pins no old pages. */
  *scan(from: Uint8Array, to: Uint8Array): Generator<StoredRow> {
    for (let start = from; ; ) {
      const slice = this.#readSlice(start, to);
      yield* slice;
      if (slice.length < mergeSliceRowsMax) return;
      start = keyAfter(slice[slice.length - 1]!.key);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    closeEnvironment(this.#db, this.#gate);
  }

  #readSlice(from: Uint8Array, to: Uint8Array): StoredRow[] {
    invariant(!this.#closed, "a base is open when it is read");
    enter(this.#gate);
    try {
      return readRange(this.#db, this.#path, from, to, { limit: mergeSliceRowsMax });
    } finally {
      this.#db.resetReadTxn(); // a thread that never returns to its event loop would keep the view for ever
      leave(this.#gate);
    }
  }

  #write(row: Row): void {
    if (row.value === undefined) this.#remove(row.key);
    else this.#put(row.key, row.value);
  }

  #put(key: Uint8Array, value: Uint8Array): void {
    const before = this.#storedCrc(key);
    const keyCrc = keyChecksum(key);
    const rowCrc = this.#store(key, keyCrc, value);
    if (before === undefined) this.#sums.add(keyGroupOf(key), keyCrc, rowCrc);
    else this.#sums.replace(keyGroupOf(key), before, rowCrc);
  }

  #remove(key: Uint8Array): void {
    const before = this.#storedCrc(key);
    if (before === undefined) return;
    this.#db.removeSync(key);
    this.#sums.remove(keyGroupOf(key), keyChecksum(key), before);
  }

  /** The crc that the row has now. */
  #storedCrc(key: Uint8Array): number | undefined {
    const bytes = this.#db.getBinaryFast(key, noView);
    if (bytes === undefined) return undefined;
    if (this.#db.lastSize < crcBytes) throw damaged(this.#path, key);
    return readCrc(bytes);
  }

  /** Writes a row and returns its crc. */
  #store(key: Uint8Array, keyCrc: number, value: Uint8Array): number {
    invariant(!(value.buffer instanceof SharedArrayBuffer), "a value for a base is not on shared memory"); // L3
    const size = crcBytes + value.length;
    const stored = this.#room(size);
    const rowCrc = rowChecksum(keyCrc, value);
    stored.writeUInt32LE(rowCrc, 0);
    stored.set(value, crcBytes);
    // Inside a transaction lmdb copies the value before this returns: the scratch can be used again.
    const done = this.#db.putSync(key, stored.length === size ? stored : stored.subarray(0, size)) as unknown;
    if (done === false) throw new HoldfastError("HF_IO", `base ${this.#path} refused the row ${keyHex(key)}`);
    return rowCrc;
  }

  #room(size: number): Buffer {
    if (size <= this.#scratch.length) return this.#scratch;
    if (size > scratchBytesMax) return Buffer.allocUnsafeSlow(size);
    this.#scratch = Buffer.allocUnsafeSlow(Math.min(scratchBytesMax, 2 * size));
    return this.#scratch;
  }
}

class LmdbBaseReader implements BaseReader {
  readonly #path: string;
  readonly #db: Environment;
  readonly #gate: Gate | undefined;
  /** One object for all reads; its transaction is the view, undefined until the first read after `refresh`. */
  readonly #view: View = { transaction: undefined };
  #epoch: number | undefined;
  #closed = false;

  constructor(path: string, options: BaseReaderOptions) {
    this.#path = path;
    this.#gate = options.gate;
    if (!existsSync(path)) throw new HoldfastError("HF_IO", `there is no base at ${path}: its writer opens it first`);
    enter(this.#gate);
    try {
      this.#db = openEnvironment(path, { readOnly: true });
    } finally {
      leave(this.#gate);
    }
  }

  /** Gives the view up; the next read takes the newest. A reader that refreshes before it parks pins no old pages. */
  refresh(): void {
    this.#epoch = undefined;
    const { transaction } = this.#view;
    if (transaction === undefined) return;
    enter(this.#gate);
    try {
      this.#view.transaction = undefined;
      transaction.done();
      this.#db.resetReadTxn();
    } finally {
      leave(this.#gate);
    }
  }

  epoch(): number {
    this.#epoch ??= decodeEpoch(this.get(epochKey));
    return this.#epoch;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    enter(this.#gate);
    try {
      return readValue(this.#db, this.#path, key, this.#hold());
    } finally {
      leave(this.#gate);
    }
  }

  scan(from: Uint8Array, to: Uint8Array, limit = Number.POSITIVE_INFINITY): StoredRow[] {
    enter(this.#gate);
    try {
      return readRange(this.#db, this.#path, from, to, {
        ...(this.#hold() as { transaction: Transaction }),
        ...(limit === Number.POSITIVE_INFINITY ? {} : { limit }),
      });
    } finally {
      leave(this.#gate);
    }
  }

  close(): void {
    if (this.#closed) return;
    this.refresh();
    this.#closed = true;
    closeEnvironment(this.#db, this.#gate);
  }

  #hold(): View {
    invariant(!this.#closed, "a base is open when it is read");
    this.#view.transaction ??= this.#db.useReadTransaction(); // L4
    return this.#view;
  }
}

interface EnvironmentOptions {
  readonly mapSize?: number;
  readonly overlappingSync?: false;
  readonly readOnly?: true;
}

function openEnvironment(path: string, options: EnvironmentOptions): Environment {
  try {
    const fixed = { noSubdir: false, encoding: "binary", keyEncoding: "binary" } as const;
    return open<Uint8Array, Uint8Array>({ path, ...fixed, ...options }) as Environment;
  } catch (thrown) {
    throw asHoldfastError(thrown, path, "opening");
  }
}

/**
 * Takes the room that LMDB needs to open a new base, or throws (L6). A lock file that is long enough is not opened: closing
 * it would release the locks that LMDB may have on it in this process.
 */
function reserveRoom(path: string): void {
  mkdirSync(path, { recursive: true });
  const lockFile = join(path, "lock.mdb");
  const size = statSync(lockFile, { throwIfNoEntry: false })?.size ?? 0;
  if (size < lockFileBytes) appendFileSync(lockFile, Buffer.alloc(lockFileBytes - size));
  if (existsSync(join(path, dataFile)) || !isNearlyFull(path)) return;
  throw new HoldfastError("HF_DISK_FULL", `no space left for the new base ${path}: free some space`);
}

/** Inspects the file of a base that nobody writes; undefined when there is none yet. */
export function inspectBase(path: string, options: InspectOptions = {}): ImageReport | undefined {
  const file = join(path, dataFile);
  try {
    if (!existsSync(file)) return undefined;
    const descriptor = openSync(file, "r");
    try {
      const { size } = fstatSync(descriptor);
      if (size === 0) return undefined; // LMDB makes its header when it first opens the file
      return inspectImage({ size, read: (into, position) => readFully(descriptor, into, position) }, options);
    } finally {
      closeSync(descriptor);
    }
  } catch (thrown) {
    throw asHoldfastError(thrown, path, "inspecting");
  }
}

/** L7 */
function checkImage(path: string): ImageReport | undefined {
  const report = inspectBase(path);
  const first = report?.damage[0];
  if (first === undefined) return report;
  const what = `${first.what}, at offset ${first.position} of ${dataFile}`;
  throw new HoldfastError(
    "HF_STATE_DAMAGED",
    `base ${path} is damaged: ${what}. Restore the data directory from a copy`,
  );
}

function readFully(descriptor: number, into: Uint8Array, position: number): number {
  let done = 0;
  while (done < into.length) {
    const count = readSync(descriptor, into, done, into.length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** With synchronous transactions only, nothing is outstanding and lmdb closes before `close` returns. */
function closeEnvironment(db: Environment, gate: Gate | undefined): void {
  enter(gate);
  try {
    void db.close();
  } finally {
    leave(gate);
  }
}

function readValue(db: Environment, path: string, key: Uint8Array, view: View): Uint8Array | undefined {
  let bytes: Uint8Array | undefined;
  try {
    bytes = db.getBinaryFast(key, view);
  } catch (thrown) {
    throw asHoldfastError(thrown, path, "reading");
  }
  if (bytes === undefined) return undefined;
  const size = db.lastSize;
  if (size < crcBytes) throw damaged(path, key);
  const value = subarray.call(bytes, crcBytes, size); // the buffer is longer than what was read into it
  if (readCrc(bytes) !== checksum(key, value)) throw damaged(path, key);
  return new Uint8Array(value); // L3
}

function readRange(
  db: Environment,
  path: string,
  start: Uint8Array,
  end: Uint8Array,
  how: { transaction?: Transaction; limit?: number },
): StoredRow[] {
  const rows: StoredRow[] = [];
  try {
    for (const entry of db.getRange({ start, end, ...how })) {
      const key = plain(entry.key, 0);
      if (entry.value.length < crcBytes) throw damaged(path, key);
      const value = plain(entry.value, crcBytes);
      if (readCrc(entry.value) !== checksum(key, value)) throw damaged(path, key);
      rows.push({ key, value });
    }
  } catch (thrown) {
    throw asHoldfastError(thrown, path, "reading");
  }
  return rows;
}

/** The bytes from `start` as a plain Uint8Array: lmdb's ranges hand out copies, but as Buffers. */
function plain(bytes: Uint8Array, start: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, bytes.length - start);
}

function readCrc(bytes: Uint8Array): number {
  return (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0;
}

function checksum(key: Uint8Array, value: Uint8Array): number {
  return rowChecksum(keyChecksum(key), value);
}

/** The smallest key above `key`. */
function keyAfter(key: Uint8Array): Uint8Array {
  const after = new Uint8Array(key.length + 1);
  after.set(key);
  return after;
}

/**
 * Makes a new base's names and first pages durable: lmdb syncs at commits only, and never a directory. (Opening the
 * data file again is harmless; lmdb's process-wide locks are on its lock file.)
 */
function syncNames(path: string): void {
  const directories = process.platform === "win32" ? [] : [path, dirname(path)]; // they cannot be opened there
  for (const name of [join(path, dataFile), ...directories]) {
    const descriptor = openSync(name, directories.includes(name) ? "r" : "r+");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
}

const diskFullCodes: readonly unknown[] = [
  -30792 /* MDB_MAP_FULL */,
  28 /* ENOSPC */,
  122 /* EDQUOT */,
  "ENOSPC",
  "EDQUOT",
];
const damagedCodes: readonly unknown[] = [
  -30793 /* MDB_INVALID */, -30794 /* MDB_VERSION_MISMATCH */, -30796 /* MDB_CORRUPTED */,
  -30797 /* MDB_PAGE_NOTFOUND */, -30784 /* MDB_INCOMPATIBLE */,
];
const shortWriteCode = 5; // EIO
const nearlyFullBytes = 4 * MiB;

function asHoldfastError(thrown: unknown, path: string, doing: string): HoldfastError {
  if (thrown instanceof HoldfastError) return thrown;
  const { code, message } = thrown as { code?: unknown; message?: unknown };
  return new HoldfastError(codeFor(code, path), `${doing} base ${path} failed: ${String(message ?? thrown)}`, {
    cause: thrown,
  });
}

function codeFor(code: unknown, path: string): ErrorCode {
  if (diskFullCodes.includes(code) || (code === shortWriteCode && isNearlyFull(path))) return "HF_DISK_FULL";
  return damagedCodes.includes(code) ? "HF_STATE_DAMAGED" : "HF_IO";
}

/** LMDB reports the write that a full disk cuts short as EIO. */
function isNearlyFull(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize < nearlyFullBytes;
  } catch {
    return false;
  }
}

function damaged(path: string, key: Uint8Array): HoldfastError {
  return new HoldfastError("HF_STATE_DAMAGED", `base ${path} holds a damaged row at key ${keyHex(key)}`);
}
