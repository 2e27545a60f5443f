/**
 * The program of a driven process: starts an application and does what its parent says.
 *
 * D1. It never outlives its parent.
 */
import { closeSync, openSync } from "node:fs";
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
import { endThread, threadsOf } from "./threads.js";

const plan = JSON.parse(process.env[planVariable] ?? "") as DrivenPlan;

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
  app.on("parked", ({ address, error }) => say({ kind: "parked", address, error: told(error.cause ?? error) }));
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
    endStorage: () => endThread(threadsOf("storage")[0]),
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
  let released = 0;
  for (;;) {
    await app.drained();
    const { turns } = app.status();
    const pending = await app.timers.list({ limit: 10_000 });
    const farTimers = pending.filter(({ due }) => due.getTime() > Date.now() + farMs).length;
    const accused = await releaseAccused(app);
    released += accused;
    await app.drained();
    const status = app.status();
    if (accused === 0 && farTimers === pending.length && status.turns === turns) return { farTimers, released, status };
  }
}

/** A kill from outside, in the middle of the same turn again and again, makes its message look guilty. */
async function releaseAccused(app: Application): Promise<number> {
  const quarantined = await app.quarantine.list();
  const accused = quarantined.filter(({ error }) => told(error).code === "HF_KILLS_WORKER");
  for (const { address } of accused) await app.quarantine.retry(address);
  return accused.length;
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
  const shards = threadsOf("shard");
  if (shards.length === 0) return false;
  endThread(shards[Math.floor(dice * shards.length)]);
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
