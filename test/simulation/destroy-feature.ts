/**
 * Addresses that end, in a simulated world. A life of an address begins with a message that finds nothing there and ends
 * with `ctx.destroy()`; it has the id of that message as its name. Whatever a life makes carries its name: entries, items,
 * delayed messages, operations. What outlives it is told to a log that nobody destroys.
 *
 * L1. What is stored of an address is of its present life. An address without one has nothing stored.
 * L2. Of what a life has asked for nothing is lost while it lasts. It ends with a turn that was applied, and not with one
 *     that wanted to end it and failed.
 * L3. Once a life is over nothing of it is sent any more: no delayed message, no result. What was sent by then arrives.
 * L4. A life begins with nothing: no state, no token of a delayed message.
 * L5. A key is applied once, in whichever life. Its repetition does not bring an address back to life.
 * L6. What leads from a sender to its delayed message is stored as long as that: one row for each.
 */
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { Address } from "../../lib/model/address.js";
import { type AnyFunctionDefinition, FunctionDefinition } from "../../lib/model/function.js";
import { type AnyNamespaceDefinition, NamespaceDefinition } from "../../lib/model/namespace.js";
import { isOperationResult, type OperationResult, type OperationScope } from "../../lib/model/operation.js";
import { hashName32 } from "../../lib/partition/hash.js";
import { decodeStateValue } from "../../lib/shard/state-value.js";
import { decodeSent, decodeTimer, decodeTimerKey, isSentKey, isTimerKey } from "../../lib/shard/timer-rows.js";
import { decodeEntryKey } from "../../lib/store/entry-key.js";
import { rowTable } from "../../lib/store/row-key.js";
import { type CommittedRow, type CommittedView, type FeatureWorld, onceEach, type SimFeature } from "./feature.js";
import { rule } from "./violation.js";

const staticType = "ends/one";
/** A namespace makes them. Their 32-bit codes are equal. */
const madeTypes = ["endsdyn/7vl8", "endsdyn/opd6"];
const types = [staticType, ...madeTypes];
const logType = "ends/log";
const ids = ["e0", "e1\u0416"];
const tokens = ["a", "b\u0416"];
const states = ["life", "turns", "delayed", "cancelled", "started", "ended", "brief"] as const;
const wholeDayMs = 24 * 60 * 60 * 1000;

/** What a life has told the log, or will: its n-th delayed message, a key that it applied, its end. */
interface Told {
  readonly life: string;
  readonly n?: number;
  readonly key?: string;
  readonly over?: boolean;
}
interface Metadata {
  readonly address: string;
  readonly life: string;
}
type Result = OperationResult<number, Metadata>;
type Live = { readonly kind: "live"; readonly key?: string } | Result;

/** What there is of a life at a commit. */
interface Trace {
  /** Delayed messages that are pending, and told the log. */
  pending: number;
  told: number;
  /** The turn that ended it was applied. */
  ended: boolean;
  /** Operations that are pending, and results on their way. */
  operations: number;
  results: number;
}

/** A life that was seen in a commit. */
interface Life {
  readonly address: string;
  /** As it was when the life was last seen; then as it was found to be over. */
  trace: Trace;
  over: boolean;
}

// biome-ignore lint/suspicious/noExplicitAny: the functions of the simulator are made without types
type SimContext = any;

class DestroyFeature implements SimFeature {
  readonly name = "destroy";
  readonly meets = [
    "ended lives",
    "turns that failed to end one",
    "ends with delayed messages pending",
    "ends with operations pending",
    "ends with results on their way",
    "cancelled messages",
    "keys repeated",
    "new lives where one was over",
  ] as const;
  readonly functions: readonly AnyFunctionDefinition[];
  readonly namespaces: readonly AnyNamespaceDefinition[];
  readonly dynamicTypes = madeTypes.map((type) => ({ type, states }));
  readonly #world: FeatureWorld;
  readonly #codec = new PayloadCodec();
  readonly #lives = new Map<string, Life>();
  readonly #keys: { readonly to: Address<never, unknown>; readonly key: string }[] = [];

  constructor(world: FeatureWorld) {
    this.#world = world;
    const lives = (type: string) =>
      new FunctionDefinition<Live>(type, {
        state: {
          ...Object.fromEntries(["turns", "delayed", "cancelled", "started", "ended"].map((name) => [name, value(0)])),
          life: value(undefined),
          brief: { ...value(undefined), ttl: { ms: 40, since: "write" as const } },
          entries: { kind: "table" as const, schema: undefined, ttl: undefined },
          items: { kind: "list" as const, schema: undefined, ttl: undefined },
        },
        pendingOperations: 3,
        receive: (ctx, message) =>
          world.faulty && world.random.below(4) === 0 ? this.#slowly(ctx, message) : this.#live(ctx, message),
      }) as AnyFunctionDefinition;
    const log = new FunctionDefinition<Told>(logType, {
      state: { told: value([]) },
      receive: (ctx: SimContext, told) => ctx.state.told.update((all: Told[]) => [...all, told]),
    }) as AnyFunctionDefinition;
    this.functions = [lives(staticType), log];
    this.namespaces = [new NamespaceDefinition("endsdyn", lives as never) as AnyNamespaceDefinition];
  }

  poke(send: (to: Address<never, unknown>, message: unknown) => void): void {
    const to = this.#address();
    for (let count = 1 + this.#world.random.below(3); count > 0; count--) send(to, { kind: "live" } satisfies Live);
  }

  /** Somebody outside repeats messages with keys. */
  act(): void {
    const { random } = this.#world;
    if (this.#keys.length === 0 || random.below(3) === 0)
      this.#keys.push({ to: this.#address(), key: `k${this.#keys.length}` });
    else this.#world.met("keys repeated");
    const { to, key } = this.#keys[random.below(this.#keys.length)];
    this.#world.send(to, { kind: "live", key } satisfies Live, { extras: { key, retentionMs: wholeDayMs } });
  }

  // --- turns --------------------------------------------------------------------------------------------------------

  async #slowly(ctx: SimContext, message: Live): Promise<void> {
    this.#world.asynchronous();
    const ends = this.#world.random.below(4) === 0;
    if (ends) ctx.destroy();
    await this.#world.pause();
    this.#live(ctx, message, ends);
  }

  #live(ctx: SimContext, message: Live, over = false): void {
    const { random, faulty } = this.#world;
    const { state } = ctx;
    if (state.life.get() === undefined) this.#begin(ctx);
    const life = state.life.get() as string;
    const turns = this.#recall(ctx, life);
    const ends = over || (faulty && random.below(4) === 0);
    if (ends) ctx.send(this.#log(), { life, over: true } satisfies Told);
    if (ends && random.below(2) === 0) ctx.destroy(); // what the turn does after it goes, too
    state.entries.set(`k${turns}`, life);
    state.items.append(life);
    ctx.state.register("late", { kind: "table", schema: undefined }).set(turns, life);
    if (random.below(2) === 0) state.brief.set(life);
    state.turns.set(turns + 1);
    if (isOperationResult(message)) this.#hear(ctx, life, message);
    else if (message.key !== undefined) ctx.send(this.#log(), { life, key: message.key } satisfies Told);
    if (faulty) for (let more = random.below(3); more > 0; more--) this.#ask(ctx, life);
    if (ends) ctx.destroy();
    if (!faulty || random.below(6) > 0) return;
    if (ends) this.#world.met("turns that failed to end one");
    throw new Error("this turn is not to be");
  }

  /** L4 */
  #begin(ctx: SimContext): void {
    const { state } = ctx;
    const found = [...states.map((name) => state[name].get()), state.entries.size, state.items.length];
    if (found.some((part) => part !== undefined && part !== 0)) this.#world.broken(`L4: a life begins with ${found}`);
    for (const token of tokens) if (ctx.cancel(token)) this.#world.broken("L4: a life begins with a token");
    state.life.set(ctx.messageId);
  }

  /** L2: what earlier turns of the life have left; their number. */
  #recall({ state }: SimContext, life: string): number {
    const turns = state.turns.get() as number;
    const { size } = state.entries;
    const { length } = state.items;
    const late = state.register("late", { kind: "table", schema: undefined }).size;
    if (size !== turns || length !== turns || late !== turns)
      this.#world.broken(`L2: ${size} entries, ${length} items and ${late} late ones of ${turns} turns`);
    const old = [...state.entries.values(), ...state.items.view(), state.brief.get() ?? life].find((of) => of !== life);
    if (old !== undefined) this.#world.broken(`L4: life ${life} finds something of ${old}`);
    return turns;
  }

  /** Delayed messages, cancels, operations. */
  #ask(ctx: SimContext, life: string): void {
    const { random } = this.#world;
    const { state } = ctx;
    const what = random.below(4);
    if (what === 0) {
      const timeoutMs = 10 + random.below(60);
      state.started.update((n: number) => n + 1);
      const metadata: Metadata = { address: String(ctx.self), life };
      ctx.run((scope: OperationScope) => this.#operation(scope), metadata, { timeoutMs });
      return;
    }
    const token = tokens[random.below(tokens.length)];
    if (what < 3 && ctx.cancel(token)) {
      this.#world.met("cancelled messages");
      state.cancelled.update((n: number) => n + 1);
    }
    if (what === 1) return;
    const n = state.delayed.update((before: number) => before + 1);
    const options = what === 2 ? { token } : undefined;
    ctx.sendAfter(random.below(80), this.#log(), { life, n } satisfies Told, options);
  }

  async #operation({ signal }: OperationScope): Promise<number> {
    this.#world.asynchronous();
    for (let pauses = this.#world.random.below(4); pauses > 0; pauses--) await this.#world.pause();
    if (this.#world.random.below(4) === 0) await new Promise(() => {});
    signal.throwIfAborted();
    return 1;
  }

  /** A result of an earlier life finds a fresh one. */
  #hear(ctx: SimContext, life: string, { metadata }: Result): void {
    if (metadata.address !== String(ctx.self)) this.#world.broken(`L3: a result for ${metadata.address} is elsewhere`);
    if (metadata.life === life) ctx.state.ended.update((n: number) => n + 1);
  }

  #address(): Address<never, unknown> {
    const { random } = this.#world;
    return new Address(types[random.below(types.length)], ids[random.below(ids.length)]);
  }

  #log(): Address<never, unknown> {
    return new Address(logType, `l${this.#world.random.below(2)}`);
  }

  // --- rules --------------------------------------------------------------------------------------------------------

  committed(view: CommittedView): void {
    const present = new Map<string, string>();
    for (const type of types)
      for (const [id, life] of view.states(type, "life")) present.set(`${type}@${id}`, life as string);
    const traces = this.#traces(view, present);
    this.#stored(view, present);
    for (const [address, life] of present) this.#lasts(view, address, life, traces.get(life) ?? nothing());
    for (const [life, known] of this.#lives)
      if (present.get(known.address) !== life) this.#over(life, known, traces.get(life) ?? nothing());
  }

  /** L1, L3, L5: what there is of lives, by life. */
  #traces(view: CommittedView, present: ReadonlyMap<string, string>): Map<string, Trace> {
    const traces = new Map<string, Trace>();
    const of = (life: string): Trace => {
      const trace = traces.get(life) ?? nothing();
      traces.set(life, trace);
      return trace;
    };
    const kept = (address: string, life: string, what: string): Trace => {
      rule(present.get(address) === life, () => `L1: ${address} has ${what} of a life that is over`);
      return of(life);
    };
    const keys = new Set<string>();
    const names = new Set<string>();
    const tell = ({ life, n, key, over }: Told): void => {
      if (over === true) {
        of(life).ended = true;
        return;
      }
      const [seen, name] = key === undefined ? [names, `${life}/${n}`] : [keys, key];
      rule(!seen.has(name), () => (key === undefined ? `L3: ${name} was sent twice` : `L5: ${key} was applied twice`));
      seen.add(name);
      if (key === undefined) of(life).told++;
    };
    for (const row of view.rows(rowTable.TIMER)) {
      const timer = this.#delayed(row);
      if (timer !== undefined) kept(timer.address, timer.life, "a delayed message").pending++;
    }
    for (const row of view.rows(rowTable.OPERATION)) {
      const metadata = this.#pending(row);
      if (metadata !== undefined) kept(metadata.address, metadata.life, "an operation").operations++;
    }
    for (const type of types)
      for (const { payload } of view.inFlight(type))
        if (isOperationResult(payload)) of((payload as Result).metadata.life).results++;
    for (const { payload } of view.inFlight(logType)) tell(payload as Told);
    for (const [, told] of view.states(logType, "told")) for (const one of told as Told[]) tell(one);
    return traces;
  }

  /** L1 of state, L6 */
  #stored(view: CommittedView, present: ReadonlyMap<string, string>): void {
    for (const type of types) {
      for (const state of states) {
        for (const [id] of view.states(type, state))
          rule(present.has(`${type}@${id}`), () => `L1: ${type}@${id} has ended and has ${state}`);
      }
    }
    for (const row of view.rows(rowTable.ENTRY)) {
      const entry = this.#entry(row);
      if (entry === undefined) continue;
      const life = present.get(entry.address);
      const own = life !== undefined && (entry.life === undefined || entry.life === life);
      rule(own, () => `L1: ${entry.address} has an entry of ${entry.life}, its life is ${life}`);
    }
    const timers = new Set<string>();
    for (const { key } of view.rows(rowTable.TIMER)) if (isTimerKey(key)) timers.add(orderOf(decodeTimerKey(key)));
    for (const { key, value: bytes } of view.rows(rowTable.TIMER))
      if (isSentKey(key))
        rule(timers.delete(orderOf(decodeSent(key, bytes))), "L6: a sender has a message that is none");
    rule(timers.size === 0, "L6: a delayed message is none of its sender");
  }

  /** L2 */
  #lasts(view: CommittedView, address: string, life: string, trace: Trace): void {
    const [type, id] = address.split("@");
    const count = (state: (typeof states)[number]): number => (view.state(type, state, id) as number | undefined) ?? 0;
    const [delayed, cancelled] = [count("delayed"), count("cancelled")];
    rule(
      trace.pending + trace.told === delayed - cancelled,
      () => `L2: ${address} delayed ${delayed}, cancelled ${cancelled}: ${trace.pending} pending, ${trace.told} sent`,
    );
    const [started, ended] = [count("started"), count("ended")];
    rule(
      trace.operations + trace.results + ended === started,
      () => `L2: ${address} started ${started}: ${trace.operations} pending, ${trace.results} results, ${ended} ended`,
    );
    const known = this.#lives.get(life);
    if (known === undefined) {
      if ([...this.#lives.values()].some((other) => other.address === address && other.over))
        this.#world.met("new lives where one was over");
      this.#lives.set(life, { address, trace, over: false });
      return;
    }
    rule(!known.over, () => `L1: ${address} has a life again that was over`);
    known.trace = trace;
  }

  /** L3. What was still sent between the last commit of the life and its end is seen in the first commit without it. */
  #over(life: string, known: Life, trace: Trace): void {
    rule(trace.ended, () => `L2: ${known.address} has lost life ${life}, and no turn has ended it`);
    if (!known.over) {
      this.#world.met("ended lives");
      if (known.trace.pending > 0) this.#world.met("ends with delayed messages pending");
      if (known.trace.operations > 0) this.#world.met("ends with operations pending");
      if (trace.results > 0) this.#world.met("ends with results on their way");
    } else {
      const { told, results } = known.trace;
      rule(trace.told === told, () => `L3: ${life} was over with ${told} messages sent, now ${trace.told}`);
      rule(trace.results <= results, () => `L3: ${life} was over with ${results} results sent, now ${trace.results}`);
    }
    known.over = true;
    known.trace = trace;
  }

  unfinished(view: CommittedView): string | undefined {
    for (const row of view.rows(rowTable.TIMER))
      if (this.#delayed(row)) return "delayed messages of a life are pending";
    for (const row of view.rows(rowTable.OPERATION)) if (this.#pending(row)) return "operations of a life are pending";
    return undefined;
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  readonly #delayed = onceEach(({ key, value: bytes }: CommittedRow) => {
    if (!isTimerKey(key)) return undefined;
    const { sender, payload } = decodeTimer(bytes);
    const type = typeOf(sender.code, sender.dynamicType);
    if (type === undefined) return undefined;
    const { life } = this.#codec.decode(payload) as Told;
    return { address: `${type}@${sender.id}`, life };
  });

  readonly #pending = onceEach(({ value: bytes }: CommittedRow) => {
    const [code, id, metadata, dynamicType] = this.#codec.decode(bytes) as [number, string, Metadata, string?];
    const type = typeOf(code, dynamicType);
    if (type === undefined) return undefined;
    rule(metadata.address === `${type}@${id}`, () => `an operation of ${type}@${id} is that of ${metadata.address}`);
    return metadata;
  });

  /** Of a head there is no life to read. */
  readonly #entry = onceEach(({ key, value: bytes }: CommittedRow) => {
    const place = decodeEntryKey(key);
    if (place === undefined) return undefined;
    const [made, ownId] = place.id.split("\0");
    const type = typeOf(place.typeCode, ownId === undefined ? undefined : made);
    if (type === undefined) return undefined;
    const address = `${type}@${ownId ?? place.id}`;
    return { address, life: place.kind === "head" ? undefined : (decodeStateValue(this.#codec, bytes) as string) };
  });
}

/** The type of this feature that a row is of; undefined for one of others. */
function typeOf(code: number, dynamicType: string | undefined): string | undefined {
  if (dynamicType !== undefined) return madeTypes.includes(dynamicType) ? dynamicType : undefined;
  return code === hashName32(staticType) ? staticType : undefined;
}

function orderOf({ keyGroup, due, generation, sequence }: ReturnType<typeof decodeTimerKey>): string {
  return `${keyGroup} ${due} ${generation} ${sequence}`;
}

function nothing(): Trace {
  return { pending: 0, told: 0, ended: false, operations: 0, results: 0 };
}

function value(initial: unknown): { kind: "value"; initial: unknown; schema: undefined } {
  return { kind: "value", initial, schema: undefined };
}

export const makeDestroy = (world: FeatureWorld): SimFeature => new DestroyFeature(world);
