/**
 * In-process readers of one egress (`app.egress`).
 *
 * Owner and thread: main.
 * B1. A reader gets every record committed after it began to read, in order. The first reader also gets the tail: what
 *     was committed before anybody read, up to a limit; the oldest are dropped above it, all when the log is too long.
 * B2. A record is taken when its reader asks for the next one. What no reader has taken is not acknowledged.
 */
import { subscriberTailRecordsMax } from "../base/limits.js";
import { Queue } from "../base/queue.js";
import type { EgressRecord } from "../model/egress.js";

interface QueuedRecord {
  readonly epoch: number;
  readonly record: EgressRecord;
}

/** One reader. */
class Reader implements AsyncIterableIterator<EgressRecord> {
  readonly queue = new Queue<QueuedRecord>();
  readonly #left: (reader: Reader) => void;
  readonly #calls: ((result: IteratorResult<EgressRecord>) => void)[] = [];
  /** Epoch of the record handed out last and not yet taken (B2). */
  handedOut: number | undefined;
  #ended = false;

  constructor(left: (reader: Reader) => void) {
    this.#left = left;
  }

  next(): Promise<IteratorResult<EgressRecord>> {
    this.handedOut = undefined;
    return new Promise((resolve) => {
      this.#calls.push(resolve);
      this.#serve();
    });
  }

  return(): Promise<IteratorResult<EgressRecord>> {
    this.handedOut = undefined;
    this.#left(this);
    while (this.queue.shift() !== undefined); // who leaves gets no more
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(queued: QueuedRecord): void {
    this.queue.push(queued);
    this.#serve();
  }

  /** No more records will come. */
  end(): void {
    this.#ended = true;
    this.#serve();
  }

  #serve(): void {
    while (this.#calls.length > 0) {
      const queued = this.queue.shift();
      if (queued === undefined && !this.#ended) return;
      const call = this.#calls.shift() as (result: IteratorResult<EgressRecord>) => void;
      this.handedOut = queued?.epoch;
      call(queued === undefined ? { done: true, value: undefined } : { done: false, value: queued.record });
    }
  }
}

export class Subscribers {
  readonly #readers = new Set<Reader>();
  readonly #tail = new Queue<QueuedRecord>();
  #everRead = false;
  #ended = false;

  /** Records that wait for a reader that is there. */
  get backlog(): number {
    let backlog = 0;
    for (const reader of this.#readers) backlog = Math.max(backlog, reader.queue.length);
    return backlog;
  }

  /** The newest epoch of which every reader has taken everything, given the newest delivered (B2). */
  takenUpTo(delivered: number): number {
    let taken = delivered;
    for (const { queue, handedOut } of this.#readers) {
      const oldest = handedOut ?? queue.peek()?.epoch;
      if (oldest !== undefined) taken = Math.min(taken, oldest - 1);
    }
    const oldest = this.#tail.peek()?.epoch;
    return oldest === undefined ? taken : Math.min(taken, oldest - 1);
  }

  read(): AsyncIterableIterator<EgressRecord> {
    const reader = new Reader((left) => this.#readers.delete(left));
    this.#readers.add(reader);
    this.#everRead = true;
    for (let queued = this.#tail.shift(); queued !== undefined; queued = this.#tail.shift()) reader.push(queued);
    if (this.#ended) reader.end();
    return reader;
  }

  deliver(epoch: number, records: readonly EgressRecord[]): void {
    for (const record of records) {
      const queued = { epoch, record };
      for (const reader of this.#readers) reader.push(queued);
      if (this.#everRead) continue;
      this.#tail.push(queued); // B1
      if (this.#tail.length > subscriberTailRecordsMax) this.#tail.shift();
    }
  }

  /** Drops the tail: nobody has read yet, and the log that keeps it is at its limit. */
  forgetTail(): void {
    while (this.#tail.shift() !== undefined);
  }

  end(): void {
    this.#ended = true;
    for (const reader of this.#readers) reader.end();
  }
}
