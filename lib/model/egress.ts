/** Where results leave the application. */
import type { Schema } from "./schema.js";

declare const recordOf: unique symbol;

/** An egress: a typed name for results. Made by `defineEgress`. */
export class EgressDefinition<T> {
  declare readonly [recordOf]: (record: T) => void;
  /** `namespace/name`. */
  readonly name: string;
  /** @internal */
  readonly schema: Schema<unknown> | undefined;

  /** @internal Use `defineEgress`. */
  constructor(name: string, schema: Schema<T> | undefined) {
    this.name = name;
    this.schema = schema as Schema<unknown> | undefined;
  }
}

/** One committed record. */
export interface EgressRecord<T = unknown> {
  /** Stable over restarts, unique in the egress, ascending in commit order: `epoch-shard-sequence`. */
  readonly id: string;
  readonly record: T;
}

/** How far a sink has durably taken the records of an egress; plain data, kept in a later commit. */
export interface SinkWatermark {
  /** Every record of epochs up to this one is in the sink. */
  readonly epoch: number;
  /** What the sink needs to find its place again, such as a file length. */
  readonly position: unknown;
}

/**
 * The outside end of an egress. Called on the main thread, with committed records only, each epoch once and in order.
 * After a crash the sink is opened with the last watermark that was committed and gets everything above it again, so
 * it must first undo what it took beyond that watermark.
 */
export interface EgressSink {
  write(epoch: number, records: readonly EgressRecord[]): void | Promise<void>;
  /** Makes everything written durable and says how far that is. */
  sync(): SinkWatermark | Promise<SinkWatermark>;
  close(): void | Promise<void>;
}

/** Ties an egress to a sink, in `defineApp({ egresses })`. */
export interface EgressBinding {
  readonly egress: EgressDefinition<never>;
  /** Opens the sink at a watermark, or anew. */
  open(watermark: SinkWatermark | undefined): EgressSink | Promise<EgressSink>;
}
