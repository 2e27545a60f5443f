/** Functions whose names, messages, state, replies and records are as odd as their callers make them. */
import {
  type Address,
  defineApp,
  defineEgress,
  defineFunction,
  list,
  type OperationResult,
  type TableKey,
  table,
  type,
  value,
} from "../../lib/index.js";
import { ndjsonIngress } from "../../lib/io/ndjson.js";

/** Types that are names of something in JavaScript, in file systems, or in another alphabet. */
export const oddTypes = [
  "__proto__/__proto__",
  "constructor/prototype",
  "../x",
  "..\\/..\\",
  "é/\u{1f600}",
  `long/${"x".repeat(251)}`,
] as const;

/** Says who it is, and remembers what it was told, under a name and a key that it was told. */
const oddFunctions = oddTypes.map((name) =>
  defineFunction(name, {
    state: { constructor: value<string[]>([]), hasOwnProperty: table<TableKey, string>(), $: list<string>() },
    reply: type<unknown>(),
    receive(ctx, message: { readonly key: TableKey } | "read") {
      const { constructor: told, hasOwnProperty: byKey, $: all } = ctx.state;
      if (message === "read") ctx.reply([ctx.self.type, ctx.self.id, told.get(), [...byKey.entries()], all.view()]);
      else {
        told.update((before) => [...before, ctx.self.id]);
        byKey.set(message.key, ctx.self.id);
        all.append(ctx.self.id);
        ctx.emit(oddRecords, { from: ctx.self.id, key: message.key });
      }
    },
  }),
);

export const oddRecords = defineEgress<{ readonly from: string; readonly key: TableKey }>("__proto__/constructor");

export type Cargo = unknown;

/** Takes cargo of any size: passes it on to what its id has behind the first `>`, else keeps and records it. */
/** By its parts: the type of a function that names itself in its body is not known there. */
function address(id: string): Address<Cargo, Cargo> {
  return { type: "hostile/carrier", id } as unknown as Address<Cargo, Cargo>;
}

export const carrier = defineFunction("hostile/carrier", {
  state: { cargo: value<Cargo>() },
  reply: type<Cargo>(),
  receive(ctx, cargo: Cargo): void {
    const [next, ...rest] = ctx.self.id.split(">").slice(1);
    if (next !== undefined) ctx.send(address([next, ...rest].join(">")), cargo);
    else if (cargo === "read") ctx.reply(ctx.state.cargo.get());
    else {
      ctx.state.cargo.set(cargo);
      ctx.emit(records, cargo);
    }
  },
});
export const records = defineEgress<Cargo>("hostile/records");

/** Makes more than fits, where it was told to. */
export const glutton = defineFunction("hostile/glutton", {
  state: { cargo: value<Cargo>(), table: table<string, Cargo>(), list: list<Cargo>() },
  reply: type<Cargo>(),
  receive(ctx, message: { readonly where: string; readonly what: "bytes" | "numbers" | "text" }) {
    const cargo =
      message.what === "bytes"
        ? new Uint8Array(16 * 1024 * 1024 - 2)
        : message.what === "text"
          ? "é".repeat(10 * 1024 * 1024)
          : new Array(2_000_000).fill(1.5);
    if (message.where === "state") ctx.state.cargo.set(cargo);
    if (message.where === "table") ctx.state.table.set("k", cargo);
    if (message.where === "list") ctx.state.list.append(cargo);
    if (message.where === "record") ctx.emit(records, cargo);
    if (message.where === "message") ctx.send(carrier.at("too much"), cargo);
    if (message.where === "delayed") ctx.sendAfter(1, carrier.at("too much"), cargo);
    ctx.reply(message.where === "reply" ? cargo : "done");
  },
});

/** Starts work whose result is as deep as a message may be, and remembers what came of it. */
export const digger = defineFunction("hostile/digger", {
  state: { status: value("none") },
  reply: type<string>(),
  receive(ctx, message: "dig" | "read" | OperationResult<unknown, null>) {
    if (message === "read") ctx.reply(ctx.state.status.get());
    else if (message !== "dig") ctx.state.status.set(message.status);
    else {
      ctx.run(async () => {
        let deep: unknown[] = [];
        for (let level = 1; level < 64; level++) deep = [deep];
        return deep;
      }, null);
    }
  },
});

const input = new URL(import.meta.url).searchParams.get("input");
/** What ingresses may be called. */
export const ingressName = "__proto__";

export default defineApp({
  name: "hostile",
  functions: [...oddFunctions, carrier, glutton, digger],
  egresses: [records, oddRecords],
  ingresses:
    input === null
      ? []
      : [
          ndjsonIngress<{ readonly id: string; readonly cargo: unknown }>(ingressName, {
            path: input,
            route: (record, to) => {
              if (record.id === "shout") throw new Error("x".repeat(20 * 1024 * 1024));
              to(carrier.at(record.id), record.cargo);
            },
          }),
        ],
});

/** The address of an odd function. */
export function odd(type: string, id: string): Address<{ readonly key: TableKey } | "read", unknown> {
  return { type, id } as unknown as Address<{ readonly key: TableKey } | "read", unknown>;
}
