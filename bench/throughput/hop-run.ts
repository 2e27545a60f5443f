/**
 * One application that runs the hop workload, round by round, in a data directory of its own.
 *
 * Q1. Every counter exists before the first round, so that rounds measure messages and not the making of state.
 * Q2. `verify` reads every counter: the sum is the number of messages sent, or the bench fails.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Application, CheckpointOptions } from "../../lib/index.js";
import { start } from "../../lib/index.js";
import { DataDirectory } from "../data-directory.js";
import { counter, walker } from "./hop.app.js";
import { setHopSettings } from "./hop-settings.js";

export interface HopOptions {
  readonly shards: number;
  readonly keys: number;
  /** Chains of messages that are on their way at once, all shards together. */
  readonly chains: number;
  /** Messages of one round. */
  readonly messages: number;
  /** Turns of the busy loop in each turn. */
  readonly work?: number;
  /** Where shards note gaps between turns. */
  readonly gaps?: SharedArrayBuffer;
  readonly checkpoint?: CheckpointOptions;
  readonly log: (line: string) => void;
}

/** Counters that one walker visits, and walkers that are on their way at once. */
const walkKeys = 1_000;
const walksAtOnce = 100;
const commitWhileSettlingMs = 20;

export class HopRun {
  readonly app: Application;
  readonly #directory: DataDirectory;
  readonly #options: HopOptions;
  readonly #ended: Int32Array;
  readonly #hops: number;
  #sent = 0;

  private constructor(app: Application, directory: DataDirectory, options: HopOptions, ended: Int32Array) {
    this.app = app;
    this.#directory = directory;
    this.#options = options;
    this.#ended = ended;
    this.#hops = Math.max(1, Math.round(options.messages / options.chains)) - 1;
  }

  static async start(options: HopOptions): Promise<HopRun> {
    const { keys, work = 0, gaps, shards, checkpoint = {} } = options;
    const directory = await DataDirectory.make(options.log);
    const ended = new Int32Array(new SharedArrayBuffer(4));
    setHopSettings({ keys, work, ended, gaps });
    const url = new URL("./hop.app.js", import.meta.url);
    const app = await start(url, { dataDir: directory.path, shards, checkpoint });
    const run = new HopRun(app, directory, options, ended);
    await run.#walk(1);
    run.#sent += keys;
    return run;
  }

  /** Messages of one round: those asked for, to the next multiple of the chains. */
  get messages(): number {
    return this.#options.chains * (this.#hops + 1);
  }

  /** Messages per second, from the first send to the commit after the last message. */
  async round(): Promise<number> {
    const began = performance.now();
    this.#send();
    await this.app.drained();
    return (this.messages / (performance.now() - began)) * 1000;
  }

  /** Messages per second, from the first send to the end of the last chain, which no commit has to follow. */
  async roundWithoutCommit(): Promise<number> {
    const endedBefore = Atomics.load(this.#ended, 0);
    const began = performance.now();
    this.#send();
    while (Atomics.load(this.#ended, 0) - endedBefore < this.#options.chains) await sleep(1);
    return (this.messages / (performance.now() - began)) * 1000;
  }

  /**
   * Resolves when everything that was sent is applied and committed. Asks for commits on the way: an application that
   * makes none by itself would not know that it is done.
   */
  async settled(): Promise<void> {
    let done = false;
    const drained = this.app.drained().then(() => {
      done = true;
    });
    while (!done) await Promise.race([drained, sleep(commitWhileSettlingMs).then(() => this.app.checkpoint())]);
  }

  /** Q2 @returns the sum */
  async verify(): Promise<number> {
    await this.#walk(0);
    const { keys } = this.#options;
    let sum = 0;
    let answers = 0;
    for (let first = 0; first < keys; first += walkKeys) {
      const walked = await this.app.ask(walker.at(`from-${first}`), { first, count: 0, amount: 0 });
      sum += walked.sum;
      answers += walked.answers;
    }
    if (answers !== keys) throw new Error(`not exactly once: ${keys} counters gave ${answers} answers`);
    if (sum !== this.#sent) throw new Error(`not exactly once: ${this.#sent} messages, counters say ${sum}`);
    return sum;
  }

  async close(): Promise<void> {
    await this.app.stop();
    await this.#directory.remove();
  }

  #send(): void {
    const { chains, keys } = this.#options;
    this.#sent += this.messages;
    for (let chain = 0; chain < chains; chain++) {
      const userId = `user-${Math.floor((chain * keys) / chains) % keys}`;
      void this.app.send(counter.at(userId), { userId, amount: 1, hops: this.#hops });
    }
  }

  /** Q1: one message without hops to every counter. */
  async #walk(amount: number): Promise<void> {
    const { keys } = this.#options;
    for (let batch = 0; batch < keys; batch += walksAtOnce * walkKeys) {
      for (let first = batch; first < Math.min(keys, batch + walksAtOnce * walkKeys); first += walkKeys) {
        const count = Math.min(walkKeys, keys - first);
        void this.app.send(walker.at(`from-${first}`), { first, count, amount });
      }
      await this.settled();
    }
  }
}
