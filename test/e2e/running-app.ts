/** Real applications for tests: real threads, a real disk, a directory of their own that goes away with the test. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before, type TestContext } from "node:test";
import { BroadcastChannel } from "node:worker_threads";
import {
  type Application,
  type EgressRecord,
  type ErrorCode,
  HoldfastError,
  type StartOptions,
  start,
} from "../../lib/index.js";

const testTimeoutMs = 60_000;

/** Where one test keeps its files and starts its applications. */
export interface Lab {
  readonly folder: string;
  readonly dataDir: string;
  readonly shards: number;
  /** Starts an application module of this folder's `apps`; it is stopped at the end of the test. */
  start(name: string, options?: Partial<StartOptions>, query?: Record<string, string>): Promise<Application>;
}

/** The URL of a module in `apps`, with what the module reads from it. */
export function appUrl(name: string, query: Record<string, string> = {}): URL {
  const url = new URL(`./apps/${name}.app.js`, import.meta.url);
  url.search = new URLSearchParams(query).toString();
  return url;
}

/** One test with a lab, at one shard count. */
export function appTest(name: string, body: (lab: Lab, t: TestContext) => Promise<void>, shards = 2): void {
  test(name, { timeout: testTimeoutMs }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-e2e-"));
    const apps: Application[] = [];
    const dataDir = join(folder, "data");
    try {
      await body(
        {
          folder,
          dataDir,
          shards,
          start: async (module, options = {}, query = {}) => {
            const app = await start(appUrl(module, query), { dataDir, shards, ...options });
            apps.push(app);
            return app;
          },
        },
        t,
      );
    } finally {
      await Promise.allSettled(apps.map((app) => app.stop()));
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

/** The same test with 1, 2 and 3 shards. */
export function appTests(name: string, body: (lab: Lab, t: TestContext) => Promise<void>): void {
  for (const shards of [1, 2, 3]) appTest(`${name}, ${withShards(shards)}`, body, shards);
}

/** One application for all tests of the suite that calls this; each test uses addresses of its own. */
export function sharedApp(name: string, shards: number): () => Application {
  let app: Application | undefined;
  const folder = mkdtempSync(join(tmpdir(), "holdfast-e2e-"));
  before(async () => {
    app = await start(appUrl(name), { dataDir: join(folder, "data"), shards, turnRetryMs: 0 });
  });
  after(async () => {
    await app?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  return () => {
    assert.ok(app !== undefined, "the application was started before the tests");
    return app;
  };
}

/** What tests of several shard counts are called. */
export function withShards(shards: number): string {
  return shards === 1 ? "with 1 shard" : `with ${shards} shards`;
}

/** The next records of an egress. */
export async function take<T>(records: AsyncIterator<EgressRecord<T>>, count: number): Promise<EgressRecord<T>[]> {
  const taken: EgressRecord<T>[] = [];
  while (taken.length < count) {
    const { done, value } = await records.next();
    assert.ok(!done, `the egress ended after ${taken.length} of ${count} records`);
    taken.push(value);
  }
  return taken;
}

/** Asserts that a promise or call fails with a Holdfast error of this code whose message says `what`. */
export async function refused(
  attempt: Promise<unknown> | (() => unknown),
  code: ErrorCode,
  what?: RegExp,
): Promise<HoldfastError> {
  const error = await thrownBy(attempt);
  assert.ok(error instanceof HoldfastError, `expected ${code}, got ${String(error)}`);
  assert.equal(error.code, code, error.message);
  if (what !== undefined) assert.match(error.message, what);
  return error;
}

async function thrownBy(attempt: Promise<unknown> | (() => unknown)): Promise<unknown> {
  try {
    const value = await (typeof attempt === "function" ? attempt() : attempt);
    return new Error(`nothing was thrown, the result is ${String(value)}`);
  } catch (error) {
    return error;
  }
}

/** The next event of a kind. */
export function nextEvent(app: Application, event: "parked" | "restarted" | "warning" | "rejected"): Promise<unknown> {
  return new Promise((resolve) => app.on(event, resolve));
}

/** The event that says that this address is parked. Events and replies take different ways: those of others may come late. */
export function parkedEvent(app: Application, address: string): Promise<{ readonly error: Error }> {
  return new Promise((resolve) => app.on("parked", (event) => event.address === address && resolve(event)));
}

/** The test's side of `waitAtGate` in `apps/gate.ts`: learns who waits at the gate, and opens it for all. */
export class Gate {
  readonly #channel = new BroadcastChannel("holdfast-test-gate");
  readonly #arrived: string[] = [];
  #look: () => void = () => {};

  constructor() {
    this.#channel.onmessage = (event) => {
      const { arrived } = (event as { readonly data: { readonly arrived?: string } }).data;
      if (arrived === undefined) return;
      this.#arrived.push(arrived);
      this.#look();
    };
  }

  /** Resolves when this many turns have come to the gate. */
  arrived(count: number): Promise<readonly string[]> {
    return new Promise((resolve) => {
      this.#look = () => {
        if (this.#arrived.length >= count) resolve(this.#arrived);
      };
      this.#look();
    });
  }

  open(): void {
    this.#channel.postMessage({ open: true });
  }

  close(): void {
    this.#channel.close();
  }
}
