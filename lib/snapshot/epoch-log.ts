/**
 * The log in terms of epochs: one write and one fdatasync make an epoch of all shards durable.
 *
 * Owner and thread: the coordinator's.
 * L1. COMMIT(n + 1) is written only after n is durable; its `durable` field says so.
 * L2. A delta is split into records of at most the log's payload limit; the commit lists every part.
 */
import { invariant } from "../base/invariant.js";
import type { DurableNote } from "../log/durable-note.js";
import type { LogWriter } from "../log/log-writer.js";
import { recordType } from "../log/record.js";
import { type DeltaPlace, encodeCommit, type Watermarks } from "./commit-record.js";

/** One shard's part of an epoch as bytes (delta.ts: payload). */
export interface DeltaPayload {
  readonly shard: number;
  readonly payload: Uint8Array;
}

export class EpochLog {
  readonly log: LogWriter;
  /** The last durable epoch. */
  durable: number;
  /** Where each durable epoch is noted; from when the manifest of this generation is current. */
  note: DurableNote | undefined;
  /** `durable` stands in some durable record. */
  #saidDurable = false;

  constructor(log: LogWriter, durable: number) {
    this.log = log;
    this.durable = durable;
  }

  /** Appends an epoch without making it durable; for recovery, which flushes once. */
  append(epoch: number, deltas: readonly DeltaPayload[], watermarks: Watermarks): void {
    const places: DeltaPlace[] = [];
    for (const { shard, payload } of deltas) this.#appendDelta(epoch, shard, payload, places);
    const fields = {
      type: recordType.commit,
      shard: 0,
      part: 0,
      parts: 1,
      epoch,
      durable: Math.min(this.durable, epoch - 1),
    };
    this.log.append(fields, encodeCommit(places, watermarks));
  }

  /** Makes an epoch durable. */
  commit(epoch: number, deltas: readonly DeltaPayload[], watermarks: Watermarks): void {
    invariant(epoch === this.durable + 1, "epochs become durable one by one"); // L1
    this.append(epoch, deltas, watermarks);
    this.log.flush();
    this.durable = epoch;
    this.#saidDurable = false;
    this.note?.say(epoch);
  }

  /** Closes the files. */
  close(): void {
    this.log.close();
    this.note?.close();
  }

  /** Writes down what is durable when no commit will do so soon. True when there was something to write. */
  saySynced(): boolean {
    if (this.#saidDurable) return false;
    const { durable } = this;
    this.log.append(
      { type: recordType.synced, shard: 0, part: 0, parts: 1, epoch: durable, durable },
      new Uint8Array(0),
    );
    this.log.flush();
    this.#saidDurable = true;
    return true;
  }

  #appendDelta(epoch: number, shard: number, payload: Uint8Array, places: DeltaPlace[]): void {
    const parts = Math.max(1, Math.ceil(payload.length / this.log.payloadMax)); // L2
    for (let part = 0; part < parts; part++) {
      const bytes = payload.subarray(part * this.log.payloadMax, (part + 1) * this.log.payloadMax);
      const fields = { type: recordType.delta, shard, part, parts, epoch, durable: this.durable };
      places.push({ shard, part, parts, ...this.log.append(fields, bytes) });
    }
  }
}
