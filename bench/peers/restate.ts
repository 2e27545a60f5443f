/**
 * Virtual objects of Restate, on a server that this file starts and ends: each message is a durable invocation, each
 * counter the state of an object. The handlers run in this process.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Http2Server } from "node:http2";
import { arch, platform, tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import {
  competitor,
  competitorFile,
  firstHop,
  freePorts,
  type Hop,
  NextHop,
  type Peer,
  type PeerRun,
  type PeerTask,
} from "./peer.js";

interface ObjectContext {
  get(name: string): Promise<number | null>;
  set(name: string, value: number): void;
  objectSendClient(definition: { name: string }, key: string): { hop(hop: Hop): void };
}
type Handlers = Record<string, (ctx: ObjectContext, argument: Hop) => Promise<unknown>>;
interface Restate {
  object(definition: { name: string; handlers: Handlers }): object;
  endpoint(): { bind(definition: object): { http2Handler(): Parameters<typeof createServer>[1] } };
}

const startMs = 30_000;

export const restate: Peer = {
  name: "Restate",
  keeps: "on a server with a disk, exactly once",
  share: 0.001,
  run,
};

async function run(task: PeerTask): Promise<PeerRun> {
  process.env.RESTATE_LOGGING ??= "ERROR"; // a line for each invocation is not part of the work
  provideWithResolvers();
  const { object, endpoint } = competitor<Restate>("@restatedev/restate-sdk");
  const binary = competitorFile(`@restatedev/restate-server-${platform()}-${arch()}/bin/restate-server`);
  const next = new NextHop(task.keys);
  const ended = new Chains(task.chains);
  const counter = object({
    name: "counter",
    handlers: {
      async hop(ctx, hop) {
        ctx.set("count", ((await ctx.get("count")) ?? 0) + hop.amount);
        if (hop.hops === 0) return ended.one(hop.userId);
        const following = next.after(hop);
        ctx.objectSendClient({ name: "counter" }, following.userId).hop(following);
      },
      read: async (ctx) => (await ctx.get("count")) ?? 0,
    },
  });
  const directory = await mkdtemp(join(tmpdir(), "holdfast-restate-"));
  const [node, ingress, admin, service] = await freePorts(4);
  const handlers = createServer(endpoint().bind(counter).http2Handler()).listen(service, "127.0.0.1");
  const server = startServer(binary, directory, { node, ingress, admin });
  try {
    await register(server, admin, service);
    const at = (userId: string, what: string): string => `http://127.0.0.1:${ingress}/counter/${userId}/${what}`;
    const began = performance.now();
    await Promise.all(
      Array.from({ length: task.chains }, (_, chain) => {
        const hop = firstHop(task, chain);
        return call(at(hop.userId, "hop/send"), hop);
      }),
    );
    await ended.all;
    const seconds = (performance.now() - began) / 1000;
    let counted = 0;
    for (let n = 0; n < task.keys; n++) counted += Number(await call(at(`user-${n}`, "read"), null));
    return { seconds, counted };
  } finally {
    await end(server);
    await close(handlers);
    await rm(directory, { recursive: true, force: true });
  }
}

/** Resolves when so many chains have ended. */
class Chains {
  readonly all: Promise<void>;
  #left: number;
  #finish: () => void = () => {};

  constructor(count: number) {
    this.#left = count;
    this.all = new Promise((resolve) => {
      this.#finish = resolve;
    });
  }

  one(_: string): void {
    if (--this.#left === 0) this.#finish();
  }
}

function startServer(
  binary: string,
  directory: string,
  ports: { readonly node: number; readonly ingress: number; readonly admin: number },
): ChildProcess {
  const server = spawn(binary, ["--base-dir", directory, "--node-name", "bench"], {
    stdio: ["ignore", "ignore", "ignore"],
    env: {
      ...process.env,
      RESTATE_BIND_ADDRESS: `127.0.0.1:${ports.node}`,
      RESTATE_ADVERTISED_ADDRESS: `http://127.0.0.1:${ports.node}`,
      RESTATE_INGRESS__BIND_ADDRESS: `127.0.0.1:${ports.ingress}`,
      RESTATE_ADMIN__BIND_ADDRESS: `127.0.0.1:${ports.admin}`,
      RESTATE_DISABLE_TELEMETRY: "true",
    },
  });
  process.once("exit", () => server.kill("SIGKILL"));
  return server;
}

/** Tells the server where the handlers are, as soon as it listens. */
async function register(server: ChildProcess, admin: number, service: number): Promise<void> {
  const until = performance.now() + startMs;
  for (;;) {
    if (server.exitCode !== null) throw new Error(`restate-server ended with code ${server.exitCode}`);
    try {
      await call(`http://127.0.0.1:${admin}/deployments`, { uri: `http://127.0.0.1:${service}`, force: true });
      return;
    } catch (error) {
      if (performance.now() > until) throw error;
      await pause(100);
    }
  }
}

async function call(url: string, body: unknown): Promise<unknown> {
  const response = await fetch(url, {
    method: "POST",
    ...(body === null ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}

async function end(server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return;
  const exit = once(server, "exit");
  server.kill("SIGKILL"); // what it holds is deleted anyway
  await exit;
}

function close(server: Http2Server): Promise<void> {
  return new Promise((resolve) => server.close(() => resolve()));
}

/** The SDK needs it, and Node 20 has it not. */
function provideWithResolvers(): void {
  const given = Promise as unknown as { withResolvers?: () => unknown };
  given.withResolvers ??= () => {
    const settle: { resolve?: unknown; reject?: unknown } = {};
    const promise = new Promise((resolve, reject) => Object.assign(settle, { resolve, reject }));
    return { promise, ...settle };
  };
}
