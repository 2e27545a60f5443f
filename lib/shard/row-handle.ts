/**
 * What the handles of states that are rows have in common. A handle joins its turn at the first use, and is applied or
 * discarded with it; a turn that does not use it knows nothing of it.
 *
 * Owner: a turn's context. Thread: the shard's.
 * R1. Nothing is written to rows before `apply`.
 */
import { HoldfastError } from "../base/errors.js";
import { freezePlain } from "../codec/plain-data.js";
import { type Schema, validate } from "../model/schema.js";
import type { EntryRows, StatePlace } from "./entry-rows.js";
import type { Instance } from "./instance.js";
import type { RowColumn } from "./registry.js";
import { decodeStateValue } from "./state-value.js";
import type { StagedEffect, TurnContext } from "./turn-context.js";

export abstract class RowHandle implements StagedEffect {
  column: RowColumn;
  protected readonly rows: EntryRows;
  /** Tells the turns of this handle apart. */
  protected turn = 0;
  readonly #context: TurnContext;
  #place: StatePlace | undefined;
  #applying = false;

  constructor(context: TurnContext, rows: EntryRows, column: RowColumn) {
    this.#context = context;
    this.rows = rows;
    this.column = column;
  }

  apply(): void {
    this.#applying = true; // an async turn is over by now
    this.write();
    this.#applying = false;
    this.discard();
  }

  discard(): void {
    this.turn++;
    this.#place = undefined;
    this.reset();
  }

  /** Writes what the turn has staged. */
  protected abstract write(): void;
  /** Forgets it. */
  protected abstract reset(): void;

  /** The instance of the turn; throws `HF_TURN_ENDED` when none runs. */
  protected get instance(): Instance {
    if (this.#applying) return this.#context.target;
    const { instance } = this.#context;
    if (this.#place === undefined) {
      this.#place = this.rows.place(instance, this.column);
      this.#context.stage(this);
    }
    return instance;
  }

  /** Where the rows are. */
  protected get place(): StatePlace {
    this.instance;
    return this.#place as StatePlace;
  }

  protected get what(): string {
    return `state ${this.column.name}`;
  }

  /** A value as it is kept: checked, copied and frozen. */
  protected taken(given: unknown): { readonly value: unknown; readonly mutable: boolean } {
    const schema = this.column.spec.schema as Schema<unknown> | undefined;
    const checked = schema === undefined ? given : validate(schema, given, this.what, this.instance.toString());
    return freezePlain(checked, this.what);
  }

  /** The value in a row, as a turn may have it. */
  protected decoded(bytes: Uint8Array): unknown {
    return freezePlain(decodeStateValue(this.rows.codec, bytes), this.what).value;
  }

  /** The value in a row, to be changed. */
  protected mutable(bytes: Uint8Array): unknown {
    return decodeStateValue(this.rows.codec, bytes);
  }
}

/** For an iteration that outlives its turn. */
export function turnIsOver(): HoldfastError {
  return new HoldfastError("HF_TURN_ENDED", "a table was iterated after the turn: finish before receive returns");
}
