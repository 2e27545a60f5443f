/**
 * Other ways to do the work of the `throughput` bench: counters by key, each message counts at one of them and sends the
 * next message to a key chosen at random, until its hops are used up.
 */
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { XorShift } from "../xor-shift.js";

/** What travels. */
export interface Hop {
  readonly userId: string;
  readonly amount: number;
  readonly hops: number;
}

/** How much of the work to do. */
export interface PeerTask {
  readonly keys: number;
  /** Messages that are on their way at the same time. */
  readonly chains: number;
  /** Messages of each chain. */
  readonly hops: number;
}

/** What a peer did. */
export interface PeerRun {
  readonly seconds: number;
  /** Sum of all counters at the end. */
  readonly counted: number;
}

/** Another way to do the work. */
export interface Peer {
  readonly name: string;
  /** Where the counters are, and what a crash does to them. */
  readonly keeps: string;
  /** What part of the messages of the fastest peer it gets, so that all take seconds. */
  readonly share: number;
  /** @throws `PeerAbsent` when what it needs is not installed */
  run(task: PeerTask): Promise<PeerRun>;
}

/** What a peer needs is not there. */
export class PeerAbsent extends Error {}

const requireHere = createRequire(new URL("../../../bench/package.json", import.meta.url));

/** A package of `bench/package.json`. @throws `PeerAbsent` */
export function competitor<T>(name: string): T {
  try {
    return requireHere(name) as T;
  } catch (error) {
    if ((error as { code?: string }).code !== "MODULE_NOT_FOUND") throw error;
    throw new PeerAbsent(`${name} is not installed (npm ci --prefix bench)`);
  }
}

/** The path of a file of such a package. @throws `PeerAbsent` */
export function competitorFile(name: string): string {
  try {
    return requireHere.resolve(name);
  } catch {
    throw new PeerAbsent(`${name} is not installed (npm ci --prefix bench)`);
  }
}

/** Messages of all chains. */
export function messagesOf({ chains, hops }: PeerTask): number {
  return chains * hops;
}

/** The message that a chain begins with. */
export function firstHop({ keys, chains, hops }: PeerTask, chain: number): Hop {
  return { userId: `user-${Math.floor((chain * keys) / chains)}`, amount: 1, hops: hops - 1 };
}

/** Chooses where messages go on. */
export class NextHop {
  readonly #random: XorShift;
  readonly #keys: number;

  constructor(keys: number, seed?: number) {
    this.#keys = keys;
    this.#random = new XorShift(seed);
  }

  after({ hops }: Hop): Hop {
    return { userId: `user-${this.#random.below(this.#keys)}`, amount: 1, hops: hops - 1 };
  }
}

/** Ports of this machine that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports: number[] = [];
  for (const server of servers) {
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(0, "127.0.0.1", resolve);
    });
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("a server that listens has a port");
    ports.push(address.port);
  }
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
