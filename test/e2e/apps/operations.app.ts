/** Functions that start operations and tell what came of them. */
import { existsSync, writeFileSync } from "node:fs";
import {
  type Context,
  defineApp,
  defineFunction,
  defineTask,
  isHoldfastError,
  isOperationResult,
  type OperationResult,
  type Task,
  type,
  value,
} from "../../../lib/index.js";
import { waitAtGate } from "./gate.js";

const tasks = new URL("./tasks.js", import.meta.url);
const sum = defineTask<typeof import("./tasks.js").sum>(tasks, "sum");
const fail = defineTask<typeof import("./tasks.js").fail>(tasks, "fail");
const spin = defineTask<typeof import("./tasks.js").spin>(tasks, "spin");
const describe = defineTask<typeof import("./tasks.js").describe>(tasks, "describe");
const length = defineTask<typeof import("./tasks.js").length>(tasks, "length");
const odd = defineTask(tasks, "odd");
const missing = defineTask(tasks, "missing");
const nowhere = defineTask(new URL("./nowhere.js", import.meta.url));

export interface Note {
  readonly n: number;
  readonly at: Date;
}

export type Result = OperationResult<unknown, Note>;

export type Wish =
  | { readonly run: "value" | "nothing" | "fail" | "throw" | "odd" | "large" | "gate"; readonly n: number }
  | { readonly late: number; readonly n: number }
  | {
      readonly spin: { readonly began: string; readonly until: string };
      readonly timeoutMs?: number;
      readonly n: number;
    }
  | { readonly abort: { readonly began: string; readonly until: string }; readonly n: number }
  | { readonly task: "sum" | "describe" | "fail" | "odd" | "missing" | "nowhere" | "move"; readonly n: number }
  /** throws at its end, until the file is there */
  | { readonly undo: string; readonly n: number }
  | "results"
  /** ends its thread, until the file is there */
  | { readonly exit: string };

const states = { results: value<readonly Result[]>([]), turns: value(0) };
type WorkerContext = Context<typeof states, readonly Result[]>;

export const worker = defineFunction("operations/worker", {
  state: states,
  reply: type<readonly Result[]>(),
  pendingOperations: 2,
  receive(ctx, message: Wish | Result) {
    if (message === "results") ctx.reply([...(ctx.state.results.get() as readonly Result[])]);
    else if ("exit" in message) exitOnce(message.exit);
    else if (isOperationResult(message)) ctx.state.results.update((results) => [...results, message]);
    else begin(ctx, message);
  },
});

function exitOnce(file: string): void {
  if (existsSync(file)) return;
  writeFileSync(file, "");
  process.exit(7);
}

function begin(ctx: WorkerContext, wish: Exclude<Wish, string | { readonly exit: string }>): void {
  const { n } = wish;
  const metadata: Note = { n, at: new Date(n) };
  const self = ctx.self.id;
  if ("run" in wish) ctx.run(() => outcome(wish.run, `${self} ${n}`), metadata);
  else if ("late" in wish) {
    ctx.run(({ signal }) => new Promise((_, reject) => signal.addEventListener("abort", reject)), metadata, {
      timeoutMs: wish.late,
    });
  } else if ("spin" in wish) {
    const { timeoutMs = 60_000 } = wish;
    ctx.offload(spin, wish.spin, { metadata, timeoutMs });
  } else if ("abort" in wish) {
    const abort = new AbortController();
    ctx.offload(spin, wish.abort, { metadata, signal: abort.signal });
    const look = (): unknown => (existsSync(wish.abort.began) ? abort.abort(new Error("enough")) : setImmediate(look));
    look();
  } else if ("task" in wish) offload(ctx, wish.task, metadata);
  else {
    ctx.run(() => "started", metadata);
    if (existsSync(wish.undo)) return;
    writeFileSync(wish.undo, "");
    throw new Error("once more");
  }
}

async function outcome(run: string, who: string): Promise<unknown> {
  switch (run) {
    case "gate":
      await waitAtGate(who);
      return who;
    case "fail":
      throw Object.assign(new TypeError("it failed"), { code: "E_FAILED" });
    case "throw":
      throw "a string";
    case "odd":
      return { call: () => 1 };
    case "large":
      return new Uint8Array(17 * 1024 * 1024);
    case "nothing":
      return undefined;
    default:
      return { price: 7n };
  }
}

function offload(ctx: WorkerContext, task: string, metadata: Note): void {
  const simple: { readonly [name: string]: Task<unknown, unknown> } = { odd, missing, nowhere };
  if (task === "sum") ctx.offload(sum, [1, 2, 3], { metadata });
  else if (task === "describe") ctx.offload(describe, { at: new Date(0), parts: new Map([["a", 5n]]) }, { metadata });
  else if (task === "fail") ctx.offload(fail, "no luck", { metadata });
  else if (task === "move") {
    const buffer = new ArrayBuffer(1_000_000);
    ctx.offload(length, buffer, { metadata, transfer: [buffer] });
  } else ctx.offload(simple[task], 1, { metadata });
}

/** Tries what is not allowed, and replies with the codes of the errors. */
export const misuser = defineFunction("operations/misuser", {
  reply: type<readonly string[]>(),
  receive(ctx, message: "try" | OperationResult) {
    if (message !== "try") return;
    const codeOf = (attempt: () => void): string => {
      try {
        attempt();
        return "none";
      } catch (error) {
        return isHoldfastError(error) ? error.code : String(error);
      }
    };
    const start = (): number => 1;
    const codes = [
      codeOf(() => ctx.run("not a function" as never)),
      codeOf(() => ctx.run(start, () => 1)),
      codeOf(() => ctx.run(start, "x".repeat(70_000))),
      codeOf(() => ctx.run(start, undefined, { timeoutMs: 0 })),
      codeOf(() => ctx.run(start, undefined, { timeoutMs: Number.NaN })),
      codeOf(() => ctx.run(start, undefined, { timeoutMs: 2 ** 31 })),
      codeOf(() => ctx.offload({ module: "x", name: "y" } as never, 1 as never)),
      codeOf(() => ctx.offload(odd, () => 1)),
    ];
    const flood = codeOf(() => {
      for (let n = 0; n <= 1_000; n++) ctx.run(start);
    });
    ctx.reply([...codes, flood]);
  },
});

/** Counts, while others compute. */
export const counter = defineFunction("operations/counter", {
  state: { count: value(0) },
  reply: type<number>(),
  receive(ctx, _message: "add") {
    ctx.reply(ctx.state.count.update((n) => n + 1));
  },
});

export default defineApp({ name: "operations", functions: [worker, misuser, counter] });
