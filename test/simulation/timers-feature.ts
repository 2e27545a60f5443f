/**
 * Delayed messages, cancels and schedules in simulated worlds, with a wall clock that is set back and forth.
 *
 * R1. A delayed message is exactly one of pending, in flight or delivered, and cancelled; one that was replaced may also
 *     have been delivered before.
 * R2. A cancel that returned true: never delivered.
 * R3. Nothing is early.
 * R4. What a schedule has sent is in flight or delivered, each instant once; with the misfire rule "all" none is left out.
 */
import type { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { PayloadCodec as Codec } from "../../lib/codec/payload-codec.js";
import { Address } from "../../lib/model/address.js";
import { type AnyFunctionDefinition, FunctionDefinition } from "../../lib/model/function.js";
import { type AnyNamespaceDefinition, NamespaceDefinition } from "../../lib/model/namespace.js";
import { cron, every } from "../../lib/model/schedule.js";
import type { StoredSchedule } from "../../lib/shard/schedules.js";
import { decodeTimer, isScheduleKey, isTimerKey } from "../../lib/shard/timer-rows.js";
import { rowTable } from "../../lib/store/row-key.js";
import type { CommittedView, FeatureWorld, MakeFeature, SimFeature } from "./feature.js";
import { rule } from "./violation.js";

const senderType = "timers/sender";
const receiverType = "timers/receiver";
const tickedType = "timers/ticked";
/** A namespace makes them, they send and receive. Their 32-bit codes are equal. */
const bothTypes = ["timersdyn/1pvu", "timersdyn/g3ea"];
const senderTypes = [senderType, ...bothTypes];
const receiverTypes = [receiverType, ...bothTypes];
const senders = ["s0", "s1", "s2\u0416"];
const receivers = ["r0", "r1", "r2"];
const tokens = ["a", "b", "c\u0416"];
/** What engine time may jump by although the wall clock was not set meanwhile, once it has been set back. */
const slackMs = 2_000;

/** A delayed message: the address that sent it, the how manieth, and when it was sent for when. */
interface Delayed {
  readonly from: string;
  readonly n: number;
  readonly at: number;
  readonly delay: number;
  /** How far the wall clock had been set forward in all. */
  readonly forward: number;
}

/** What a sender knows of a message: `cancelled` for sure, or `replaced`, if it was not sent before. */
type Fate = "live" | "cancelled" | "replaced";

interface SenderLog {
  readonly fates: Record<string, Fate>;
  /** Number of the last message of each token. */
  readonly tokens: Record<string, number>;
}

// biome-ignore lint/suspicious/noExplicitAny: the functions are made without types
type SimContext = any;

class TimersFeature implements SimFeature {
  readonly name = "timers";
  readonly functions: readonly AnyFunctionDefinition[];
  readonly namespaces: readonly AnyNamespaceDefinition[];
  readonly dynamicTypes = bothTypes.map((type) => ({ type, states: ["log", "got"] }));
  readonly schedules = [
    every("often", { intervalMs: 400, misfire: "all", to: ticked("often"), message: 1 }),
    every("skipping", { intervalMs: 30, misfire: "skip", to: ticked("skipping"), message: 1 }),
    cron("each second", { expression: "* * * * * *", misfire: "once", to: ticked("each second"), message: 1 }),
  ];
  readonly #world: FeatureWorld;
  readonly #codec: PayloadCodec = new Codec();
  /** How this world's wall clock is set. */
  readonly #steps: "none" | "forward" | "both";
  #ahead = 0;
  #aheadMax = 0;
  #forward = 0;
  #round = 0;

  constructor(world: FeatureWorld) {
    this.#world = world;
    this.#steps = (["none", "forward", "both"] as const)[world.random.below(3)];
    const value = (initial: unknown) => ({ kind: "value" as const, initial, schema: undefined });
    const log = value({ fates: {}, tokens: {} });
    const sendSome = (ctx: SimContext) =>
      world.faulty && world.random.below(3) === 0 ? this.#slowTurn(ctx) : this.#turn(ctx);
    const both = (type: string) =>
      new FunctionDefinition<Delayed | number>(type, {
        state: { log, got: value({}) },
        receive: (ctx: SimContext, message) =>
          typeof message === "number" ? sendSome(ctx) : this.#deliver(ctx, message),
      });
    this.namespaces = [new NamespaceDefinition("timersdyn", both as never) as AnyNamespaceDefinition];
    this.functions = [
      new FunctionDefinition(senderType, { state: { log }, receive: sendSome }) as AnyFunctionDefinition,
      new FunctionDefinition<Delayed>(receiverType, {
        state: { got: value({}) },
        receive: (ctx: SimContext, message) => this.#deliver(ctx, message),
      }) as AnyFunctionDefinition,
      new FunctionDefinition(tickedType, {
        state: { count: value(0), ids: value([]) },
        receive: (ctx: SimContext) => {
          ctx.state.count.update((count: number) => count + 1);
          ctx.state.ids.update((ids: string[]) => [...ids.slice(-20), ctx.messageId]);
        },
      }) as AnyFunctionDefinition,
    ];
  }

  poke(send: (to: Address<never, unknown>, message: unknown) => void): void {
    send(new Address(this.#pick(senderTypes), this.#pick(senders)), 0);
  }

  act(): void {
    const { random } = this.#world;
    if (random.below(3) === 0) {
      this.#world.command(`schedules.${random.below(2) === 0 ? "pause" : "resume"}`, [this.#pick(this.schedules).name]);
    } else if (this.#steps === "forward" || (this.#steps === "both" && random.below(2) === 0)) {
      this.#set(this.#ahead + 1_500 + random.below(4_000));
    } else if (this.#steps === "both") this.#set(this.#ahead - random.below(6_000));
  }

  committed(view: CommittedView): void {
    const where = new Map<string, number>();
    const count = (key: string): void => void where.set(key, (where.get(key) ?? 0) + 1);
    const pending = new Set<string>();
    const schedules: StoredSchedule[] = [];
    for (const { key, value } of view.rows(rowTable.TIMER)) {
      if (isScheduleKey(key)) schedules.push(this.#codec.decode(value) as StoredSchedule);
      if (!isTimerKey(key)) continue;
      const name = nameOf(this.#codec.decode(decodeTimer(value).payload) as Delayed);
      pending.add(name);
      count(name);
    }
    for (const type of receiverTypes) {
      for (const { payload } of view.inFlight(type)) if (payload !== 0) count(nameOf(payload as Delayed));
      for (const [, got] of view.states(type, "got")) {
        for (const [name, times] of Object.entries(got as Record<string, number>)) {
          rule(times === 1, () => `delayed message ${name} was delivered ${times} times`);
          count(name);
        }
      }
    }
    let known = 0;
    for (const [address, log] of this.#logs(view)) {
      for (const [n, fate] of Object.entries((log as SenderLog).fates)) {
        const name = `${address}/${n}`;
        const times = where.get(name) ?? 0;
        if (times > 0) known++;
        if (fate === "live")
          rule(times === 1, () => `delayed message ${name} is in ${times} places`); // R1
        else if (fate === "cancelled")
          rule(times === 0, () => `delayed message ${name} was cancelled and is not gone`); // R2
        else rule(times <= 1 && !pending.has(name), () => `delayed message ${name} was replaced and is pending`);
      }
    }
    rule(known === where.size, "every delayed message was set by a committed turn");
    this.#checkSchedules(view, schedules);
  }

  *#logs(view: CommittedView): Iterable<readonly [string, unknown]> {
    for (const type of senderTypes)
      for (const [id, log] of view.states(type, "log")) yield [`${type}@${id}`, log] as const;
  }

  settle(): void {
    if (this.#ahead < this.#aheadMax) this.#set(this.#aheadMax + slackMs); // or some wait for what is seconds away
    if (this.#round++ % 32 === 0) for (const { name } of this.schedules) this.#world.command("schedules.pause", [name]);
  }

  unfinished(view: CommittedView): string | undefined {
    for (const { key } of view.rows(rowTable.TIMER)) if (isTimerKey(key)) return "delayed messages are pending";
    for (const { key, value } of view.rows(rowTable.TIMER)) {
      if (isScheduleKey(key) && !(this.#codec.decode(value) as StoredSchedule).paused) return "a schedule goes on";
    }
    return undefined;
  }

  ended(): void {
    const left = this.#world.command("timers.list", [10, undefined]).flat();
    rule(left.length === 0, () => `${left.length} delayed messages are listed, none is pending`);
  }

  /** R4 */
  #checkSchedules(view: CommittedView, schedules: readonly StoredSchedule[]): void {
    const flying = new Map<string, number>();
    for (const { id } of view.inFlight(tickedType)) flying.set(id, (flying.get(id) ?? 0) + 1);
    for (const { name, sent } of schedules) {
      const ids = (view.state(tickedType, "ids", name) ?? []) as string[];
      const there = ((view.state(tickedType, "count", name) ?? 0) as number) + (flying.get(name) ?? 0);
      rule(there === sent, () => `schedule ${name} has sent ${sent} messages, there are ${there}`);
      rule(new Set(ids).size === ids.length, () => `schedule ${name} has sent an instant twice`);
    }
  }

  async #slowTurn(ctx: SimContext): Promise<void> {
    this.#world.asynchronous();
    for (let pauses = this.#world.random.below(3); pauses > 0; pauses--) {
      this.#someAction(ctx);
      await this.#world.pause();
    }
    this.#turn(ctx);
  }

  #turn(ctx: SimContext): void {
    const { random } = this.#world;
    for (let actions = 1 + random.below(3); actions > 0; actions--) this.#someAction(ctx);
    if (this.#world.faulty && random.below(8) === 0) throw new Error("this turn does not like its message");
  }

  #someAction(ctx: SimContext): void {
    const { random } = this.#world;
    const log = ctx.state.log.get() as SenderLog;
    const fates = { ...log.fates };
    const last = { ...log.tokens };
    const token = random.below(3) === 0 ? undefined : this.#pick(tokens);
    if (token !== undefined && random.below(3) === 0) {
      if (ctx.cancel(token)) {
        if (fates[last[token]] !== "live") this.#world.broken(`cancel of ${token} is true, nothing was live`);
        fates[last[token]] = "cancelled";
      }
    } else {
      const n = Object.keys(fates).length + 1;
      const delay = random.below(4) === 0 ? 0 : random.below(250);
      const now = this.#world.now();
      const message: Delayed = { from: String(ctx.self), n, at: now, delay, forward: this.#forward };
      const to = new Address(this.#pick(receiverTypes), this.#pick(receivers));
      ctx.sendAfter(delay, to, message, token === undefined ? undefined : { token });
      if (token !== undefined) {
        if (fates[last[token]] === "live") fates[last[token]] = "replaced";
        last[token] = n;
      }
      fates[n] = "live";
    }
    ctx.state.log.set({ fates, tokens: last });
  }

  #deliver(ctx: SimContext, message: Delayed): void {
    const { at, delay, forward, from } = message;
    const passed = this.#world.now() - at + this.#forward - forward + (this.#steps === "both" ? slackMs : 0);
    if (passed < delay) this.#world.broken(`a message with a delay of ${delay} came after ${passed}`); // R3
    if (ctx.caller?.toString() !== from) this.#world.broken("a delayed message has its sender");
    ctx.state.got.update((got: Record<string, number>) => ({
      ...got,
      [nameOf(message)]: (got[nameOf(message)] ?? 0) + 1,
    }));
  }

  #set(ahead: number): void {
    this.#forward += Math.max(0, ahead - this.#ahead);
    this.#ahead = Math.max(0, ahead);
    this.#aheadMax = Math.max(this.#aheadMax, this.#ahead);
    this.#world.setWall(this.#ahead);
  }

  #pick<T>(choices: readonly T[]): T {
    return choices[this.#world.random.below(choices.length)];
  }
}

function ticked(name: string): Address<unknown, unknown> {
  return new Address<unknown, unknown>(tickedType, name);
}

function nameOf({ from, n }: Delayed): string {
  return `${from}/${n}`;
}

export const timersFeature: MakeFeature = (world) => new TimersFeature(world);
