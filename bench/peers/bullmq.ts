/**
 * Jobs of BullMQ on a Redis that this file starts and ends, with an append-only file that is synced each second: each
 * message is a job, each counter a field of a hash.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  competitor,
  firstHop,
  freePorts,
  type Hop,
  NextHop,
  type Peer,
  PeerAbsent,
  type PeerRun,
  type PeerTask,
} from "./peer.js";

interface Redis {
  hincrby(hash: string, field: string, by: number): Promise<number>;
  hvals(hash: string): Promise<string[]>;
  disconnect(): void;
}
interface IoRedis {
  readonly Redis: new (port: number, host: string) => Redis;
}
interface Queue {
  add(name: string, data: Hop, options: object): Promise<unknown>;
  addBulk(jobs: readonly { name: string; data: Hop; opts: object }[]): Promise<unknown>;
  close(): Promise<void>;
}
interface Worker {
  close(): Promise<void>;
  on(event: "failed" | "error", listener: (...args: unknown[]) => void): void;
}
interface BullMq {
  readonly Queue: new (name: string, options: object) => Queue;
  readonly Worker: new (name: string, process: (job: { data: Hop }) => Promise<void>, options: object) => Worker;
}

const concurrency = 100;
const startMs = 10_000;
const quiet = { removeOnComplete: true, removeOnFail: true };

export const bullmq: Peer = {
  name: "BullMQ",
  keeps: "in Redis, synced each second, at least once",
  share: 0.01,
  run,
};

async function run(task: PeerTask): Promise<PeerRun> {
  const { Queue, Worker } = competitor<BullMq>("bullmq");
  const { Redis } = competitor<IoRedis>("ioredis");
  const directory = await mkdtemp(join(tmpdir(), "holdfast-redis-"));
  const [port] = await freePorts(1);
  const redis = await startRedis(directory, port);
  const connection = { host: "127.0.0.1", port };
  const queue = new Queue("hops", { connection });
  const client = new Redis(port, connection.host);
  try {
    const next = new NextHop(task.keys);
    let left = task.chains;
    let finish: () => void = () => {};
    let fail: (error: unknown) => void = () => {};
    const finished = new Promise<void>((resolve, reject) => {
      finish = resolve;
      fail = reject;
    });
    const process = async ({ data }: { data: Hop }): Promise<void> => {
      await client.hincrby("counts", data.userId, data.amount);
      if (data.hops > 0) await queue.add("hop", next.after(data), quiet);
      else if (--left === 0) finish();
    };
    const began = performance.now();
    const worker = new Worker("hops", process, { connection, concurrency });
    worker.on("failed", (_, error) => fail(error));
    worker.on("error", fail);
    const jobs = Array.from({ length: task.chains }, (_, n) => ({ name: "hop", data: firstHop(task, n), opts: quiet }));
    await queue.addBulk(jobs);
    await finished;
    const seconds = (performance.now() - began) / 1000;
    const counted = (await client.hvals("counts")).reduce((sum, count) => sum + Number(count), 0);
    await worker.close();
    return { seconds, counted };
  } finally {
    client.disconnect();
    await queue.close();
    redis.kill();
    if (redis.exitCode === null && redis.signalCode === null) await once(redis, "exit");
    await rm(directory, { recursive: true, force: true });
  }
}

async function startRedis(directory: string, port: number): Promise<ChildProcess> {
  const settings = ["--port", String(port), "--bind", "127.0.0.1", "--dir", directory, "--save", ""];
  const redis = spawn("redis-server", [...settings, "--appendonly", "yes", "--appendfsync", "everysec"], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  process.once("exit", () => redis.kill());
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`redis-server was not ready after ${startMs} ms`)), startMs);
    redis.once("error", () => {
      clearTimeout(late);
      reject(new PeerAbsent("redis-server is not installed (apt-get install redis-server)"));
    });
    redis.once("exit", (code) => reject(new Error(`redis-server ended with code ${code}`)));
    redis.stdout?.setEncoding("utf8").on("data", (text: string) => {
      if (!text.includes("Ready to accept connections")) return;
      clearTimeout(late);
      resolve(redis);
    });
  });
}
