/**
 * Tables, lists, times to live, state declared at run time, destroy. Each turn does the same to the states of its
 * address and to a mirror, which is one plain value of the same address, and compares what it reads.
 *
 * K1. What a turn reads is what the mirror says; nothing that has expired, everything that has not.
 * K2. The committed rows of an address are what its committed mirror says, expired ones excepted, which may be gone.
 * K3. Heads count the rows there are, and every expiry has its row, and no other has.
 * K4. An address without a mirror, as after destroy, has no rows at all.
 * K5. In the end no expired row is left.
 */
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { decodeTableKey } from "../../lib/codec/table-key.js";
import { Address } from "../../lib/model/address.js";
import { type AnyFunctionDefinition, FunctionDefinition } from "../../lib/model/function.js";
import { type AnyNamespaceDefinition, NamespaceDefinition } from "../../lib/model/namespace.js";
import type { TableKey, Ttl } from "../../lib/model/state.js";
import { hashName32 } from "../../lib/partition/hash.js";
import { columnCode } from "../../lib/shard/registry.js";
import { keyText } from "../../lib/shard/rows.js";
import { decodeHead, decodeStateValue, expiryOf, NEVER, wholeKeyOf } from "../../lib/shard/state-value.js";
import { decodeEntryKey, expiryOfKey } from "../../lib/store/entry-key.js";
import { columnOf, idOf, rowTable } from "../../lib/store/row-key.js";
import type { CommittedView, FeatureWorld, MakeFeature, SimFeature } from "./feature.js";
import { rule } from "./violation.js";

const staticType = "sim/state";
/** With those that a namespace makes; the 32-bit codes of these are equal. */
const types = [staticType, "statedyn/5tzx", "statedyn/k1cd"];
const ids = ["s0", "s1", "s2\u0416"];
/** In their order; that of long ones with the same beginning is the order of their hashes. */
const keys: readonly TableKey[] = [
  true,
  -1.5,
  7,
  -3n,
  "",
  "a",
  "b\u0416",
  `${"long".repeat(40)}2`,
  `${"long".repeat(40)}1`,
];
const kept: Ttl = { ms: 40, since: "write" };
const used: Ttl = { ms: 50, since: "access" };

/** A value and when it expires. */
type Timed = readonly [value: number, expiry: number];

/** What the states of an address have to be. */
interface Mirror {
  plain: Map<TableKey, number>;
  timed: Map<TableKey, Timed>;
  late: Map<TableKey, number>;
  items: number[];
  brief: { items: number[]; expiry: number };
  value: Timed;
  lateValue: Timed;
}

function emptyMirror(): Mirror {
  return {
    plain: new Map(),
    timed: new Map(),
    late: new Map(),
    items: [],
    brief: { items: [], expiry: 0 },
    value: [0, 0],
    lateValue: [0, 0],
  };
}

// biome-ignore lint/suspicious/noExplicitAny: the handles are used by name
type StateContext = any;

const table = (ttl?: Ttl) => ({ kind: "table" as const, schema: undefined, ttl });
const list = (ttl?: Ttl) => ({ kind: "list" as const, schema: undefined, ttl });
const value = (initial: unknown, ttl?: Ttl) => ({ kind: "value" as const, initial, schema: undefined, ttl });

class StateFeature implements SimFeature {
  readonly name = "state";
  readonly meets = [
    "entry written",
    "entry deleted",
    "table cleared",
    "entry expired",
    "items appended",
    "list replaced",
    "list expired",
    "value expired",
    "value kept by a read",
    "declared at run time",
    "destroyed",
    "turn that failed",
  ] as const;
  readonly functions: readonly AnyFunctionDefinition[];
  readonly namespaces: readonly AnyNamespaceDefinition[];
  readonly dynamicTypes = types
    .slice(1)
    .map((type) => ({ type, states: ["mirror", "plain", "timed", "items", "brief", "value"] }));
  readonly #world: FeatureWorld;
  readonly #codec = new PayloadCodec();

  constructor(world: FeatureWorld) {
    this.#world = world;
    const provide = (type: string) =>
      new FunctionDefinition<number>(type, {
        state: {
          mirror: value(undefined),
          plain: table(),
          timed: table(kept),
          items: list(),
          brief: list(kept),
          value: value(0, used),
        },
        receive: (ctx, message) => this.#turn(ctx as StateContext, message),
      });
    this.functions = [provide(staticType) as AnyFunctionDefinition];
    this.namespaces = [new NamespaceDefinition("statedyn", provide as never) as AnyNamespaceDefinition];
  }

  poke(send: (to: Address<never, unknown>, message: unknown) => void): void {
    const { random } = this.#world;
    const type = types[random.below(types.length)];
    send(new Address<never, unknown>(type, ids[random.below(ids.length)]), random.below(1_000));
  }

  #turn(ctx: StateContext, message: number): void | Promise<void> {
    const { random, faulty } = this.#world;
    if (faulty && random.below(8) === 0) return this.#asyncTurn(ctx, message);
    this.#work(ctx, message);
    if (!faulty || random.below(12) > 0) return;
    this.#world.met("turn that failed");
    throw new Error("this turn is not to be");
  }

  async #asyncTurn(ctx: StateContext, message: number): Promise<void> {
    this.#world.asynchronous();
    ctx.state.plain.get("a");
    const before = ctx.state.items.view().length;
    await this.#world.pause();
    if (before !== ctx.state.items.length) this.#world.broken("a list changed while a turn was pending");
    this.#work(ctx, message);
  }

  #work(ctx: StateContext, message: number): void {
    const { random } = this.#world;
    const mirror: Mirror = ctx.state.mirror.get() === undefined ? emptyMirror() : ctx.state.mirror.get();
    const late = ctx.state.register("late", table());
    const lateValue = ctx.state.register("lateValue", value(0, kept));
    for (let steps = 1 + random.below(5); steps > 0; steps--) {
      const key = keys[random.below(keys.length)];
      this.#tables(ctx, mirror, late, key, message);
      this.#others(ctx, mirror, lateValue, message);
    }
    this.#compare(ctx, mirror, late, lateValue);
    ctx.state.mirror.set(mirror);
    if (random.below(15) > 0) return;
    this.#world.met("destroyed");
    ctx.destroy();
  }

  #tables({ state }: StateContext, mirror: Mirror, late: StateContext, key: TableKey, n: number): void {
    switch (this.#world.random.below(9)) {
      case 0:
      case 1:
        state.plain.set(key, n);
        mirror.plain.set(key, n);
        this.#world.met("entry written");
        break;
      case 2:
        if (mirror.plain.has(key)) this.#world.met("entry deleted");
        this.#same("delete", state.plain.delete(key), mirror.plain.delete(key));
        break;
      case 3:
        state.plain.update(key, (before: number | undefined) => (before ?? 0) + 1);
        mirror.plain.set(key, (mirror.plain.get(key) ?? 0) + 1);
        break;
      case 4:
        if (this.#world.random.below(4) > 0) break;
        if (mirror.plain.size > 0) this.#world.met("table cleared");
        state.plain.clear();
        mirror.plain.clear();
        break;
      case 5:
      case 6:
        state.timed.set(key, n);
        mirror.timed.set(key, [n, this.#world.now() + kept.ms]);
        break;
      case 7:
        this.#same("has", state.timed.has(key), live(mirror.timed.get(key), this.#world.now()) !== undefined);
        state.timed.delete(key);
        mirror.timed.delete(key);
        break;
      case 8:
        this.#world.met("declared at run time");
        late.set(key, n);
        mirror.late.set(key, n);
        break;
    }
  }

  #others({ state }: StateContext, mirror: Mirror, lateValue: StateContext, n: number): void {
    const now = this.#world.now();
    switch (this.#world.random.below(8)) {
      case 0:
        this.#world.met("items appended");
        state.items.append(n);
        mirror.items.push(n);
        break;
      case 1:
        state.items.appendAll([n, n + 1]);
        mirror.items.push(n, n + 1);
        break;
      case 2:
        if (this.#world.random.below(2) === 0) break;
        this.#world.met("list replaced");
        state.items.replaceWith([n]);
        mirror.items = [n];
        break;
      case 3:
        state.brief.append(n);
        mirror.brief = { items: [...(mirror.brief.expiry > now ? mirror.brief.items : []), n], expiry: now + kept.ms };
        break;
      case 4:
        state.value.set(n);
        mirror.value = [n, now + used.ms];
        break;
      case 5:
        lateValue.set(n);
        mirror.lateValue = [n, now + kept.ms];
        break;
      case 6:
        lateValue.clear();
        mirror.lateValue = [0, 0];
        break;
    }
  }

  /** K1 */
  #compare({ state }: StateContext, mirror: Mirror, late: StateContext, lateValue: StateContext): void {
    const now = this.#world.now();
    for (const key of keys) {
      this.#same("get", state.plain.get(key), mirror.plain.get(key));
      this.#same("timed get", state.timed.get(key), live(mirror.timed.get(key), now));
    }
    if ([...mirror.timed.values()].some((at) => at[1] <= now)) this.#world.met("entry expired");
    if (mirror.brief.expiry > 0 && mirror.brief.expiry <= now) this.#world.met("list expired");
    if (mirror.value[1] > 0 && mirror.value[1] <= now) this.#world.met("value expired");
    const timed = [...mirror.timed].filter(([, at]) => live(at, now) !== undefined);
    this.#same("size", state.plain.size, mirror.plain.size);
    this.#same("timed size", state.timed.size, timed.length);
    this.#same("late size", late.size, mirror.late.size);
    this.#same("entries", show(state.plain.entries()), show(inOrder(mirror.plain)));
    this.#same("timed keys", show(state.timed.keys()), show([...inOrder(new Map(timed))].map(([key]) => key)));
    this.#same("late values", show(late.values()), show([...inOrder(mirror.late)].map(([, n]) => n)));
    this.#same("view", show(state.items.view()), show(mirror.items));
    this.#same("length", state.items.length, mirror.items.length);
    this.#same("brief view", show(state.brief.view()), show(mirror.brief.expiry > now ? mirror.brief.items : []));
    this.#same("value", state.value.get(), live(mirror.value, now) ?? 0);
    this.#same("late value", lateValue.get(), live(mirror.lateValue, now) ?? 0);
    const [n, expiry] = mirror.value;
    if (expiry <= now || now + used.ms - expiry < used.ms / 10) return;
    mirror.value = [n, now + used.ms];
    this.#world.met("value kept by a read");
  }

  #same(what: string, is: unknown, should: unknown): void {
    if (is !== should) this.#world.broken(`state: ${what} is ${String(is)}, and not ${String(should)}`);
  }

  committed(view: CommittedView): void {
    for (const type of types) {
      const rows = this.#rowsOf(view, type);
      const mirrors = new Map(view.states(type, "mirror")) as Map<string, Mirror>;
      for (const id of rows.keys()) rule(mirrors.has(id), () => `${type}@${id} has rows and no mirror`); // K4
      for (const [id, mirror] of mirrors) this.#committedAt(id, mirror, rows.get(id) ?? new Map());
    }
    this.#expiries(view);
  }

  /** K2 */
  #committedAt(id: string, mirror: Mirror, rows: ReadonlyMap<string, ReadonlyMap<string, Timed>>): void {
    const expected: { [state: string]: Map<string, Timed> } = {
      plain: new Map([...mirror.plain].map(([key, n]) => [show(key), [n, NEVER]])),
      timed: new Map([...mirror.timed].map(([key, timed]) => [show(key), timed])),
      late: new Map([...mirror.late].map(([key, n]) => [show(key), [n, NEVER]])),
      items: new Map(mirror.items.map((n, index) => [String(index), [n, NEVER]])),
      brief: new Map(mirror.brief.items.map((n, index) => [String(index), [n, mirror.brief.expiry]])),
      value: new Map([["", mirror.value]]),
      lateValue: new Map([["", mirror.lateValue]]),
    };
    for (const [state, entries] of Object.entries(expected)) {
      const found = rows.get(state) ?? new Map<string, Timed>();
      for (const [key, [n, expiry]] of entries) {
        const row = found.get(key);
        if (row === undefined) rule(expiry <= this.#world.now(), () => `${state} of ${id} lacks ${key}`);
        else
          rule(row[0] === n && row[1] === expiry, () => `${state} of ${id} has ${row} at ${key}, not ${n},${expiry}`);
      }
      for (const key of found.keys()) rule(entries.has(key), () => `${state} of ${id} has a row too many: ${key}`);
    }
  }

  /** By id and state: the rows by key; K3 for the heads. */
  #rowsOf(view: CommittedView, type: string): Map<string, Map<string, Map<string, Timed>>> {
    const names = new Map(
      ["plain", "timed", "late", "items", "brief", "value", "lateValue"].map((name) => [columnCode(type, name), name]),
    );
    const rows = new Map<string, Map<string, Map<string, Timed>>>();
    const at = (id: string, state: string): Map<string, Timed> => {
      const states = rows.get(id) ?? new Map<string, Map<string, Timed>>();
      rows.set(id, states);
      const found = states.get(state) ?? new Map<string, Timed>();
      states.set(state, found);
      return found;
    };
    const prefix = type === staticType ? "" : `${type}\0`;
    const counts: [id: string, state: string, count: number, expiry: number][] = [];
    for (const { key, value: bytes } of view.rows(rowTable.ENTRY)) {
      const place = decodeEntryKey(key);
      if (place?.typeCode !== hashName32(type) || !place.id.startsWith(prefix)) continue;
      const id = place.id.slice(prefix.length);
      const state = names.get(place.column) ?? "?";
      if (place.kind === "head") counts.push([id, state, decodeHead(bytes).count, decodeHead(bytes).expiry]);
      else at(id, state).set(this.#keyOf(state, place.rest, bytes), this.#timed(bytes));
    }
    for (const { key, value: bytes } of view.rows(rowTable.STATE)) {
      const state = names.get(columnOf(key));
      const id = idOf(key);
      if (state !== undefined && id.startsWith(prefix)) at(id.slice(prefix.length), state).set("", this.#timed(bytes));
    }
    for (const [id, state, count, expiry] of counts) {
      const found = at(id, state);
      rule(found.size === count && count > 0, () => `${state} of ${id} has ${found.size} rows, its head says ${count}`);
      if (state === "brief") for (const [key, [n]] of found) found.set(key, [n, expiry]);
    }
    return rows;
  }

  #keyOf(state: string, rest: Uint8Array, bytes: Uint8Array): string {
    if (state !== "items" && state !== "brief") return show(decodeTableKey(wholeKeyOf(bytes) ?? rest));
    return String(Buffer.from(rest).readUInt32BE(4));
  }

  #timed(bytes: Uint8Array): Timed {
    return [decodeStateValue(this.#codec, bytes) as number, expiryOf(bytes)];
  }

  /** K3 */
  #expiries(view: CommittedView): void {
    const expiries = new Map<string, number>();
    for (const { key, value: target } of view.rows(rowTable.ENTRY))
      if (decodeEntryKey(key) === undefined) expiries.set(`${keyText(target)} ${expiryOfKey(key)}`, 1);
    for (const name of [rowTable.ENTRY, rowTable.STATE]) {
      for (const { key, value: bytes } of view.rows(name)) {
        if (name === rowTable.ENTRY && decodeEntryKey(key) === undefined) continue;
        const expiry = expiryOf(bytes);
        if (expiry === NEVER) continue;
        rule(expiries.delete(`${keyText(key)} ${expiry}`), () => `a row expires at ${expiry}, and nothing says so`);
      }
    }
    rule(expiries.size === 0, () => `${expiries.size} expiries are of no row`);
  }

  unfinished(view: CommittedView): string | undefined {
    for (const { key } of view.rows(rowTable.ENTRY))
      if (decodeEntryKey(key) === undefined && expiryOfKey(key) <= this.#world.now()) return "an expired row is there";
    return undefined; // K5
  }
}

function live(timed: Timed | undefined, now: number): number | undefined {
  return timed === undefined || timed[1] <= now ? undefined : timed[0];
}

/** The entries of a map in the order of the keys of a table. */
function inOrder<V>(map: ReadonlyMap<TableKey, V>): [TableKey, V][] {
  return keys.flatMap((key) => (map.has(key) ? [[key, map.get(key) as V] as [TableKey, V]] : []));
}

function show(what: unknown): string {
  const parts = typeof what === "object" ? [...(what as Iterable<unknown>)] : what;
  return JSON.stringify(parts, (_, part) => (typeof part === "bigint" ? `${part}n` : part));
}

export const makeStateFeature: MakeFeature = (world) => new StateFeature(world);
