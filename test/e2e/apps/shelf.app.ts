/** Functions with every kind of state. */
import { defineApp, defineFunction, list, type TableKey, table, type, value } from "../../../lib/index.js";

export const lifeMs = 250;

export interface Shelved {
  readonly get: unknown;
  readonly has: boolean;
  readonly size: number;
  readonly entries: readonly (readonly [TableKey, unknown])[];
  readonly items: readonly unknown[];
  readonly length: number;
  readonly note: string;
}

type ShelfMessage =
  | { readonly kind: "put"; readonly entries: readonly (readonly [TableKey, unknown])[]; readonly failOnce?: string }
  | { readonly kind: "fill"; readonly from: number; readonly to: number }
  | { readonly kind: "delete"; readonly keys: readonly TableKey[] }
  | { readonly kind: "append" | "replace"; readonly items: readonly unknown[] }
  | { readonly kind: "note"; readonly note: string }
  | { readonly kind: "clear" | "destroy" | "delete odd" }
  | { readonly kind: "destroy and fail"; readonly failOnce: string }
  | { readonly kind: "read"; readonly key?: TableKey };

/** Messages whose first turn in this thread has failed. */
const failed = new Set<string>();

export const shelf = defineFunction("shelf/shelf", {
  state: { things: table<TableKey, unknown>(), items: list<unknown>(), note: value("") },
  reply: type<Shelved>(),
  receive(ctx, message: ShelfMessage) {
    const { things, items, note } = ctx.state;
    switch (message.kind) {
      case "put":
        for (const [key, thing] of message.entries) things.set(key, thing);
        break;
      case "fill":
        for (let n = message.from; n < message.to; n++) things.set(n, { square: n * n });
        break;
      case "delete":
        for (const key of message.keys) things.delete(key);
        break;
      case "append":
        items.appendAll(message.items);
        break;
      case "replace":
        items.replaceWith(message.items);
        break;
      case "note":
        note.set(message.note);
        break;
      case "delete odd":
        for (const key of things.keys()) if (Number(key) % 2 === 1) things.delete(key);
        break;
      case "clear":
        things.clear();
        items.clear();
        break;
      case "destroy":
        note.set("the last words");
        ctx.destroy();
        break;
      case "destroy and fail":
        if (failed.has(message.failOnce)) break;
        note.set("the last words");
        things.set("c", 1);
        items.append("c");
        ctx.destroy();
        break;
      case "read":
        break;
    }
    if ("failOnce" in message && message.failOnce !== undefined && !failed.has(message.failOnce)) {
      failed.add(message.failOnce);
      throw new Error("not the first time");
    }
    ctx.reply({
      get: "key" in message && message.key !== undefined ? things.get(message.key) : undefined,
      has: "key" in message && message.key !== undefined && things.has(message.key),
      size: things.size,
      entries: things.size > 100 ? [] : [...things.entries()],
      items: items.view(),
      length: items.length,
      note: note.get(),
    });
  },
});

/** Walks over the squares of a shelf of its own. */
export const warehouse = defineFunction("shelf/warehouse", {
  state: { squares: table<number, { n: number; pad: string }>() },
  reply: type<{ size: number; sum: number; ordered: boolean; first: readonly number[] }>(),
  receive(ctx, message: { fill: number; from: number } | "walk") {
    const { squares } = ctx.state;
    if (message !== "walk")
      for (let n = message.from; n < message.from + message.fill; n++) squares.set(n, { n, pad: "x".repeat(50) });
    let [sum, ordered, before] = [0, true, -1];
    const first: number[] = [];
    if (message === "walk") {
      for (const key of squares.keys()) if (first.push(key) === 3) break;
      for (const [key, { n }] of squares.entries()) {
        ordered &&= key === n && n > before;
        before = n;
        sum += n;
      }
    }
    ctx.reply({ size: squares.size, sum, ordered, first });
  },
});

export interface Brief {
  readonly value: number;
  readonly used: number;
  readonly has: boolean;
  readonly size: number;
  readonly keys: readonly string[];
  readonly length: number;
  readonly late: number;
  /** At the end of the turn: milliseconds since the beginning of "set", by the clock that expiry goes by. */
  readonly ageMs: number;
  /** At the beginning of the turn: milliseconds since the end of "set". */
  readonly sureAgeMs: number;
}

const ttl = { ms: lifeMs };

export const brief = defineFunction("shelf/brief", {
  state: {
    value: value(0, { ttl }),
    used: value(0, { ttl: { ms: lifeMs, since: "access" } }),
    table: table<string, number>({ ttl }),
    list: list<number>({ ttl }),
    since: value(0),
    until: value(0),
  },
  reply: type<Brief>(),
  receive(ctx, message: "set" | "read" | "use") {
    const { state } = ctx;
    const began = Date.now();
    const late = state.register("late", value(0, { ttl }));
    if (message === "set") {
      state.since.set(began);
      state.value.set(1);
      state.used.set(1);
      for (const key of ["a", "b"]) state.table.set(key, 1);
      state.list.append(1);
      late.set(1);
      state.until.set(Date.now());
    }
    const used = message === "use" ? state.used.get() : 0;
    const keys = [...state.table.keys()];
    const [size, length, has] = [state.table.size, state.list.length, state.table.has("a")];
    const values = { value: state.value.get(), late: late.get() };
    ctx.reply({
      ...values,
      used,
      has,
      size,
      keys,
      length,
      ageMs: Date.now() - state.since.get(),
      sureAgeMs: began - state.until.get(),
    });
  },
});

type Kind = "value" | "table" | "list";

export const flexible = defineFunction("shelf/flexible", {
  state: { declared: value(1) },
  reply: type<string>(),
  receive(ctx, message: { name: string; kind: Kind; add: number } | "destroy") {
    if (message === "destroy") {
      ctx.destroy();
      ctx.reply("destroyed");
      return;
    }
    const { name, kind, add } = message;
    try {
      if (kind === "value") {
        const sum = ctx.state.register(name, value(0));
        if (add > 0) sum.update((before) => before + add);
        ctx.reply(String(sum.get()));
      } else if (kind === "table") {
        const seen = ctx.state.register(name, table<number, true>());
        if (add > 0) seen.set(add, true);
        ctx.reply([...seen.keys()].join());
      } else {
        const all = ctx.state.register(name, list<number>());
        if (add > 0) all.append(add);
        ctx.reply(all.view().join());
      }
    } catch (error) {
      ctx.reply((error as Error).message);
    }
  },
});

/** Tries what must not be, and says what comes of it. */
export const clumsy = defineFunction("shelf/clumsy", {
  state: {
    any: table<never, unknown>(),
    items: list<unknown>(),
  },
  reply: type<readonly string[]>(),
  receive(ctx) {
    const { any, items } = ctx.state as unknown as { any: AnyTable; items: AnyList };
    const cyclic: unknown[] = [];
    cyclic.push(cyclic);
    const tries: (() => unknown)[] = [
      () => any.set(Number.NaN, 1),
      () => any.get({}),
      () => any.has(undefined),
      () => any.delete(null),
      () => any.set("k", () => {}),
      () => any.set("k", cyclic),
      () => any.set("x".repeat(70_000), 1),
      () => any.set("k", "x".repeat(17 * 1024 * 1024)),
      () => items.append(Symbol("s")),
      () => items.appendAll([1, cyclic]),
      () => items.replaceWith([1, () => {}]),
      () => ctx.state.register("not a name", value(0)),
      () => ctx.state.register("any", table()),
      () => ctx.state.register("other", {} as never),
    ];
    const codes = tries.map((attempt) => {
      try {
        attempt();
        return "no error";
      } catch (error) {
        return String((error as { code?: unknown }).code);
      }
    });
    ctx.reply([...codes, `${any.size} entries`, `${items.length} items`]);
  },
});

interface AnyTable {
  readonly size: number;
  set(key: unknown, value: unknown): void;
  get(key: unknown): unknown;
  has(key: unknown): boolean;
  delete(key: unknown): boolean;
}

interface AnyList {
  readonly length: number;
  append(item: unknown): void;
  appendAll(items: unknown): void;
  replaceWith(items: unknown): void;
}

/** Keeps its handles, and an iteration, and uses them in the next turn. */
let kept: (() => unknown)[] = [];
export const keeper = defineFunction("shelf/keeper", {
  state: { table: table<string, number>(), list: list<number>(), brief: value(0, { ttl }) },
  reply: type<readonly string[]>(),
  receive(ctx, message: "keep" | "use") {
    if (message === "use") {
      ctx.reply(
        kept.map((use) => {
          try {
            use();
            return "no error";
          } catch (error) {
            return String((error as { code?: unknown }).code);
          }
        }),
      );
      return undefined;
    }
    const { state } = ctx;
    state.table.set("a", 1);
    const begun = state.table.entries();
    begun.next();
    const notBegun = state.table.keys();
    kept = [
      () => state.table.get("a"),
      () => state.table.set("a", 1),
      () => state.table.update("a", () => 1),
      () => state.table.delete("a"),
      () => state.table.has("a"),
      () => state.table.entries(),
      () => state.table.size,
      () => state.table.clear(),
      () => begun.next(),
      () => notBegun.next(),
      () => state.list.append(1),
      () => state.list.view(),
      () => state.list.length,
      () => state.list.clear(),
      () => state.brief.get(),
      () => state.brief.set(1),
      () => state.register("x", value(0)),
      () => ctx.destroy(),
    ];
    return new Promise<void>((resolve) => setImmediate(resolve)); // an async turn has its own ctx
  },
});

export default defineApp({ functions: [shelf, warehouse, brief, flexible, clumsy, keeper] });
