/**
 * The application as a shard sees it: function types and egresses with their frozen 32-bit codes.
 *
 * Codes are hashes of names, so rows need no dictionary and a type may appear at any time; two names of one
 * application with the same code are refused.
 */
import { HoldfastError } from "../base/errors.js";
import type { Peer } from "../codec/message-codec.js";
import { freezePlain } from "../codec/plain-data.js";
import { checkId } from "../model/address.js";
import type { AppDefinition } from "../model/app.js";
import { FunctionDefinition } from "../model/function.js";
import { namespaceOf } from "../model/function-type.js";
import { rejectsName } from "../model/ingress.js";
import { type AnyNamespaceDefinition, checkDynamicId } from "../model/namespace.js";
import { validate } from "../model/schema.js";
import type { StateSpec, StateSpecs, ValueSpec } from "../model/state.js";
import { hashName32 } from "../partition/hash.js";
import { InstanceTable } from "./instance-table.js";
import type { TurnContext } from "./turn-context.js";

/** One state of a function type. */
export interface Column {
  readonly name: string;
  /** Position in `Instance.cells`. */
  readonly index: number;
  /** Code of (type, state), part of the row key. */
  readonly code: number;
  readonly spec: ValueSpec<unknown>;
  /** The initial value, frozen; `copyInitial` when it cannot be. */
  readonly initial: unknown;
  readonly copyInitial: boolean;
}

/** A state that is rows and not a cell: a table, a list, a value that expires or was declared at run time. */
export interface RowColumn {
  readonly name: string;
  /** Code of (type, state), part of the row keys. */
  readonly code: number;
  readonly spec: StateSpec;
  /** Of a value: its initial one, frozen; `copyInitial` when it cannot be. */
  readonly initial: unknown;
  readonly copyInitial: boolean;
  /** Declared at run time. */
  readonly registered: boolean;
}

/** One function type with what this shard knows of its instances. */
export class FunctionEntry {
  readonly type: string;
  readonly code: number;
  /** The same as a signed number, as frames say it. */
  readonly code32: number;
  readonly definition: FunctionDefinition<unknown, StateSpecs, unknown>;
  /** The states that are cells. */
  readonly columns: readonly Column[];
  /** The states that are rows. */
  readonly rowColumns: readonly RowColumn[];
  /** States declared at run time, by name. */
  readonly registered = new Map<string, RowColumn>();
  /** The instances in this shard's memory, by id. */
  readonly instances = new InstanceTable();
  /** The context of its next turn, unless the last one went async and kept it. */
  context: TurnContext | undefined = undefined;
  /** A namespace made it: messages say its name, and rows too, as the codes of such types may collide. */
  readonly dynamic: boolean;
  /** Its declared states and, of a dynamic type, those declared at run time, by code. */
  readonly codes = new Map<number, string>();

  constructor(definition: FunctionDefinition<unknown, StateSpecs, unknown>, dynamic = false) {
    this.dynamic = dynamic;
    this.type = definition.type;
    this.code = hashName32(definition.type);
    this.code32 = this.code | 0;
    this.definition = definition;
    const declared = Object.entries(definition.options.state ?? {});
    const cells = declared.filter((state): state is [string, ValueSpec<unknown>] => isCell(state[1]));
    this.columns = cells.map(([name, spec], index) => {
      const initial = freezePlain(spec.initial, `initial value of ${definition.type} ${name}`);
      return {
        name,
        index,
        code: columnCode(definition.type, name),
        spec,
        initial: initial.value,
        copyInitial: initial.mutable,
      };
    });
    const rows = declared.filter(([, spec]) => !isCell(spec));
    this.rowColumns = rows.map(([name, spec]) => rowColumn(definition.type, name, spec, false));
    for (const { code, name } of [...this.columns, ...this.rowColumns])
      claim(this.codes, code, `${definition.type} ${name}`);
  }

  /** An address as rows say it. */
  peer(id: string): Peer {
    return this.dynamic ? { code: this.code, id, dynamicType: this.type } : { code: this.code, id };
  }

  /** The id in keys of rows. */
  storedId(id: string): string {
    return this.dynamic ? `${this.type}\0${id}` : id;
  }

  /**
   * Checks a message from outside, which the compiler has not seen; returns what its schema makes of it.
   *
   * @throws `HF_SCHEMA`, `HF_UNKNOWN_MESSAGE`, `HF_BAD_ID`
   */
  accept(id: string, message: unknown): unknown {
    const { message: schema, handlers } = this.definition.options;
    this.checkId(id);
    const checked =
      schema === undefined ? message : validate(schema, message, `message for ${this.type}`, `${this.type}@${id}`);
    handlers?.handlerOf(checked);
    return checked;
  }

  /** An address may be made by hand. @throws `HF_BAD_ID` */
  checkId(id: unknown): void {
    if (this.dynamic) checkDynamicId(this.type, id);
    else checkId(this.type, id);
  }
}

function isCell(spec: StateSpec): boolean {
  return spec.kind === "value" && spec.ttl === undefined;
}

function rowColumn(type: string, name: string, spec: StateSpec, registered: boolean): RowColumn {
  const { value, mutable } = freezePlain(
    spec.kind === "value" ? spec.initial : undefined,
    `initial value of ${type} ${name}`,
  );
  return { name, code: columnCode(type, name), spec, initial: value, copyInitial: mutable, registered };
}

/** Code of a state of a function type. */
export function columnCode(type: string, state: string): number {
  return hashName32(`${type}\0${state}`);
}

/** Code of an egress. */
export function egressCode(name: string): number {
  return hashName32(name);
}

/** Function types by name and by code, egress codes by name. */
export class Registry {
  readonly byName = new Map<string, FunctionEntry>();
  readonly byCode = new Map<number, FunctionEntry>();
  readonly egressCodes = new Map<string, number>();
  /** Every state, by code. */
  readonly #columns = new Map<number, string>();
  /** The entries found last: most messages are for the type of the one before. */
  #lastNamed: FunctionEntry | undefined = undefined;
  #lastCoded: FunctionEntry | undefined = undefined;
  readonly #namespaces: ReadonlyMap<string, AnyNamespaceDefinition>;

  /** @throws `HF_BAD_APP` when two names have the same code. */
  constructor(app: AppDefinition) {
    this.#namespaces = new Map(app.namespaces.map((definition) => [definition.namespace, definition]));
    for (const definition of app.functions) {
      const entry = new FunctionEntry(definition);
      claim(new Map([...this.byCode].map(([code, known]) => [code, known.type])), entry.code, entry.type);
      for (const { code, name } of [...entry.columns, ...entry.rowColumns])
        claim(this.#columns, code, `${entry.type} ${name}`);
      this.byName.set(entry.type, entry);
      this.byCode.set(entry.code, entry);
    }
    const egresses = new Map<number, string>();
    for (const name of [...app.egresses.keys(), ...app.ingresses.map((ingress) => rejectsName(ingress.name))]) {
      const code = egressCode(name);
      claim(egresses, code, name);
      this.egressCodes.set(name, code);
    }
  }

  /**
   * A state that is declared at run time.
   *
   * @throws `HF_BAD_VALUE`
   */
  register(entry: FunctionEntry, name: string, spec: StateSpec): RowColumn {
    const known = entry.registered.get(name);
    if (known?.spec === spec) return known;
    if (!["value", "table", "list"].includes(spec?.kind))
      throw badState(entry, name, "was not made by value, table or list");
    if (known !== undefined && known.spec.kind !== spec.kind)
      throw badState(entry, name, `is registered as a ${known.spec.kind}, and cannot be a ${spec.kind} too`);
    const column = rowColumn(entry.type, name, spec, true);
    const taken = entry.dynamic ? entry.codes : this.#columns; // keys of dynamic types have the name of the type
    const other = taken.get(column.code);
    if (known === undefined && other !== undefined)
      throw badState(
        entry,
        name,
        other === `${entry.type} ${name}` ? "is declared by the function" : `has the same 32-bit code as "${other}"`,
      );
    taken.set(column.code, `${entry.type} ${name}`);
    entry.registered.set(name, column);
    return column;
  }

  /** The entry of a function type. */
  named(type: string): FunctionEntry | undefined {
    if (this.#lastNamed?.type === type) return this.#lastNamed;
    this.#lastNamed = this.byName.get(type) ?? this.#provided(type);
    return this.#lastNamed;
  }

  /**
   * The entry of a function type that a namespace made when a message was sent to it. If it cannot be made any more, the
   * messages to it fail, each with the reason.
   */
  restored(type: string): FunctionEntry | undefined {
    try {
      return this.named(type);
    } catch (error) {
      const receive = (): never => {
        throw error;
      };
      return this.#add(new FunctionEntry(new FunctionDefinition(type, { receive }), true));
    }
  }

  /** The entry of an address, as messages and rows say it. */
  peer(peer: Peer | undefined): FunctionEntry | undefined {
    if (peer === undefined) return undefined;
    return peer.dynamicType === undefined ? this.coded(peer.code) : this.restored(peer.dynamicType);
  }

  #provided(type: unknown): FunctionEntry | undefined {
    if (this.#namespaces.size === 0 || typeof type !== "string") return undefined;
    const definition = this.#namespaces.get(namespaceOf(type))?.provide(type);
    return definition === undefined ? undefined : this.#add(new FunctionEntry(definition as never, true));
  }

  #add(entry: FunctionEntry): FunctionEntry {
    this.byName.set(entry.type, entry);
    return entry;
  }

  /** The entry with a code, signed or not. */
  coded(code: number): FunctionEntry | undefined {
    const code32 = code | 0;
    if (this.#lastCoded?.code32 === code32) return this.#lastCoded;
    this.#lastCoded = this.byCode.get(code32 >>> 0);
    return this.#lastCoded;
  }
}

function claim(taken: Map<number, string>, code: number, name: string): void {
  const other = taken.get(code);
  if (other !== undefined && other !== name) {
    throw new HoldfastError("HF_BAD_APP", `"${other}" and "${name}" have the same 32-bit code: rename one of them`);
  }
  taken.set(code, name);
}

function badState({ type }: FunctionEntry, name: string, what: string): HoldfastError {
  return new HoldfastError("HF_BAD_VALUE", `state ${name} of ${type} ${what}`);
}
