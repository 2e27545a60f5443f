/**
 * The program of a driven process: starts an application and does what its parent says.
 *
 * D1. It never outlives its parent.
 * D2. Of the threads of an application the storage thread begins first, and no other is made but those of shards:
 *     driven applications offload nothing.
 */
import { closeSync, openSync } from "node:fs";
import type { Worker } from "node:worker_threads";
import { Address, type Application, start } from "../../lib/index.js";
import {
  type DrivenCall,
  type DrivenCalls,
  type DrivenPlan,
  type DrivenSaid,
  planVariable,
  type Quiescence,
  type ToldError,
} from "./protocol.js";

const plan = JSON.parse(process.env[planVariable] ?? "") as DrivenPlan;
const threads: Worker[] = [];

process.on("worker", (worker) => {
  threads.push(worker);
  worker.once("exit", () => threads.splice(threads.indexOf(worker), 1));
});
process.on("disconnect", dieToo);

say({ kind: "hello" });
try {
  await run(await start(new URL(plan.module), plan.options));
} catch (error) {
  await fail(error);
}

/** D1 */
function dieToo(): void {
  process.kill(process.pid, "SIGKILL");
}

async function run(app: Application): Promise<void> {
  app.on("restarted", ({ reason }) => say({ kind: "restarted", reason: told(reason) }));
  app.on("warning", ({ message }) => say({ kind: "warning", message }));
  app.on("parked", ({ address, error }) => say({ kind: "parked", address, error: told(error) }));
  say({ kind: "running" });
  const reports = setInterval(
    () => say({ kind: "status", status: app.status(), rssBytes: rssBytes() }),
    plan.statusEveryMs,
  );
  process.on("message", (asked: DrivenCall) => void answer(app, asked));
  try {
    await app.stopped;
  } finally {
    clearInterval(reports);
  }
}

async function answer(app: Application, asked: DrivenCall): Promise<void> {
  const { call } = asked;
  try {
    say({ kind: "answer", call, value: await perform(app, asked), error: undefined });
    if (asked.name === "stop") process.off("disconnect", dieToo).disconnect();
  } catch (error) {
    say({ kind: "answer", call, value: undefined, error: told(error) });
  }
}

function perform(app: Application, asked: DrivenCall): unknown {
  const calls: { readonly [K in keyof DrivenCalls]: (...args: Parameters<DrivenCalls[K]>) => unknown } = {
    quiesce: (farMs) => quiesce(app, farMs),
    endShard,
    endStorage: () => threads[0].terminate(), // D2
    abort: () => process.abort(),
    send: (type, id, message) => app.send(new Address(type, id), message as never),
    useUpFiles,
    stop: () => app.stop(),
  };
  return (calls[asked.name] as (...args: unknown[]) => unknown)(...asked.args);
}

/**
 * Nothing is pending when the application was drained, no timer waited then, and no turn has run since: a turn may have
 * set a timer, and a timer may have fired between the two looks.
 */
async function quiesce(app: Application, farMs: number): Promise<Quiescence> {
  for (;;) {
    await app.drained();
    const { turns } = app.status();
    const pending = await app.timers.list({ limit: 10_000 });
    const farTimers = pending.filter(({ due }) => due.getTime() > Date.now() + farMs).length;
    await app.drained();
    const status = app.status();
    if (farTimers === pending.length && status.turns === turns) return { farTimers, status };
  }
}

/** 0 when it cannot be read: a file is opened for it. */
function rssBytes(): number {
  try {
    return process.memoryUsage.rss();
  } catch {
    return 0;
  }
}

function endShard(dice: number): boolean {
  const shards = threads.slice(1); // D2
  if (shards.length === 0) return false;
  void shards[Math.floor(dice * shards.length)].terminate();
  return true;
}

function useUpFiles(ms: number): number {
  const opened: number[] = [];
  try {
    for (;;) opened.push(openSync("/dev/null", "r"));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EMFILE") throw error;
  }
  setTimeout(() => {
    for (const file of opened) closeSync(file);
  }, ms);
  return opened.length;
}

async function fail(error: unknown): Promise<void> {
  await new Promise((resolve) => process.send?.({ kind: "failed", error: told(error) } satisfies DrivenSaid, resolve));
  process.exit(1);
}

function told(thrown: unknown): ToldError {
  const { code, message } = thrown as { readonly code?: unknown; readonly message?: unknown };
  return { code: typeof code === "string" ? code : undefined, message: String(message ?? thrown) };
}

function say(said: DrivenSaid): void {
  if (process.connected) process.send?.(said);
}
