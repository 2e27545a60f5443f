/**
 * The log of the model, and what a kernel does with the pages of a file.
 *
 * A record is `dirty` (in the page cache), `synced` (on the disk), or `clean`: a sync failed, and the kernel, which does
 * not try again, took the page for written. What is clean can be read as long as its page stays in the cache, no later
 * sync writes it, and with the power it is gone. So the second sync of a descriptor succeeds and says nothing.
 */
import type { Random } from "../../lib/base/random.js";

/** An append or a sync that failed (EIO). */
export class DiskFailure extends Error {
  override readonly name = "DiskFailure";
}

/** What one shard adds in an epoch, or, without a delta, that the epoch is committed. */
export interface LogRecord<Delta> {
  readonly epoch: number;
  readonly shard: number;
  readonly delta: Delta | undefined;
}

/** How many of the dirty pages reached the disk when something went wrong. */
const written = 0.5;
/** How many of the clean pages leave the cache before a recovery: few, which makes them look sound. */
const evicted = 0.1;

interface Page<Delta> {
  readonly record: LogRecord<Delta>;
  state: "dirty" | "synced" | "clean";
}

/** The records of all segments, in the order in which they were appended. */
export class ModelLog<Delta> {
  readonly #random: Random;
  #pages: Page<Delta>[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  append(record: LogRecord<Delta>): void {
    this.#pages.push({ record, state: "dirty" });
  }

  /** The last record of this epoch and shard. */
  find(epoch: number, shard: number): LogRecord<Delta> | undefined {
    return this.#pages.findLast(({ record }) => record.epoch === epoch && record.shard === shard)?.record;
  }

  sync(epochMax: number): void {
    for (const page of this.#pages) if (page.state === "dirty" && page.record.epoch <= epochMax) page.state = "synced";
  }

  /** Some pages reached the disk, the others are dropped. */
  failSync(): void {
    for (const page of this.#pages) if (page.state === "dirty") page.state = this.#chance(written) ? "synced" : "clean";
  }

  /** Writes what can be read into a new segment, and syncs that. */
  rewrite(epochMax: number): void {
    for (const page of this.#pages) if (page.record.epoch <= epochMax) page.state = "synced";
  }

  /** Trims, or drops what no commit covers. */
  keep(isKept: (record: LogRecord<Delta>) => boolean): void {
    this.#pages = this.#pages.filter(({ record }) => isKept(record));
  }

  /** The cache needs room: a page that seems to be written is read from the disk again. */
  evict(): void {
    this.#pages = this.#pages.filter(({ state }) => state !== "clean" || !this.#chance(evicted));
  }

  /** What was not synced is there or not, whatever its neighbours are. */
  losePower(): void {
    this.#pages = this.#pages.filter(({ state }) => state === "synced" || (state === "dirty" && this.#chance(written)));
  }

  #chance(probability: number): boolean {
    return this.#random.next() < probability;
  }
}
