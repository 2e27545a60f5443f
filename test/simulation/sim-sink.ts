/**
 * A file-like egress sink outside of the engine. It survives the process; a power loss takes it back to its last sync,
 * or to any length since.
 *
 * E1. It takes the records of an epoch once, epochs in order, and is opened at a watermark: what lies above is cut off.
 * E2. What it took of an epoch before a crash and takes again afterwards is the same.
 */
import type { Random } from "../../lib/base/random.js";
import { rule } from "./violation.js";

export interface SimWatermark {
  readonly epoch: number;
  readonly length: number;
}

export class SimSink<T> {
  readonly records: T[] = [];
  readonly #name: string;
  readonly #added: (record: T) => void;
  readonly #cut: (records: readonly T[]) => void;
  /** The last epoch that was written whole. */
  epoch = 0;
  #durable: SimWatermark = { epoch: 0, length: 0 };

  /** `added` sees each record that is written, `cut` what is left when some were cut off. */
  constructor(name: string, added: (record: T) => void, cut: (records: readonly T[]) => void) {
    this.#name = name;
    this.#added = added;
    this.#cut = cut;
  }

  write(epoch: number, records: readonly T[]): void {
    rule(epoch > this.epoch, () => `${this.#name} gets epoch ${epoch} after ${this.epoch}`); // E1
    for (const record of records) {
      this.#added(record);
      this.records.push(record);
    }
    this.epoch = epoch;
  }

  sync(): SimWatermark {
    this.#durable = { epoch: this.epoch, length: this.records.length };
    return this.#durable;
  }

  crash(kind: "process" | "os", random: Random): void {
    if (kind === "process") return;
    this.records.length = this.#durable.length + random.below(this.records.length - this.#durable.length + 1);
    this.#durable = { ...this.#durable, length: Math.min(this.#durable.length, this.records.length) };
  }

  /** A new process opens it. */
  open({ epoch, length }: SimWatermark): void {
    rule(
      length <= this.records.length,
      () => `${this.#name} has ${this.records.length} records, its watermark says ${length}`,
    );
    this.records.length = length;
    this.epoch = epoch;
    this.#durable = { epoch, length };
    this.#cut(this.records);
  }
}
