/**
 * The writing side of the epoch log. Owner: the coordinator of one generation. Thread: the storage thread's; every
 * call is synchronous.
 *
 *     segment 7             segment 8 (current)                  segment 9 (next)     spares
 *     records … SEAL(8)     records │ buffered │ zeros ahead     zeros ahead          old bytes, to be renamed
 *
 * W1. A record never spans segments, and a segment that is not sealed has room for its SEAL.
 * W2. A segment's name is durable before its first byte is written. Otherwise a crash could leave bytes written for a
 *     new segment in a recycled file that has its old name again.
 * W3. Segment numbers never repeat: the first is given by the reader's `nextSegmentNumber`, each next one is one more.
 * W4. After a failed call nobody knows what the disk holds, and the kernel may call failed pages clean: no descriptor
 *     is used again, every later call throws the first error. Recovery writes the live tail into a new segment.
 * W5. Room is taken before it is needed: zeros are written ahead in the current segment, and the next segment exists
 *     (created or recycled, with at least the same room, completed once the current one is half full) before the
 *     current one is full. `prepare` does this; a full disk stops only `prepare`, which then sets `diskFull` while
 *     `spaceAhead` bytes of accepted work can still be committed. That next segment is the reserve.
 * W6. Behind the last record lie eight zero bytes, so that a clean end is told from bytes that do not verify.
 */
import { dirname } from "node:path";
import { isHoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { logRecordBytesMax, logSegmentBytes, logZeroAheadBytes, MiB } from "../base/limits.js";
import type { Disk, DiskFile } from "./disk.js";
import {
  encodeRecord,
  encodeSeal,
  type RecordHeader,
  type RecordType,
  recordAlignment,
  recordBytes,
  recordHeaderBytes,
  recordType,
  sealBytes,
} from "./record.js";
import { listSegments, segmentPath } from "./segment-name.js";

/** How a log is laid out on its disk. */
export interface LogWriterOptions {
  readonly generation: number;
  /** Must not exist: `nextSegmentNumber` of the scan, or 1 for a new log. */
  readonly firstSegment: number;
  readonly segmentBytes?: number;
  readonly zeroAheadBytes?: number;
}

/** What the caller says about a record; the generation is the writer's. */
export interface RecordFields {
  readonly type: RecordType;
  readonly shard: number;
  readonly part: number;
  readonly parts: number;
  readonly epoch: number;
  readonly durable: number;
  readonly flags?: number;
}

/** Where a record lies; what a commit record repeats of its deltas. */
export interface RecordPlace {
  readonly segment: number;
  readonly offset: number;
  /** Header and payload, without padding. */
  readonly length: number;
  readonly crc: number;
}

const sparesMax = 2;
const endMarkBytes = recordAlignment;
const bufferBytesMax = 4 * logRecordBytesMax;
const zeroSliceBytes = 1 * MiB;

interface OpenSegment {
  readonly number: number;
  readonly file: DiskFile;
  /** Bytes from the start that the file has blocks for: zeros, old bytes or records. */
  ready: number;
  /** Bytes of records that were handed to the file. */
  written: number;
  /** Largest epoch of its records. */
  highestEpoch: number;
}

interface SealedSegment {
  readonly number: number;
  readonly bytes: number;
  readonly highestEpoch: number;
}

interface SpareSegment {
  readonly number: number;
  readonly bytes: number;
}

/** Appends records to segment files and makes them durable. */
export class LogWriter {
  /** The largest payload that one record may carry. */
  readonly payloadMax: number;
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #generation: number;
  readonly #segmentBytes: number;
  readonly #zeroAheadBytes: number;
  readonly #buffer: Uint8Array;
  readonly #zeros: Uint8Array;
  #buffered = 0;
  #current: OpenSegment;
  #next: OpenSegment | undefined;
  /** The current file holds bytes that no datasync has covered. */
  #dirty = false;
  /** Files of sealed segments that no datasync has covered. */
  readonly #unsynced: DiskFile[] = [];
  readonly #sealed: SealedSegment[] = [];
  readonly #spares: SpareSegment[] = [];
  #diskFull = false;
  #closed = false;
  #broken: { readonly error: unknown } | undefined;

  constructor(disk: Disk, directory: string, options: LogWriterOptions) {
    const { segmentBytes = logSegmentBytes, zeroAheadBytes = logZeroAheadBytes } = options;
    invariant(segmentBytes % recordAlignment === 0, "a segment's size is a multiple of the record alignment");
    invariant(segmentBytes >= 2 * (recordHeaderBytes + sealBytes), "a segment holds a record and its seal");
    this.#disk = disk;
    this.#directory = directory;
    this.#generation = options.generation;
    this.#segmentBytes = segmentBytes;
    this.#zeroAheadBytes = Math.min(zeroAheadBytes, segmentBytes);
    this.payloadMax = Math.min(logRecordBytesMax, segmentBytes - sealBytes - recordHeaderBytes);
    this.#buffer = new Uint8Array(Math.min(segmentBytes, bufferBytesMax) + sealBytes + endMarkBytes);
    this.#zeros = new Uint8Array(Math.min(this.#zeroAheadBytes, zeroSliceBytes));
    disk.mkdir(directory);
    disk.syncDirectory(dirname(directory));
    invariant(!disk.exists(segmentPath(directory, options.firstSegment)), "the first segment is new"); // W3
    this.#current = this.openSegment(options.firstSegment);
    while (this.writeZeros(this.#current, this.#zeroAheadBytes)); // the first flush makes them durable
    this.#dirty = true;
  }

  /** The oldest segment that is still needed: where a scan of this log starts. */
  get firstSegment(): number {
    return this.#sealed[0]?.number ?? this.#current.number;
  }

  /** Bytes of records in segments that are not trimmed. */
  get liveBytes(): number {
    let bytes = this.#current.written + this.#buffered;
    for (const segment of this.#sealed) bytes += segment.bytes;
    return bytes;
  }

  /** Bytes that can be appended before the disk is asked for space. */
  get spaceAhead(): number {
    const { ready, written } = this.#current;
    let bytes = Math.max(0, ready - written - this.#buffered - sealBytes);
    if (this.#next !== undefined) bytes += Math.max(0, this.#next.ready - sealBytes);
    for (const spare of this.#spares) bytes += Math.max(0, spare.bytes - sealBytes);
    return bytes;
  }

  /** True from a refusal of space until space was had again. */
  get diskFull(): boolean {
    return this.#diskFull;
  }

  /** Adds a record. It is durable after the next `flush`. The payload is copied. */
  append(fields: RecordFields, payload: Uint8Array): RecordPlace {
    this.checkUsable();
    invariant(payload.length <= this.payloadMax, "a record's payload is within its limit; split it into parts");
    invariant(fields.type !== recordType.seal, "only the writer seals");
    try {
      const bytes = recordBytes(payload.length);
      if (this.position() + bytes + sealBytes > this.#segmentBytes) this.roll(); // W1
      return this.encode(fields, payload, bytes);
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Makes everything appended durable. */
  flush(): void {
    this.checkUsable();
    try {
      this.writeBuffered();
      this.syncFiles();
    } catch (error) {
      throw this.fail(error);
    }
  }

  /**
   * One slice of idle work (W5): at most 1 MiB of zeros, made durable, or one file opened.
   *
   * @returns true when something was done, so that there may be more to do.
   */
  prepare(): boolean {
    this.checkUsable();
    try {
      const worked = this.prepareSlice();
      if (worked) this.#diskFull = false;
      return worked;
    } catch (error) {
      if (!isHoldfastError(error, "HF_DISK_FULL")) throw this.fail(error);
      this.#diskFull = true; // nothing that was promised is touched, so this is not W4
      return false;
    }
  }

  /** The segment that will be the first after `trim(epoch)`: the manifest names it before that call. */
  firstSegmentAfterTrim(epoch: number): number {
    return this.#sealed[this.trimmable(epoch)]?.number ?? this.#current.number;
  }

  /** Gives up the oldest sealed segments that hold no epoch above `epoch`: two are kept to be recycled. */
  trim(epoch: number): void {
    this.checkUsable();
    try {
      for (let count = this.trimmable(epoch); count > 0; count--) {
        this.retire(this.#sealed[0]!.number);
        this.#sealed.shift();
      }
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Takes over the segments of older generations as spares. Only after the manifest names this writer's first one. */
  recycleOlder(): void {
    this.checkUsable();
    try {
      for (const number of listSegments(this.#disk, this.#directory)) {
        if (number < this.firstSegment && !this.#spares.some((spare) => spare.number === number)) this.retire(number);
      }
    } catch (error) {
      throw this.fail(error);
    }
  }

  /** Closes the files. What was not flushed is lost. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const file of this.#unsynced) file.close();
    this.#next?.file.close();
    this.#current.file.close();
  }

  // --- steps, each called by one of the above ---

  checkUsable(): void {
    if (this.#broken !== undefined) throw this.#broken.error; // W4
    invariant(!this.#closed, "the log is open");
  }

  fail(error: unknown): unknown {
    this.#broken ??= { error };
    return error;
  }

  /** How many of the oldest segments may go: a prefix, or the chain would break; flushed ones only. */
  trimmable(epoch: number): number {
    const flushed = this.#sealed.length - this.#unsynced.length;
    let count = 0;
    while (count < flushed && this.#sealed[count]!.highestEpoch <= epoch) count++;
    return count;
  }

  position(): number {
    return this.#current.written + this.#buffered;
  }

  encode(fields: RecordFields, payload: Uint8Array, bytes: number): RecordPlace {
    if (this.#buffered + bytes + sealBytes + endMarkBytes > this.#buffer.length) this.writeBuffered();
    const segment = this.#current.number;
    const offset = this.position();
    const header: RecordHeader = {
      type: fields.type,
      shard: fields.shard,
      part: fields.part,
      parts: fields.parts,
      generation: this.#generation,
      flags: fields.flags ?? 0,
      epoch: fields.epoch,
      durable: fields.durable,
    };
    const crc = encodeRecord(this.#buffer, this.#buffered, header, payload, segment, offset);
    this.#buffered += bytes;
    invariant(this.position() <= this.#segmentBytes, "a record ends inside its segment"); // W1
    if (fields.epoch > this.#current.highestEpoch) this.#current.highestEpoch = fields.epoch;
    return { segment, offset, length: recordHeaderBytes + payload.length, crc };
  }

  /** Seals the current segment and goes on in the next. */
  roll(): void {
    const sealed = this.#current;
    const next = this.#next ?? this.openSegment(sealed.number + 1); // W2: before the SEAL that names it
    this.#next = next;
    const epoch = sealed.highestEpoch;
    const fields = { type: recordType.seal, shard: 0, part: 0, parts: 1, epoch, durable: 0 };
    this.encode(fields, encodeSeal(next.number), sealBytes);
    this.writeBuffered();
    this.#unsynced.push(sealed.file);
    this.#sealed.push({ number: sealed.number, bytes: sealed.written, highestEpoch: epoch });
    this.#current = next;
    this.#next = undefined;
    this.#dirty = true; // its end mark, its zeros
  }

  /** Hands what is buffered to the file, in one write, and the end mark behind it. */
  writeBuffered(): void {
    if (this.#buffered === 0) return;
    const current = this.#current;
    const end = current.written + this.#buffered;
    const mark = Math.min(endMarkBytes, this.#segmentBytes - end); // W6; a sealed segment may have no room, and no need
    this.#buffer.fill(0, this.#buffered, this.#buffered + mark);
    this.#dirty = true;
    current.file.write(this.#buffer.subarray(0, this.#buffered + mark), current.written);
    current.written = end;
    this.#buffered = 0;
    if (end + mark > current.ready) {
      current.ready = end + mark;
      this.growCurrent();
    }
  }

  /** Nobody called `prepare` in time: the room is taken here, if the disk has it. */
  growCurrent(): void {
    const target = Math.min(this.#segmentBytes, this.#current.written + this.#zeroAheadBytes);
    try {
      while (this.writeZeros(this.#current, target));
    } catch (error) {
      if (!isHoldfastError(error, "HF_DISK_FULL")) throw error;
      this.#diskFull = true; // the records themselves had room
    }
  }

  syncFiles(): void {
    for (const file of this.#unsynced) {
      file.datasync();
      file.close();
    }
    this.#unsynced.length = 0;
    if (!this.#dirty) return;
    this.#current.file.datasync();
    this.#dirty = false;
  }

  prepareSlice(): boolean {
    const current = this.#current;
    const position = this.position();
    if (this.writeZeros(current, Math.min(this.#segmentBytes, position + this.#zeroAheadBytes))) {
      current.file.datasync(); // or the next commit would pay for them
      return true;
    }
    if (this.#next === undefined) {
      this.#next = this.openSegment(current.number + 1);
      return true;
    }
    const target = 2 * position > this.#segmentBytes ? this.#segmentBytes : this.#zeroAheadBytes;
    if (!this.writeZeros(this.#next, target)) return false;
    this.#next.file.datasync();
    return true;
  }

  /** Writes a slice of zeros when there are none up to `target`: a whole one, so that it is not needed at each commit. */
  writeZeros(segment: OpenSegment, target: number): boolean {
    const bytes = Math.min(this.#zeros.length, this.#segmentBytes - segment.ready);
    if (segment.ready >= target || bytes === 0) return false;
    segment.file.write(this.#zeros.subarray(0, bytes), segment.ready);
    segment.ready += bytes;
    return true;
  }

  openSegment(number: number): OpenSegment {
    const path = segmentPath(this.#directory, number);
    const spare = this.#spares.at(-1);
    if (spare !== undefined) {
      this.#disk.rename(segmentPath(this.#directory, spare.number), path);
      this.#spares.pop();
    }
    const file = this.#disk.open(path, spare === undefined ? "create" : "existing");
    this.#disk.syncDirectory(this.#directory); // W2
    const ready = Math.min(spare?.bytes ?? 0, this.#segmentBytes);
    if (ready > 0) file.write(endMark, 0); // W6
    return { number, file, ready, written: 0, highestEpoch: 0 };
  }

  retire(number: number): void {
    const path = segmentPath(this.#directory, number);
    if (this.#spares.length >= sparesMax) {
      this.#disk.remove(path);
      return;
    }
    const file = this.#disk.open(path, "existing");
    const bytes = file.size();
    file.close();
    this.#spares.push({ number, bytes });
  }
}

const endMark = new Uint8Array(endMarkBytes);
