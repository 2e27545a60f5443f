/**
 * Delayed messages, cancels and schedules in simulated worlds, with a wall clock that is set back and forth.
 *
 * R1. A delayed message is exactly one of pending, in flight or delivered, and cancelled; one that was replaced may also
 *     have been delivered before.
 * R2. A cancel that returned true: never delivered.
 * R3. Nothing is early.
 * R4. What a schedule has sent is in flight or delivered, each instant once; with the misfire rule "all" none is left out.
 * R5. A schedule that was removed or replaced sends nothing any more, and does not come back.
 * R6. What a command that was answered has said of a schedule holds until another command says otherwise.
 */
import type { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { PayloadCodec as Codec } from "../../lib/codec/payload-codec.js";
import { Address } from "../../lib/model/address.js";
import { type AnyFunctionDefinition, FunctionDefinition } from "../../lib/model/function.js";
import { type AnyNamespaceDefinition, NamespaceDefinition } from "../../lib/model/namespace.js";
import { cron, every } from "../../lib/model/schedule.js";
import { hashName32 } from "../../lib/partition/hash.js";
import { type PlainSchedule, plainSchedule, type StoredSchedule } from "../../lib/shard/schedules.js";
import { decodeTimer, isScheduleKey, isTimerKey } from "../../lib/shard/timer-rows.js";
import { rowTable } from "../../lib/store/row-key.js";
import {
  type CommittedRow,
  type CommittedView,
  type FeatureWorld,
  type MakeFeature,
  onceEach,
  type SimFeature,
} from "./feature.js";
import { rule } from "./violation.js";

const senderType = "timers/sender";
const receiverType = "timers/receiver";
const tickedType = "timers/ticked";
/** A namespace makes them, they send and receive. Their 32-bit codes are equal. */
const bothTypes = ["timersdyn/1pvu", "timersdyn/g3ea"];
const senderTypes = [senderType, ...bothTypes];
const receiverTypes = [receiverType, ...bothTypes];
const senders = ["s0", "s1\u0416"];
const receivers = ["r0", "r1", "r2"];
const tokens = ["a", "b\u0416"];
/** Schedules that are added at run time, and what they are for. */
const addedNames = ["added", "added too\u0416", "added last"];
const addedTargets = ["t0", "t1\u0416", "t2"];
/** Delays of messages with a token are short: many come due while a turn goes on that cancels them. */
const tokenDelayMax = 40;
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

/** The message of a schedule that was added: which adding it was. */
interface Added {
  readonly serial: number;
}

/** What a command says of a name: the adding that it belongs to; undefined for none. */
interface Said {
  readonly serial: number | undefined;
}

interface SenderLog {
  readonly fates: Record<string, Fate>;
  /** Number of the last message of each token. */
  readonly tokens: Record<string, number>;
}

// biome-ignore lint/suspicious/noExplicitAny: the functions are made without types
type SimContext = any;

class TimersFeature implements SimFeature {
  readonly name = "timers";
  readonly meets = [
    "sent later",
    "cancelled",
    "came due when a turn had cancelled it",
    "replaced",
    "delivered",
    "schedule sent",
    "schedule added",
    "schedule replaced",
    "schedule moved",
    "schedule removed",
    "added schedule sent",
    "added schedule over",
    "change answered",
    "change in doubt",
    "paused",
    "wall clock set",
  ] as const;
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
  /** When delayed messages come due, about. */
  readonly #dues = new Map<string, number>();
  /** Addings so far. */
  #serial = 0;
  /** What commands have said of a name: the last that was answered, and those behind it, which may be lost. */
  readonly #said = new Map<string, Said[]>(addedNames.map((name) => [name, [{ serial: undefined }]]));
  /** A change goes on; as in `app.schedules` one follows the other. */
  #changing = false;
  /** Messages of addings that are over, in flight or delivered. */
  readonly #over = new Map<number, number>();
  readonly #present = new Set<number>();

  constructor(world: FeatureWorld) {
    this.#world = world;
    this.#steps = (["none", "forward", "both"] as const)[world.random.below(3)];
    const value = (initial: unknown) => ({ kind: "value" as const, initial, schema: undefined });
    const log = value({ fates: {}, tokens: {} });
    const sendSome = (ctx: SimContext) =>
      world.faulty && world.random.below(2) === 0 ? this.#slowTurn(ctx) : this.#turn(ctx);
    const failure = { turnTimeoutMs: world.random.below(4) === 0 ? 20 : 10_000 };
    const both = (type: string) =>
      new FunctionDefinition<Delayed | number>(type, {
        failure,
        state: { log, got: value({}) },
        receive: (ctx: SimContext, message) =>
          typeof message === "number" ? sendSome(ctx) : this.#deliver(ctx, message),
      });
    this.namespaces = [new NamespaceDefinition("timersdyn", both as never) as AnyNamespaceDefinition];
    this.functions = [
      new FunctionDefinition(senderType, { failure, state: { log }, receive: sendSome }) as AnyFunctionDefinition,
      new FunctionDefinition<Delayed>(receiverType, {
        state: { got: value({}) },
        receive: (ctx: SimContext, message) => this.#deliver(ctx, message),
      }) as AnyFunctionDefinition,
      new FunctionDefinition(tickedType, {
        state: { count: value(0), ids: value([]), added: value({}) },
        receive: (ctx: SimContext, message) => {
          if (typeof message === "object") {
            this.#world.met("added schedule sent");
            const { serial } = message as Added;
            ctx.state.added.update((added: Record<number, number>) => ({
              ...added,
              [serial]: (added[serial] ?? 0) + 1,
            }));
            return;
          }
          this.#world.met("schedule sent");
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
    const what = random.below(6);
    if (what < 2) {
      const name = random.below(3) === 0 ? this.#pick(addedNames) : this.#pick(this.schedules).name;
      this.#world.command(`schedules.${what === 0 ? "pause" : "resume"}`, [name]);
      if (what === 0) this.#world.met("paused");
    } else if (what < 5) {
      if (!this.#changing) this.#change();
    } else if (this.#steps === "forward" || (this.#steps === "both" && random.below(2) === 0)) {
      this.#set(this.#ahead + 1_500 + random.below(4_000));
    } else if (this.#steps === "both") this.#set(this.#ahead - random.below(6_000));
  }

  /** What `app.schedules` does. */
  #change(): void {
    const name = this.#pick(addedNames);
    const all = this.#list();
    if (all === undefined) return; // not every shard has started
    const stored = all.find((schedule) => schedule.name === name);
    if (this.#world.random.below(3) === 0) this.#remove(name, stored !== undefined ? "schedule removed" : undefined);
    else if (stored === undefined) this.#add(name, this.#pick(addedTargets), "schedule added");
    else {
      const target = this.#pick(addedTargets);
      if (target === stored.id) this.#add(name, target, "schedule replaced");
      else this.#remove(name, undefined, () => this.#add(name, target, "schedule moved"));
    }
  }

  #list(): StoredSchedule[] | undefined {
    const found = this.#world.command("schedules.list", []);
    return found.length === 0 ? undefined : (found.flat() as StoredSchedule[]);
  }

  #add(name: string, target: string, what: string): void {
    const { random } = this.#world;
    const serial = ++this.#serial;
    const message: Added = { serial };
    const misfire = this.#pick(["all", "once", "skip"] as const);
    const options = { misfire, to: ticked(target), message } as const;
    const schedule: PlainSchedule = plainSchedule(every(name, { intervalMs: 3 + random.below(40), ...options }));
    this.#say("schedules.add", [schedule], name, target, serial, what);
  }

  #remove(name: string, what: string | undefined, then?: () => void): void {
    this.#say("schedules.remove", [name], name, undefined, undefined, what, then);
  }

  /** R6 */
  #say(
    command: string,
    args: readonly unknown[],
    name: string,
    id: string | undefined,
    serial: number | undefined,
    what: string | undefined,
    then?: () => void,
  ): void {
    const said: Said = { serial };
    const all = this.#said.get(name) as Said[];
    const results = this.#world.command(command, args, id, (durable) => {
      this.#changing = false;
      this.#world.met(durable ? "change answered" : "change in doubt");
      if (!durable) return;
      all.splice(0, all.indexOf(said));
      then?.();
    });
    if (results.length === 0) return; // not every shard has started
    all.push(said);
    this.#changing = true;
    if (what !== undefined) this.#world.met(what);
  }

  committed(view: CommittedView): void {
    const where = new Map<string, number>();
    const count = (key: string): void => void where.set(key, (where.get(key) ?? 0) + 1);
    const pending = new Set<string>();
    const schedules: StoredSchedule[] = [];
    for (const row of view.rows(rowTable.TIMER)) {
      const { schedule, name } = this.#row(row);
      if (schedule !== undefined) schedules.push(schedule);
      if (name === undefined) continue;
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
    this.#checkSchedules(
      view,
      schedules.filter(({ declared }) => declared),
    );
    this.#checkAdded(
      view,
      schedules.filter(({ declared }) => !declared),
    );
  }

  /** The row of a schedule, or of a delayed message of this feature, by name. */
  readonly #row = onceEach(({ key, value }: CommittedRow): { schedule?: StoredSchedule; name?: string } => {
    if (isScheduleKey(key)) return { schedule: this.#codec.decode(value) as StoredSchedule };
    if (!isTimerKey(key)) return {};
    const { sender, payload } = decodeTimer(value);
    const own = sender.dynamicType ?? (sender.code === hashName32(senderType) ? senderType : "");
    return senderTypes.includes(own) ? { name: nameOf(this.#codec.decode(payload) as Delayed) } : {};
  });

  *#logs(view: CommittedView): Iterable<readonly [string, unknown]> {
    for (const type of senderTypes)
      for (const [id, log] of view.states(type, "log")) yield [`${type}@${id}`, log] as const;
  }

  settle(): void {
    if (this.#ahead < this.#aheadMax) this.#set(this.#aheadMax + slackMs); // or some wait for what is seconds away
    if (this.#round++ % 32 !== 0) return;
    for (const { name } of this.schedules) this.#world.command("schedules.pause", [name]);
    if (this.#changing) return;
    const added = this.#list()?.find(({ declared, paused }) => !declared && !paused);
    if (added === undefined) return;
    if (this.#world.random.below(3) === 0) this.#world.command("schedules.pause", [added.name]);
    else this.#remove(added.name, "schedule removed");
  }

  unfinished(view: CommittedView): string | undefined {
    for (const row of view.rows(rowTable.TIMER)) {
      const { schedule, name } = this.#row(row);
      if (name !== undefined) return "delayed messages are pending";
      if (schedule?.paused === false) return "a schedule goes on";
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

  /** R5 */
  #checkAdded(view: CommittedView, schedules: readonly StoredSchedule[]): void {
    const totals = new Map<number, number>();
    const count = (serial: number, times: number): void => void totals.set(serial, (totals.get(serial) ?? 0) + times);
    for (const { payload } of view.inFlight(tickedType))
      if (typeof payload === "object") count((payload as Added).serial, 1);
    for (const [, added] of view.states(tickedType, "added"))
      for (const [serial, times] of Object.entries(added as Record<string, number>)) count(Number(serial), times);
    const present = new Map(schedules.map((schedule) => [(schedule.message as Added).serial, schedule]));
    rule(present.size === schedules.length, "an adding has one schedule");
    for (const [serial, { name, sent }] of present) {
      rule(!this.#over.has(serial), () => `R5: schedule ${name} is there again, ${serial} was over`);
      const there = totals.get(serial) ?? 0;
      rule(there === sent, () => `R4: schedule ${name} has sent ${sent} messages, there are ${there}`);
      this.#present.add(serial);
    }
    for (const serial of new Set([...totals.keys(), ...this.#present])) {
      if (present.has(serial)) continue;
      const there = totals.get(serial) ?? 0;
      const then = this.#over.get(serial);
      rule(then === undefined || then === there, () => `R5: ${serial} was over with ${then} messages, now ${there}`);
      if (then === undefined) this.#world.met("added schedule over");
      this.#over.set(serial, there);
    }
    for (const [name, said] of this.#said) {
      const found = schedules.filter((schedule) => schedule.name === name);
      rule(found.length <= 1, () => `schedule ${name} is there ${found.length} times`);
      const serial = (found[0]?.message as Added | undefined)?.serial;
      const known = said.some((one) => one.serial === serial);
      rule(known, () => `R6: schedule ${name} is ${serial}, said was ${said.map((one) => one.serial)}`);
    }
  }

  async #slowTurn(ctx: SimContext): Promise<void> {
    const { random } = this.#world;
    this.#world.asynchronous();
    for (let pauses = random.below(3); pauses > 0; pauses--) {
      this.#someAction(ctx);
      await this.#world.pause();
    }
    let cancelled: string | undefined;
    if (random.below(3) > 0) for (const token of tokens) cancelled ??= this.#cancel(ctx, token);
    if (cancelled !== undefined) {
      const due = this.#dues.get(cancelled) ?? 0;
      for (let pauses = 8; pauses > 0 && this.#world.now() <= due; pauses--) await this.#world.pause();
      if (this.#world.now() > due) this.#world.met("came due when a turn had cancelled it");
    }
    this.#turn(ctx);
  }

  /** The message that a turn has cancelled, if there was one. */
  #cancel(ctx: SimContext, token: string): string | undefined {
    const log = ctx.state.log.get() as SenderLog;
    if (!ctx.cancel(token)) return undefined;
    const n = log.tokens[token];
    this.#world.met("cancelled");
    if (log.fates[n] !== "live") this.#world.broken(`cancel of ${token} is true, nothing was live`);
    ctx.state.log.set({ ...log, fates: { ...log.fates, [n]: "cancelled" } });
    return `${ctx.self}/${n}`;
  }

  #turn(ctx: SimContext): void {
    const { random } = this.#world;
    for (let actions = 1 + random.below(3); actions > 0; actions--) this.#someAction(ctx);
    if (this.#world.faulty && random.below(8) === 0) throw new Error("this turn does not like its message");
  }

  #someAction(ctx: SimContext): void {
    const { random } = this.#world;
    const token = random.below(3) === 0 ? undefined : this.#pick(tokens);
    if (token !== undefined && random.below(3) === 0) {
      this.#cancel(ctx, token);
      return;
    }
    const log = ctx.state.log.get() as SenderLog;
    const fates = { ...log.fates };
    const last = { ...log.tokens };
    const n = Object.keys(fates).length + 1;
    const delay = random.below(4) === 0 ? 0 : random.below(token === undefined ? 250 : tokenDelayMax);
    const now = this.#world.now();
    const message: Delayed = { from: String(ctx.self), n, at: now, delay, forward: this.#forward };
    const to = new Address(this.#pick(receiverTypes), this.#pick(receivers));
    ctx.sendAfter(delay, to, message, token === undefined ? undefined : { token });
    this.#world.met("sent later");
    this.#dues.set(nameOf(message), now + delay);
    if (token !== undefined) {
      if (fates[last[token]] === "live") {
        fates[last[token]] = "replaced";
        this.#world.met("replaced");
      }
      last[token] = n;
    }
    fates[n] = "live";
    ctx.state.log.set({ fates, tokens: last });
  }

  #deliver(ctx: SimContext, message: Delayed): void {
    const { at, delay, forward, from } = message;
    const passed = this.#world.now() - at + this.#forward - forward + (this.#steps === "both" ? slackMs : 0);
    if (passed < delay) this.#world.broken(`a message with a delay of ${delay} came after ${passed}`); // R3
    this.#world.met("delivered");
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
    this.#world.met("wall clock set");
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
