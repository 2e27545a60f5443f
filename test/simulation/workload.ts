/**
 * The application of a simulated world. Messages carry tokens, which a turn keeps or hands on, and a number per pair of
 * sender and receiver; every turn lengthens the chain of its address, and emits the new link.
 */
import type { Random } from "../../lib/base/random.js";
import { Address } from "../../lib/model/address.js";
import { AppDefinition } from "../../lib/model/app.js";
import { EgressDefinition } from "../../lib/model/egress.js";
import { type AnyFunctionDefinition, FunctionDefinition } from "../../lib/model/function.js";
import { type IngressDefinition, type IngressItem, rejectsName, type SplitReader } from "../../lib/model/ingress.js";
import { columnCode, egressCode } from "../../lib/shard/registry.js";
import type { SimFeature } from "./feature.js";
import type { Params } from "./params.js";

/** A message of the workload. */
export interface SimMessage {
  /** Where it comes from: an address, a split, a gateway session. */
  readonly from: string;
  /** Its number among those from there to its receiver, from 1. */
  readonly n: number;
  readonly tokens: number;
  readonly ttl: number;
  readonly ask: number;
  readonly pad: string;
}

/** True for a function type of the base workload, and not of a feature. */
export function isBaseType(type: string): boolean {
  return typeNames.includes(type);
}

/** A record of the workload's egress: one link of the chain of an address. */
export interface SimLink {
  readonly at: string;
  readonly count: number;
  readonly chain: number;
  readonly before: number;
}

/** A record of a split. Its n-th item is at position n. */
export interface SplitRecord {
  readonly bad: boolean;
  readonly messages: readonly { readonly to: number; readonly message: SimMessage }[];
}

/** What the functions need of the world they run in. */
export interface WorkloadPort {
  readonly random: Random;
  /** Turns and routers misbehave only while this is true. */
  readonly faulty: boolean;
  /** A promise that the scheduler settles. */
  pause(): Promise<void>;
  /** Something asynchronous runs: microtasks have to be drained. */
  asynchronous(): void;
  /** A rule does not hold, seen inside a turn, where an exception would be the function's. */
  broken(what: string): void;
}

export const outName = "sim/out";
export const outCode = egressCode(outName);
const ingressName = "in";
export const rejectsCode = egressCode(rejectsName(ingressName));

const typeNames = ["sim/a", "sim/b", "sim/c"];
const stateNames = ["count", "chain", "tokens", "seen", "sent"];

// biome-ignore lint/suspicious/noExplicitAny: the functions of the workload are made in a loop, without types
type SimContext = any;

export class Workload {
  readonly addresses: readonly Address<never, unknown>[];
  readonly app: AppDefinition;
  readonly splits: { readonly ingress: string; readonly split: string }[];
  readonly records = new Map<string, readonly SplitRecord[]>();
  /** Items that a split's readers may hand out by now. */
  readonly available = new Map<string, number>();
  readonly egressCodes: readonly number[];
  /** Those of them that belong to features. */
  readonly featureCodes: readonly number[];
  readonly functions: { name: string; code: number; states: { name: string; code: number }[] }[];
  /** Those and the types that namespaces make. */
  readonly storedTypes: Workload["functions"];
  readonly namespaces: readonly string[];
  readonly tokenColumns: ReadonlySet<number>;
  readonly #params: Params;
  readonly #port: WorkloadPort;
  readonly #features: readonly SimFeature[];
  readonly #out: EgressDefinition<SimLink> | undefined;
  #wakes = new Map<string, () => void>();

  constructor(
    params: Params,
    port: WorkloadPort,
    features: readonly SimFeature[],
    functionCode: (type: string) => number,
  ) {
    this.#features = features;
    this.#params = params;
    this.#port = port;
    const types = typeNames.slice(0, params.types);
    this.addresses = Array.from(
      { length: params.addresses },
      (_, index) =>
        new Address<never, unknown>(types[index % types.length], `i${index}${index % 5 === 4 ? "\u0416/\0" : ""}`),
    );
    this.#out = params.egress ? new EgressDefinition<SimLink>(outName, undefined) : undefined;
    this.splits = Array.from({ length: params.splits }, (_, index) => ({ ingress: ingressName, split: `s${index}` }));
    for (const { split } of this.splits) this.#drawRecords(split);
    const egresses = new Map(
      this.#out === undefined ? [] : [[outName, { egress: this.#out as never, binding: undefined }]],
    );
    for (const egress of features.flatMap((feature) => feature.egresses ?? [])) {
      egresses.set(egress.name, { egress, binding: undefined } as never);
    }
    const own = features.flatMap((feature) => feature.functions);
    this.app = new AppDefinition(
      "sim",
      [...types.map((type) => this.#function(type)), ...own],
      params.splits > 0 ? [this.#ingress()] : [],
      egresses,
      features.flatMap((feature) => feature.schedules ?? []),
      features.flatMap(({ namespaces = [] }) => namespaces),
    );
    this.namespaces = this.app.namespaces.map(({ namespace }) => namespace);
    this.featureCodes = features.flatMap(({ egresses }) => egresses ?? []).map(({ name }) => egressCode(name));
    this.egressCodes = [
      ...(params.egress ? [outCode] : []),
      ...(params.splits > 0 ? [rejectsCode] : []),
      ...this.featureCodes,
    ];
    const entryOf = (name: string, states: readonly string[]) => ({
      name,
      code: functionCode(name),
      states: states.map((state) => ({ name: state, code: columnCode(name, state) })),
    });
    this.functions = [
      ...types.map((name) => entryOf(name, stateNames)),
      ...own.map(({ type, options }) => entryOf(type, Object.keys(options.state ?? {}))),
    ];
    const dynamic = features.flatMap(({ dynamicTypes = [] }) => dynamicTypes);
    this.storedTypes = [...this.functions, ...dynamic.map(({ type, states }) => entryOf(type, states))];
    this.tokenColumns = new Set(types.map((type) => columnCode(type, "tokens")));
  }

  /** A target, by index. */
  target(): number {
    const { random } = this.#port;
    const one = random.below(this.addresses.length);
    return this.#params.skewed && random.next() < 0.6 ? Math.min(one, random.below(2)) : one;
  }

  /** A body, sometimes larger than a ring. */
  pad(): string {
    const { random } = this.#port;
    return random.next() < this.#params.bigP ? "x".repeat(random.below(3 * this.#params.ringBytes)) : "";
  }

  /** More items of some split may be read from now on. */
  feed(count: number): void {
    if (this.splits.length === 0) return;
    const { split } = this.splits[this.#port.random.below(this.splits.length)];
    this.available.set(
      split,
      Math.min((this.records.get(split) as readonly SplitRecord[]).length, (this.available.get(split) ?? 0) + count),
    );
    this.#wakes.get(split)?.();
  }

  feedAll(): void {
    for (const { split } of this.splits) {
      this.available.set(split, (this.records.get(split) as readonly SplitRecord[]).length);
      this.#wakes.get(split)?.();
    }
  }

  /** Tokens of the first items of a split. */
  tokensUpTo(split: string, position: number): number {
    let tokens = 0;
    for (const { bad, messages } of (this.records.get(split.replace(/^in\//, "")) ?? []).slice(0, position)) {
      if (!bad) for (const { message } of messages) tokens += message.tokens;
    }
    return tokens;
  }

  /** The shards are gone, and what their readers would wake with them. */
  forgetReaders(): void {
    this.#wakes = new Map();
  }

  #drawRecords(split: string): void {
    const { random } = this.#port;
    const numbers = new Map<number, number>();
    const records: SplitRecord[] = [];
    for (let index = 0; index < this.#params.recordsPerSplit; index++) {
      const bad = random.next() < this.#params.badRecordP;
      const messages: { to: number; message: SimMessage }[] = [];
      for (let count = bad ? 0 : random.below(3); count > 0; count--) {
        const to = this.target();
        const n = (numbers.get(to) ?? 0) + 1;
        numbers.set(to, n);
        messages.push({
          to,
          message: { from: split, n, tokens: 1 + random.below(4), ttl: random.below(6), ask: 0, pad: this.pad() },
        });
      }
      records.push({ bad, messages });
    }
    this.records.set(split, records);
    this.available.set(split, 0);
  }

  #ingress(): IngressDefinition {
    const route = (
      { bad, messages }: SplitRecord,
      to: (address: Address<never, unknown>, message: never) => void,
    ): void => {
      for (const { to: index, message } of messages) to(this.addresses[index], message as never);
      if (bad) throw new Error("a bad record");
    };
    return {
      name: ingressName,
      splits: () => this.splits.map(({ split }) => split),
      open: (split, position, wake) => this.#open(split, (position as number | undefined) ?? 0, wake),
      route: route as never,
      onBadRecord: "reject",
      rejects: undefined as never,
    };
  }

  #open(split: string, from: number, wake: () => void): SplitReader {
    const records = this.records.get(split) as readonly SplitRecord[];
    let next = from;
    this.#wakes.set(split, wake);
    const available = this.available;
    return {
      next(): IngressItem | undefined {
        if (next >= (available.get(split) as number)) return undefined;
        const value = records[next++];
        return { kind: "record", value, position: next, where: String(next), bytes: 10 };
      },
      get exhausted() {
        return next >= records.length;
      },
      close: () => {},
    };
  }

  #function(type: string): AnyFunctionDefinition {
    const value = (initial: unknown) => ({ kind: "value" as const, initial, schema: undefined });
    return new FunctionDefinition<SimMessage>(type, {
      state: { count: value(0), chain: value(0), tokens: value(0), seen: value({}), sent: value({}) },
      receive: (ctx, message) => {
        if (this.#port.faulty && this.#port.random.next() < this.#params.asyncP) return this.#asyncTurn(ctx, message);
        this.#turn(ctx, message);
        return undefined;
      },
    }) as AnyFunctionDefinition;
  }

  async #asyncTurn(ctx: SimContext, message: SimMessage): Promise<void> {
    this.#port.asynchronous();
    const before = ctx.state.count.get();
    for (let pauses = this.#port.random.below(3); pauses > 0; pauses--) await this.#port.pause();
    if (before !== ctx.state.count.get()) this.#port.broken("an address changed while one of its turns was pending");
    this.#turn(ctx, message);
    if (this.#port.random.next() < 0.3) await this.#port.pause();
  }

  #turn(ctx: SimContext, message: SimMessage): void {
    const { random } = this.#port;
    const { state } = ctx;
    const self = String(ctx.self);
    const seen = state.seen.get()[message.from] ?? 0;
    if (message.n !== seen + 1)
      this.#port.broken(`FIFO: ${self} takes message ${message.n} of ${message.from} after ${seen}`);
    state.seen.update((numbers: Record<string, number>) => ({ ...numbers, [message.from]: message.n }));
    const count = state.count.update((turns: number) => turns + 1);
    const before = state.chain.get();
    const chain = link(before, message);
    state.chain.set(chain);
    let { tokens } = message;
    if (message.ttl > 0) {
      for (let sends = random.below(3); sends > 0 && tokens > 0; sends--) {
        const given = 1 + random.below(tokens);
        tokens -= given;
        this.#send(ctx, self, message.ttl - 1, given);
      }
    }
    if (this.#port.faulty && random.next() < this.#params.throwP)
      throw new Error("this turn does not like its message");
    if (tokens > 0) state.tokens.update((kept: number) => kept + tokens);
    if (this.#out !== undefined) ctx.emit(this.#out, { at: self, count, chain, before } satisfies SimLink);
    if (message.ask !== 0) ctx.reply({ ask: message.ask, count });
    if (this.#port.faulty)
      for (const feature of this.#features) if (random.below(3) === 0) feature.poke?.(ctx.send.bind(ctx));
  }

  #send(ctx: SimContext, self: string, ttl: number, tokens: number): void {
    const to = this.addresses[this.target()];
    const name = to.toString();
    const n = (ctx.state.sent.get()[name] ?? 0) + 1;
    ctx.state.sent.update((numbers: Record<string, number>) => ({ ...numbers, [name]: n }));
    const message: SimMessage = { from: self, n, tokens, ttl, ask: 0, pad: this.pad() };
    if (ctx.caller?.toString() === name) ctx.reply(message);
    else ctx.send(to, message as never);
  }
}

/** The next link of a chain. */
export function link(chain: number, { from, n, tokens }: SimMessage): number {
  let hash = chain ^ Math.imul(n, 0x9e3779b1) ^ Math.imul(tokens, 0x85ebca6b);
  for (let i = 0; i < from.length; i++) hash = Math.imul(hash ^ from.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}
