/**
 * Failure policies in a simulated world. Sources send numbered messages to functions of every policy, which throw at
 * random, and always at poison; commands retry, skip, purge and cancel.
 *
 * F1. Every number that a source has sent is in exactly one place: applied, in flight, a dead letter (in flight, taken by
 *     its function, or out of the egress), or removed by a command that somebody gave.
 * F2. Between two addresses numbers are applied in their order, whatever was retried, quarantined or removed.
 * F3. A quarantined address has the message that failed in flight.
 * F4. A dead letter leaves once, for a message that was never applied.
 */
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { Address } from "../../lib/model/address.js";
import { EgressDefinition } from "../../lib/model/egress.js";
import type { DeadLetter, FailurePolicy } from "../../lib/model/failure.js";
import { type AnyFunctionDefinition, FunctionDefinition } from "../../lib/model/function.js";
import { type AnyNamespaceDefinition, NamespaceDefinition } from "../../lib/model/namespace.js";
import { decodeInflightKey, type InflightId, idOf, rowTable } from "../../lib/store/row-key.js";
import type { CommittedView, FeatureWorld, SimFeature } from "./feature.js";
import { rule } from "./violation.js";

interface Numbered {
  readonly from: string;
  readonly n: number;
  /** It fails in every attempt. */
  readonly poison: boolean;
}

interface Report {
  readonly type: string;
  readonly id: string;
}

const sourceType = "fail/source";
const lettersType = "fail/letters";
const deadName = "fail/dead";
const sources = ["s0", "s1"];
const targets = ["t0", "t1"];
/** A function type per policy. */
const waitsType = "fail/waits";
const lettersOfType = "fail/writes";
const recordsType = "fail/records";
const stopsType = "fail/stops";
/** A namespace makes them; their 32-bit codes are equal. */
const madeTypes = ["failuresdyn/20ya8", "failuresdyn/2xki6"];
const targetTypes = [waitsType, lettersOfType, recordsType, stopsType, ...madeTypes];

// biome-ignore lint/suspicious/noExplicitAny: these functions are made in a loop, without types
type AnyContext = any;

export class FailuresFeature implements SimFeature {
  readonly name = "failures";
  readonly meets = [
    "quarantined",
    "retried",
    "skipped",
    "purged",
    "turn cancelled",
    "gave up in time",
    "letter taken",
    "letter left",
    "application to be stopped",
  ] as const;
  readonly functions: readonly AnyFunctionDefinition[];
  readonly namespaces: readonly AnyNamespaceDefinition[];
  readonly dynamicTypes = madeTypes.map((type) => ({ type, states: ["applied"] }));
  readonly egresses: readonly EgressDefinition<never>[];
  readonly #world: FeatureWorld;
  readonly #codec = new PayloadCodec();
  readonly #dead = new EgressDefinition<DeadLetter>(deadName, undefined);
  /** Messages that some command may have removed. */
  readonly #removed = new Set<string>();
  /** How often turns fail where that stops the application. */
  readonly #stopP: number;
  readonly #quarantined = new Set<string>();
  /** Dead letters that left, with their epoch. */
  readonly #left = new Map<string, number>();

  constructor(world: FeatureWorld) {
    this.#world = world;
    this.egresses = [this.#dead as never];
    const { random } = world;
    this.#stopP = random.below(2) === 0 ? 0.1 : 0.6;
    const retry = { maxAttempts: 1 + random.below(3), backoffMs: random.below(4), jitter: random.next() };
    const letters = new FunctionDefinition<DeadLetter>(lettersType, {
      state: { taken: value([]) },
      receive: (ctx, letter) => this.#takeLetter(ctx, letter),
    });
    const policies: [string, FailurePolicy][] = [
      [waitsType, { retry, turnTimeoutMs: 10 + random.below(50) }],
      [lettersOfType, { retry, after: { deadLetter: letters.at("l") } }],
      [recordsType, { after: { deadLetter: this.#dead }, nonRetryable: (error) => String(error).includes("poison") }],
      [stopsType, { retry: { maxAttempts: 2, backoffMs: 1 }, after: "fail" }],
    ];
    const made = (type: string) => this.#target(type, { retry });
    this.namespaces = [new NamespaceDefinition("failuresdyn", made as never) as AnyNamespaceDefinition];
    this.functions = [
      new FunctionDefinition(sourceType, {
        state: { sent: value({}) },
        receive: (ctx: AnyContext) => this.#emitNumbers(ctx),
      }),
      letters,
      ...policies.map(([type, failure]) => this.#target(type, failure)),
    ] as AnyFunctionDefinition[];
  }

  poke(send: Parameters<NonNullable<SimFeature["poke"]>>[0]): void {
    const id = sources[this.#world.random.below(sources.length)];
    send((this.functions[0] as AnyFunctionDefinition).at(id) as never, "go");
  }

  /** A person with the quarantine's commands. */
  act(): void {
    const { random } = this.#world;
    if (random.below(4) === 0) {
      const cancelled = targetTypes.some((type) =>
        targets.some((id) => this.#world.command("turn.cancel", [type, id], id)[0] === true),
      );
      if (cancelled) this.#world.met("turn cancelled");
      return;
    }
    const reports = this.#reports();
    if (reports.length === 0) return;
    const { type, id } = reports[random.below(reports.length)];
    if (!targetTypes.includes(type)) return; // another feature's
    if (random.below(3) === 0) {
      this.#world.command("quarantine.retry", [type, id], id);
      this.#world.met("retried");
    } else this.#remove(type, id);
  }

  mend(): void {
    for (const { type, id } of this.#reports()) {
      const [failing] = this.#messages(type, id);
      if (targetTypes.includes(type) && failing.poison) this.#remove(type, id);
    }
  }

  left(_: string, record: unknown, epoch: number): void {
    const letter = record as DeadLetter;
    const name = nameOf(letter.address, letter.message as Numbered);
    const before = this.#left.get(name);
    rule(
      before === undefined || before === epoch,
      () => `F4: the dead letter of ${name} leaves in ${before} and ${epoch}`,
    );
    this.#left.set(name, epoch);
    this.#world.met("letter left");
  }

  committed(view: CommittedView): void {
    this.#places(view, false);
    this.#kept(view);
  }

  ended(view: CommittedView): void {
    this.#places(view, true);
  }

  /** F3 */
  #kept(view: CommittedView): void {
    const nameOfRow = ({ generation, sender, sequence }: InflightId): string => `${generation} ${sender} ${sequence}`;
    const present = new Set<string>();
    let flying: Set<string> | undefined;
    for (const { key, value: bytes } of view.rows(rowTable.QUARANTINE)) {
      flying ??= new Set([...view.rows(rowTable.INFLIGHT)].map((row) => nameOfRow(decodeInflightKey(row.key))));
      const failing = nameOfRow(this.#codec.decode(bytes) as InflightId);
      present.add(failing);
      if (!this.#quarantined.has(failing)) this.#world.met("quarantined");
      rule(flying.has(failing), () => `F3: ${idOf(key)} is quarantined without the message that failed`);
    }
    this.#quarantined.clear();
    for (const failing of present) this.#quarantined.add(failing);
  }

  // --- rules --------------------------------------------------------------------------------------------------------

  /** F1, F4. A record of a commit may leave later, so that those that are missing are only counted at the end. */
  #places(view: CommittedView, atEnd: boolean): void {
    const places = new Map<string, string>();
    const put = (name: string, place: string): void => {
      const other = places.get(name);
      rule(other === undefined, () => `F1: ${name} is ${other} and ${place}`);
      places.set(name, place);
    };
    for (const type of targetTypes) {
      for (const [id, applied] of view.states(type, "applied")) {
        for (const [from, numbers] of Object.entries(applied as Record<string, number[]>))
          for (const n of numbers) put(nameOf(`${type}@${id}`, { from, n }), "applied");
      }
      for (const { id, payload } of view.inFlight(type)) put(nameOf(`${type}@${id}`, payload as Numbered), "in flight");
    }
    for (const { payload } of view.inFlight(lettersType)) put(letterName(payload as DeadLetter), "a letter in flight");
    for (const [, taken] of view.states(lettersType, "taken"))
      for (const name of taken as string[]) put(name, "a letter taken");
    for (const [name, epoch] of this.#left) if (epoch <= view.epoch) put(name, "a letter in the egress");
    for (const [from, sent] of view.states(sourceType, "sent")) {
      for (const [to, count] of Object.entries(sent as Record<string, number>)) {
        for (let n = 1; n <= count; n++) {
          const name = nameOf(to, { from, n });
          if (places.delete(name) || this.#removed.has(name)) continue;
          rule(!atEnd && to.startsWith(recordsType), () => `F1: ${name} was sent and is nowhere`);
        }
      }
    }
    for (const [name, place] of places) rule(false, () => `F1: ${name} is ${place} and was never sent`);
  }

  // --- functions ----------------------------------------------------------------------------------------------------

  #emitNumbers(ctx: AnyContext): void {
    const { random } = this.#world;
    for (let count = random.below(3); count > 0; count--) {
      const type = targetTypes[random.below(targetTypes.length)];
      const to = new Address(type, targets[random.below(targets.length)]);
      const n = (ctx.state.sent.get()[String(to)] ?? 0) + 1;
      ctx.state.sent.update((sent: Record<string, number>) => ({ ...sent, [String(to)]: n }));
      const poison = type !== stopsType && random.below(6) === 0;
      ctx.send(to, { from: ctx.self.id, n, poison } satisfies Numbered);
    }
  }

  #target(type: string, failure: FailurePolicy): AnyFunctionDefinition {
    return new FunctionDefinition<Numbered>(type, {
      failure,
      state: { applied: value({}) },
      receive: (ctx, message) => {
        if (this.#world.faulty && this.#world.random.below(3) === 0) return this.#later(ctx, message, type);
        this.#apply(ctx, message, type);
        return undefined;
      },
    }) as AnyFunctionDefinition;
  }

  async #later(ctx: AnyContext, message: Numbered, type: string): Promise<void> {
    this.#world.asynchronous();
    const { signal } = ctx;
    await this.#world.pause();
    if (signal.aborted) this.#world.met("gave up in time");
    else this.#apply(ctx, message, type);
  }

  #apply(ctx: AnyContext, { from, n, poison }: Numbered, type: string): void {
    const { random, faulty } = this.#world;
    const numbers: number[] = ctx.state.applied.get()[from] ?? [];
    const last = numbers.at(-1) ?? 0;
    if (n <= last) this.#world.broken(`F2: ${ctx.self} takes ${n} of ${from} after ${last}`);
    ctx.state.applied.update((applied: Record<string, number[]>) => ({ ...applied, [from]: [...numbers, n] }));
    if (poison) throw new Error("poison");
    if (!faulty || random.next() >= (type === stopsType ? this.#stopP : 0.25)) return;
    if (type === stopsType) this.#world.met("application to be stopped");
    throw new Error("not this time");
  }

  #takeLetter(ctx: AnyContext, letter: DeadLetter): void {
    this.#world.met("letter taken");
    if (letter.attempts < 1 || letter.error.message === "") this.#world.broken("F4: a letter says what happened");
    ctx.state.taken.update((taken: string[]) => [...taken, letterName(letter)]);
  }

  // --- commands -----------------------------------------------------------------------------------------------------

  #reports(): Report[] {
    return this.#world.command("quarantine.list", []).flatMap((found) => (found as Report[] | undefined) ?? []);
  }

  #messages(type: string, id: string): Numbered[] {
    return this.#world
      .command("quarantine.messages", [type, id], id)
      .flatMap((found) => (found as Numbered[] | undefined) ?? []);
  }

  #remove(type: string, id: string): void {
    const messages = this.#messages(type, id);
    const skips = this.#world.random.below(2) === 0;
    for (const message of skips ? messages.slice(0, 1) : messages) this.#removed.add(nameOf(`${type}@${id}`, message));
    this.#world.command(skips ? "quarantine.skip" : "quarantine.purge", [type, id], id);
    this.#world.met(skips ? "skipped" : "purged");
  }
}

function value(initial: unknown): { kind: "value"; initial: unknown; schema: undefined } {
  return { kind: "value", initial, schema: undefined };
}

function nameOf(to: string, { from, n }: Pick<Numbered, "from" | "n">): string {
  return `${from} → ${to} #${n}`;
}

function letterName({ address, message }: DeadLetter): string {
  return nameOf(address, message as Numbered);
}

export const makeFailures = (world: FeatureWorld): SimFeature => new FailuresFeature(world);
