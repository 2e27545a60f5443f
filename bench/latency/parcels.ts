/**
 * Numbered parcels through the gate: each is sent with `app.send` and comes back as a committed record of an egress.
 *
 * U1. Every number comes back exactly once, or the bench fails.
 * U2. A time is from the instant a parcel was due to be sent, so that a sender or an engine that falls behind shows.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Application } from "../../lib/index.js";
import { TimeHistogram } from "../time-histogram.js";
import { arrivals, gate } from "./latency.app.js";

export class Parcels {
  readonly #app: Application;
  readonly #keys: number;
  /** Numbers that are on their way, with the instant each was due. */
  readonly #due = new Map<number, number>();
  #sent = 0;
  #arrived: (dueMs: number, nowMs: number) => void = () => {};
  #failure: unknown;

  constructor(app: Application, keys: number) {
    this.#app = app;
    this.#keys = keys;
    void this.#receive().catch((error: unknown) => this.#fail(error));
  }

  /** Records per second with so many always on their way: the maximum rate. */
  async closedLoop(onTheirWay: number, ms: number): Promise<number> {
    const began = performance.now();
    let arrived = 0;
    this.#arrived = (_, now) => {
      arrived++;
      if (now - began < ms) this.#send(now);
    };
    for (let n = 0; n < onTheirWay; n++) this.#send(began);
    await sleep(ms);
    const rate = (arrived / (performance.now() - began)) * 1000;
    await this.#allArrived();
    return rate;
  }

  /** U2: times with parcels due at a fixed rate, whatever the engine does. */
  async openLoop(perSecond: number, ms: number): Promise<TimeHistogram> {
    const times = new TimeHistogram();
    this.#arrived = (due, now) => times.record(now - due);
    const count = Math.floor((perSecond * ms) / 1000);
    const began = performance.now();
    for (let n = 0; n < count; ) {
      const dueBy = Math.min(count, ((performance.now() - began) * perSecond) / 1000);
      for (; n < dueBy; n++) this.#send(began + (n * 1000) / perSecond);
      await sleep(1);
    }
    await this.#allArrived();
    return times;
  }

  /** U1 @returns the number of parcels */
  async verify(): Promise<number> {
    const ids = Array.from({ length: this.#keys }, (_, key) => `user-${key}`);
    const counts = await Promise.all(ids.map((userId) => this.#app.ask(gate.at(userId), { userId, number: -1 })));
    const sum = counts.reduce((total, count) => total + count, 0);
    if (sum !== this.#sent) throw new Error(`not exactly once: ${this.#sent} parcels, gates counted ${sum}`);
    return sum;
  }

  #send(dueMs: number): void {
    const number = this.#sent++;
    const userId = `user-${(number * 7_919) % this.#keys}`;
    this.#due.set(number, dueMs);
    this.#app.send(gate.at(userId), { userId, number }).catch((error: unknown) => this.#fail(error));
  }

  async #receive(): Promise<void> {
    for await (const { record } of this.#app.egress(arrivals)) {
      const due = this.#due.get(record);
      if (due === undefined) throw new Error(`not exactly once: parcel ${record} arrived again`); // U1
      this.#due.delete(record);
      this.#arrived(due, performance.now());
    }
  }

  async #allArrived(): Promise<void> {
    while (this.#due.size > 0 && this.#failure === undefined) await sleep(5);
    if (this.#failure !== undefined) throw this.#failure;
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
  }
}
