/**
 * Reading the log back. Thread: the storage thread's at recovery, or a tool's. Changes nothing.
 *
 * The chain of records starts at the first segment and follows the SEALs; it ends at the first record that does not
 * verify. What lies behind that end is searched, record by record at every aligned place, for records that do verify:
 * they belong to no chain any more, but they tell what had been durable. Whether the end is a torn tail or damage is
 * the caller's decision: damage when an epoch that the chain lacks is not above `durableMax`.
 */
import type { Disk } from "./disk.js";
import {
  alignRecord,
  decodeSeal,
  mayBeRecord,
  type RecordHeader,
  readRecordHeader,
  recordAlignment,
  recordHeaderBytes,
  recordType,
  type StoredHeader,
  verifyRecord,
} from "./record.js";
import { listSegments, segmentNumberMax, segmentPath } from "./segment-name.js";

/** A record that verified. */
export interface LogRecord extends RecordHeader {
  /** A view of the buffer its segment was read into: not reused, but it keeps the whole segment in memory. */
  readonly payload: Uint8Array;
  readonly segment: number;
  readonly offset: number;
  /** Header and payload, without padding. */
  readonly length: number;
  readonly crc: number;
}

/** A place in the log. */
export interface LogPosition {
  readonly segment: number;
  readonly offset: number;
}

/** What a scan found. */
export interface LogScan {
  /** Just behind the last record of the chain. */
  readonly end: LogPosition;
  /** The largest `durable` of any record that verifies, in the chain or behind it; 0 when there is none. */
  readonly durableMax: number;
  /** Why the chain ends, unless it ends cleanly: at an aligned place of zeros, with nothing that verifies behind it. */
  readonly damage?: LogPosition & { readonly reason: string };
  /** The first record behind the end that verifies, when there is one. */
  readonly following?: LogPosition & { readonly epoch: number };
  /** A number that no segment has had. */
  readonly nextSegmentNumber: number;
}

/** How to scan. */
export interface ScanOptions {
  /**
   * The manifest's generation. Records of a later one were written by a start that did not finish: nothing was ever
   * released on their word, so they count neither for the chain nor for `durableMax`.
   */
  readonly generation?: number;
  /** Called for each record behind the end that verifies: what is left of a damaged log. */
  readonly behind?: (record: LogRecord) => void;
}

/** Reads the log in `directory` from `firstSegment` on; SEALs are followed, not visited. */
export function scanLog(
  disk: Disk,
  directory: string,
  firstSegment: number,
  visit: (record: LogRecord) => void,
  options: ScanOptions = {},
): LogScan {
  const scan = new Scan(disk, directory, options);
  return scan.run(firstSegment, visit);
}

type SegmentEnd = { readonly kind: "sealed"; readonly next: number } | { readonly kind: "open"; readonly at: number };

class Scan {
  readonly #disk: Disk;
  readonly #directory: string;
  readonly #generationMax: number;
  readonly #present: readonly number[];
  readonly #behind: ((record: LogRecord) => void) | undefined;
  #durableMax = 0;
  #numberMax = 0;
  #following: (LogPosition & { readonly epoch: number }) | undefined;

  constructor(disk: Disk, directory: string, { generation = Number.MAX_SAFE_INTEGER, behind }: ScanOptions) {
    this.#disk = disk;
    this.#directory = directory;
    this.#generationMax = generation;
    this.#behind = behind;
    this.#present = listSegments(disk, directory);
    this.#numberMax = this.#present.at(-1) ?? 0;
  }

  run(firstSegment: number, visit: (record: LogRecord) => void): LogScan {
    let segment = firstSegment;
    for (;;) {
      if (!this.#present.includes(segment)) return this.finish({ segment, offset: 0 }, "the segment is missing");
      const bytes = this.#disk.readFile(segmentPath(this.#directory, segment));
      const end = this.walk(bytes, segment, visit);
      if (end.kind === "sealed") {
        segment = end.next;
        continue;
      }
      this.searchBehind(bytes, segment, end.at + recordAlignment);
      return this.finish({ segment, offset: end.at }, this.reasonAt(bytes, end.at));
    }
  }

  /** Visits the records of one segment, up to its SEAL or the first that does not verify. */
  walk(bytes: Uint8Array, segment: number, visit: (record: LogRecord) => void): SegmentEnd {
    let at = 0;
    for (;;) {
      const header = this.recordAt(bytes, at, segment);
      if (header === undefined) return { kind: "open", at };
      const payload = bytes.subarray(at + recordHeaderBytes, at + header.length);
      this.noteDurable(header);
      if (header.type === recordType.seal) {
        const next = decodeSeal(payload);
        if (next <= segment || next > segmentNumberMax) return { kind: "open", at };
        this.#numberMax = Math.max(this.#numberMax, next);
        return { kind: "sealed", next };
      }
      visit({ ...header, payload, segment, offset: at });
      at += alignRecord(header.length);
    }
  }

  recordAt(bytes: Uint8Array, at: number, segment: number): StoredHeader | undefined {
    const header = readRecordHeader(bytes, at);
    if (header === undefined || header.generation > this.#generationMax) return undefined;
    return verifyRecord(bytes, at, header, segment, at) ? header : undefined;
  }

  noteDurable(header: StoredHeader): void {
    if (header.durable > this.#durableMax) this.#durableMax = header.durable;
  }

  /** Looks for records in `bytes` from `from` on, at every aligned place. */
  searchBehind(bytes: Uint8Array, segment: number, from: number): void {
    const last = bytes.length - recordHeaderBytes;
    for (let at = from; at <= last; at += recordAlignment) {
      if (!mayBeRecord(bytes, at)) continue;
      const header = this.recordAt(bytes, at, segment);
      if (header === undefined) continue;
      this.noteDurable(header);
      this.#following ??= { segment, offset: at, epoch: header.epoch };
      const payload = bytes.subarray(at + recordHeaderBytes, at + header.length);
      this.#behind?.({ ...header, payload, segment, offset: at });
      at += alignRecord(header.length) - recordAlignment;
    }
  }

  finish(end: LogPosition, reason: string | undefined): LogScan {
    for (const segment of this.#present) {
      if (segment <= end.segment) continue;
      this.searchBehind(this.#disk.readFile(segmentPath(this.#directory, segment)), segment, 0);
    }
    const why = reason ?? (this.#following === undefined ? undefined : "records are missing here: others follow");
    return {
      end,
      durableMax: this.#durableMax,
      ...(why === undefined ? {} : { damage: { ...end, reason: why } }),
      ...(this.#following === undefined ? {} : { following: this.#following }),
      nextSegmentNumber: Math.max(this.#numberMax, end.segment) + 1,
    };
  }

  /** Undefined when the chain may have ended here as it should: a recycled segment keeps its old bytes behind the zeros. */
  reasonAt(bytes: Uint8Array, at: number): string | undefined {
    const end = Math.min(at + recordAlignment, bytes.length);
    for (let index = at; index < end; index++) {
      if (bytes[index] !== 0) return "the record does not verify";
    }
    return undefined;
  }
}
