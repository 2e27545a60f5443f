/** The state of a turn's context that is rows: the handles of its declarations, and `ctx.state.register`. */
import { HoldfastError } from "../base/errors.js";
import { checkStateName } from "../model/function-type.js";
import type { StateSpec } from "../model/state.js";
import type { EntryRows } from "./entry-rows.js";
import { ListRowHandle } from "./list-handle.js";
import type { FunctionEntry, Registry, RowColumn } from "./registry.js";
import type { RowHandle } from "./row-handle.js";
import { RowValueHandle } from "./row-value-handle.js";
import { TableRowHandle } from "./table-handle.js";
import type { TurnContext } from "./turn-context.js";

/** The handle of a state that is rows. */
export function rowHandle(context: TurnContext, rows: EntryRows, column: RowColumn): RowHandle {
  switch (column.spec.kind) {
    case "table":
      return new TableRowHandle(context, rows, column);
    case "list":
      return new ListRowHandle(context, rows, column);
    case "value":
      return new RowValueHandle(context, rows, column);
  }
}

/** The states that one function type declared at run time, for one context. */
export class RunTimeState {
  readonly #context: TurnContext;
  readonly #rows: EntryRows;
  readonly #registry: Registry;
  readonly #entry: FunctionEntry;
  readonly #handles = new Map<string, RowHandle>();

  constructor(context: TurnContext, rows: EntryRows, registry: Registry, entry: FunctionEntry) {
    this.#context = context;
    this.#rows = rows;
    this.#registry = registry;
    this.#entry = entry;
  }

  register(name: string, spec: StateSpec): RowHandle {
    const { instance } = this.#context;
    checkStateName(name, this.#entry.type);
    const column = this.#registry.register(this.#entry, name, spec);
    const stored = this.#rows.head(this.#rows.place(instance, column));
    if (stored !== undefined && stored.kind !== spec.kind) {
      const message = `state ${name} is stored as a ${stored.kind}, and cannot be registered as a ${spec.kind}`;
      throw new HoldfastError("HF_BAD_VALUE", message, { address: instance.toString() });
    }
    let handle = this.#handles.get(name);
    if (handle === undefined) {
      handle = rowHandle(this.#context, this.#rows, column);
      this.#handles.set(name, handle);
    }
    handle.column = column;
    return handle;
  }
}
