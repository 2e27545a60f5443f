/**
 * Requests in a simulated world: callers outside repeat keyed messages, also after crashes; turns ask each other along
 * paths that may come back to themselves; messages hop between function types that a namespace makes.
 *
 * R1. A key is applied at most once within its retention, and every answer is one of those applied turns.
 * R2. A question is applied at most once, however often its turn runs, and an answer that a turn keeps is committed where
 *     it was given.
 *     A question whose turn failed for good was answered so; tried again later, its reply is for nobody.
 * R3. Each hop is made once, and none is missing at the end.
 */

import { HoldfastError, isHoldfastError } from "../../lib/base/errors.js";
import { Address } from "../../lib/model/address.js";
import { type AnyFunctionDefinition, FunctionDefinition } from "../../lib/model/function.js";
import { type AnyNamespaceDefinition, NamespaceDefinition } from "../../lib/model/namespace.js";
import type { CommittedView, FeatureWorld, SimFeature } from "./feature.js";
import { rule } from "./violation.js";

/** A keyed message, a hop, or a path to ask along. */
interface Keyed {
  readonly kind: "keyed";
  readonly key: string;
}
interface Hop {
  readonly kind: "hop";
  readonly name: string;
  readonly left: number;
  readonly of: number;
}
interface Path {
  readonly name: string;
  readonly path: readonly number[];
}

/** A turn that applied a key. */
interface AppliedKey {
  readonly key: string;
  readonly n: number;
  readonly at: number;
}
/** A turn of a path. */
interface AppliedPath {
  readonly name: string;
  readonly n: number;
  /** What it was answered; undefined when it asked nobody or got no answer. */
  readonly answer: { readonly name: string; readonly n: number } | undefined;
}

const askerType = "req/asker";
const dynamicTypes = ["dyn/a", "dyn/b", "dyn/c"];
const askers = ["x", "y", "z", "\u0416", "v"];
const okCodes = new Set(["HF_ASK_CYCLE", "HF_ASK_TIMEOUT", "HF_FUNCTION_FAILED"]);
const wholeDayMs = 24 * 60 * 60 * 1000;

// biome-ignore lint/suspicious/noExplicitAny: functions are made in a loop, without types
type SimContext = any;

export function requestsFeature(world: FeatureWorld): SimFeature {
  const { random } = world;
  const retentionMs = random.below(2) === 0 ? 15 : wholeDayMs;
  const keys: { to: Address<never, unknown>; key: string }[] = [];
  const answers = new Map<string, Set<number>>();
  const patienceMs = random.below(2) === 0 ? 15 : 200;
  const failP = random.below(2) === 0 ? 0.1 : 0.5;
  let names = 0;
  const value = (initial: unknown) => ({ kind: "value" as const, initial, schema: undefined });
  const dynamicAddress = (): Address<never, unknown> =>
    new Address(dynamicTypes[random.below(dynamicTypes.length)], `d${random.below(2)}`);

  async function book(ctx: SimContext, message: Keyed | Hop): Promise<void> {
    world.asynchronous();
    if (random.below(4) === 0) await world.pause();
    bookNow(ctx, message);
    if (random.below(4) === 0) await world.pause();
  }

  function bookNow(ctx: SimContext, message: Keyed | Hop): void {
    const n = ctx.state.count.update((count: number) => count + 1);
    if (message.kind === "keyed") {
      ctx.state.applied.update((all: AppliedKey[]) => [...all, { key: message.key, n, at: world.now() }]);
      ctx.reply({ n });
    } else {
      world.met("hop");
      ctx.state.hops.update((all: Hop[]) => [...all, message]);
      const next = { ...message, left: message.left - 1 };
      if (message.left > 0) {
        if (ctx.caller?.type.startsWith("dyn/") && random.below(2) === 0) ctx.reply(next);
        else ctx.send(dynamicAddress(), next);
      }
    }
    if (world.faulty && random.below(12) === 0) throw new Error("this turn does not like its message");
  }

  /** What became of a question. */
  function heard(error: unknown): void {
    const { code } = error as HoldfastError;
    if (code === "HF_ASK_CYCLE") world.met("cycle refused");
    else if (code === "HF_ASK_TIMEOUT") world.met("question timed out");
    else if (code === "HF_FUNCTION_FAILED") world.met("question failed for good");
  }

  /** A person finds an address in quarantine, maybe with a question that was answered with its failure. */
  function tend(): void {
    const reports = world.command("quarantine.list", []).flat() as { type: string; id: string; message: Path }[];
    const askers = reports.filter(({ type }) => type === askerType);
    const report = askers.find(({ message }) => message.name.includes("/")) ?? askers[0];
    if (report === undefined) return;
    const { type, id, message } = report;
    const skips = random.below(2) === 0;
    if (message.name.includes("/")) world.met(`failed question ${skips ? "skipped" : "tried again"}`);
    world.command(`quarantine.${skips ? "skip" : "retry"}`, [type, id], id);
  }

  async function asker(ctx: SimContext, { name, path }: Path): Promise<void> {
    world.asynchronous();
    let answer: AppliedPath["answer"];
    if (random.below(3) === 0) await world.pause();
    if (path.length > 0) {
      const next = `${name}/${path[0]}`;
      world.met("question asked");
      try {
        const to = new Address(askerType, askers[path[0]]);
        answer = await ctx.ask(to, { name: next, path: path.slice(1) }, { timeoutMs: 3 + random.below(patienceMs) });
        world.met("question answered");
        if (answer?.name !== next) world.broken(`${next} was asked, ${answer?.name} answers`);
      } catch (error) {
        if (isHoldfastError(error, "HF_TURN_ENDED")) throw error; // its time was up while it paused
        heard(error);
        if (!(error instanceof HoldfastError && okCodes.has(error.code)))
          world.broken(`an ask fails with ${String(error)}`);
      }
      world.asynchronous();
    }
    if (world.faulty && random.next() < failP) throw new Error("this turn does not like its answer");
    const n = ctx.state.count.update((count: number) => count + 1);
    ctx.state.applied.update((all: AppliedPath[]) => [...all, { name, n, answer }]);
    if (name.includes("/")) ctx.reply({ name, n });
  }

  const asking = new FunctionDefinition<Path>(askerType, {
    // a turn that waits for one in quarantine gives up its question before it is given up itself, or all end there
    failure: { retry: { maxAttempts: 1 + random.below(3), backoffMs: 2 }, turnTimeoutMs: 4 * patienceMs },
    state: { count: value(0), applied: value([]) },
    receive: asker,
  }) as AnyFunctionDefinition;
  const provide = (type: string) =>
    new FunctionDefinition<Keyed | Hop>(type, {
      state: { count: value(0), applied: value([]), hops: value([]) },
      receive: (ctx, message) => (random.below(3) === 0 ? book(ctx, message) : bookNow(ctx, message)),
    });

  function check(view: CommittedView): void {
    for (const type of dynamicTypes) {
      for (const [, applied] of view.states(type, "applied")) checkKeys(applied as AppliedKey[]);
    }
    const given = new Map<string, number>();
    for (const [id, applied] of view.states(askerType, "applied")) {
      for (const { name, n } of applied as AppliedPath[]) {
        rule(!given.has(name), () => `question ${name} is applied twice, at ${id}`); // R2
        given.set(name, n);
      }
    }
    for (const [, applied] of view.states(askerType, "applied")) {
      for (const { name, answer } of applied as AppliedPath[]) {
        const kept = answer === undefined || given.get(answer.name) === answer.n;
        rule(kept, () => `${name} keeps an answer that was not given`); // R2
      }
    }
  }

  /** R1 */
  function checkKeys(applied: readonly AppliedKey[]): void {
    const last = new Map<string, number>();
    for (const { key, at } of applied) {
      const before = last.get(key);
      const apart = before === undefined || at - before >= retentionMs;
      rule(apart, () => `key ${key} is applied at ${before} and at ${at}`);
      last.set(key, at);
    }
  }

  function ended(view: CommittedView): void {
    const hops = new Map<string, Hop[]>();
    const applied = new Map<string, Set<number>>();
    for (const type of dynamicTypes) {
      for (const [, made] of view.states(type, "hops"))
        for (const hop of made as Hop[]) hops.set(hop.name, [...(hops.get(hop.name) ?? []), hop]);
      for (const [id, all] of view.states(type, "applied")) {
        for (const { key, n } of all as AppliedKey[]) {
          const name = `${type}@${id} ${key}`;
          applied.set(name, (applied.get(name) ?? new Set()).add(n));
        }
      }
    }
    for (const [name, made] of hops) {
      const left = made.map((hop) => hop.left).sort((a, b) => a - b);
      const whole = left.length === made[0].of + 1 && left.every((n, index) => n === index);
      rule(whole, () => `hops of ${name}: ${left.join(",")} of ${made[0].of}`); // R3
    }
    for (const [name, heard] of answers) {
      for (const n of heard)
        rule(applied.get(name)?.has(n) === true, () => `${name} is answered ${n}, which is not applied`);
    }
  }

  function sendKeyed(): void {
    if (keys.length === 0 || random.below(3) === 0) keys.push({ to: dynamicAddress(), key: `k${names++}` });
    else world.met("key repeated");
    world.met("keyed message");
    const { to, key } = keys[random.below(keys.length)];
    const answered = (reply: unknown, failed: boolean): void => {
      if (failed) return; // its address was parked
      world.met("key answered");
      const name = `${to} ${key}`;
      answers.set(name, (answers.get(name) ?? new Set()).add((reply as { n: number }).n));
    };
    const message: Keyed = { kind: "keyed", key };
    world.send(to, message, { extras: { key, retentionMs }, ...(random.below(2) === 0 ? { answered } : {}) });
  }

  function sendHops(send: (to: Address<never, unknown>, message: unknown) => void): void {
    const of = random.below(4);
    send(dynamicAddress(), { kind: "hop", name: `h${names++}`, left: of, of } satisfies Hop);
  }

  function sendPath(send: (to: Address<never, unknown>, message: unknown) => void): void {
    const path = Array.from({ length: 1 + random.below(3) }, () => random.below(askers.length));
    const to = new Address<never, unknown>(askerType, askers[random.below(askers.length)]);
    send(to, { name: `p${names++}`, path } satisfies Path);
  }

  return {
    name: "requests",
    meets: [
      "keyed message",
      "key repeated",
      "key answered",
      "question asked",
      "question answered",
      "cycle refused",
      "question timed out",
      "question failed for good",
      "failed question tried again",
      "failed question skipped",
      "hop",
    ],
    functions: [asking],
    namespaces: [new NamespaceDefinition("dyn", provide as never) as AnyNamespaceDefinition],
    dynamicTypes: dynamicTypes.map((type) => ({ type, states: ["count", "applied", "hops"] })),
    poke: (send) => (random.below(2) === 0 ? sendHops(send) : sendPath(send)),
    act: () => {
      const what = random.below(7);
      if (what >= 4) tend();
      else if (what < 2) sendKeyed();
      else if (what === 2) sendHops((to, message) => world.send(to, message));
      else sendPath((to, message) => world.send(to, message));
    },
    committed: check,
    ended,
  };
}
