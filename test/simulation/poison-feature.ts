/**
 * Messages that kill the thread or the process that runs them, every time, as long as the world is faulty.
 *
 * P1. One message kills threads a few times, then it is quarantined and everything else goes on (kept by the world,
 *     which knows of the other ends that came in between).
 * P2. No other message is found guilty, unless it, too, was running when a process ended. A message is its id: a source
 *     that runs again, as what it did was not committed, may send something harmless under the id of what has killed.
 * P3. Nothing is lost and nothing overtakes: in the end every number is applied once, in the order it was sent.
 */
import { HoldfastError } from "../../lib/base/errors.js";
import { Address } from "../../lib/model/address.js";
import { type AnyFunctionDefinition, FunctionDefinition } from "../../lib/model/function.js";
import type { CommittedView, FeatureWorld, SimFeature } from "./feature.js";
import { rule } from "./violation.js";

interface Numbered {
  readonly from: string;
  readonly n: number;
  readonly kills: "worker" | "process" | undefined;
  /** Its turn is asynchronous; then it kills some time later. */
  readonly later: boolean;
}

interface Report {
  readonly type: string;
  readonly id: string;
  readonly error: { readonly code?: string; readonly message: string };
  readonly message: unknown;
}

const sourceType = "poison/source";
const targetType = "poison/target";
const sources = ["p0", "p1"];
const targets = ["t0", "t1", "t2", "t3"];
const poisonMax = 3;

function nameOf(from: string, to: string, n: number): string {
  return `${from} → ${to} #${n}`;
}

// biome-ignore lint/suspicious/noExplicitAny: functions are made without types
type AnyContext = any;

export function poisonFeature(world: FeatureWorld): SimFeature {
  const { random } = world;
  const value = (initial: unknown) => ({ kind: "value" as const, initial, schema: undefined });
  const kills = random.below(3) === 0 ? "process" : "worker";
  const later = random.below(2) === 0;
  let poison = poisonMax;
  /** Messages that have killed, by sender, address and number (P2). */
  const killers = new Set<string>();

  function die(how: "worker" | "process", id: string, name: string): void {
    killers.add(name);
    world.die(how, id, name);
  }

  function emit(ctx: AnyContext): void {
    for (let count = random.below(4); count > 0; count--) {
      const to = targets[random.below(targets.length)];
      const n = (ctx.state.sent.get()[to] ?? 0) + 1;
      ctx.state.sent.update((sent: Record<string, number>) => ({ ...sent, [to]: n }));
      const bad = world.faulty && poison > 0 && random.below(8) === 0;
      if (bad) poison--;
      const message: Numbered = { from: ctx.self.id, n, kills: bad ? kills : undefined, later: later && n % 2 === 0 };
      ctx.send(new Address(targetType, to), message);
    }
  }

  function take(ctx: AnyContext, message: Numbered): undefined | Promise<void> {
    const { from, n, kills: how } = message;
    const numbers: number[] = ctx.state.applied.get()[from] ?? [];
    ctx.state.applied.update((applied: Record<string, number[]>) => ({ ...applied, [from]: [...numbers, n] }));
    const name = nameOf(from, ctx.self.id, n);
    if (message.later) return takeLater(ctx.self.id, ctx.signal, name, how);
    if (how === undefined || !world.faulty) return undefined;
    world.met(how === "worker" ? "a killed thread" : "a killed process");
    die(how, ctx.self.id, name);
    throw new HoldfastError("HF_IO", "a thread that has died"); // takes the shard down
  }

  /** A turn that was given up kills nobody: what is left of it cannot be told from anything else that runs by then. */
  async function takeLater(id: string, given: AbortSignal, name: string, how: Numbered["kills"]): Promise<void> {
    world.asynchronous();
    await world.pause();
    if (how === undefined || !world.faulty || given.aborted) return;
    world.met("a late death");
    die(how, id, name);
    await new Promise(() => {});
  }

  /** P2 */
  function judge(): void {
    const reports = world.command("quarantine.list", []).flat() as (Report | undefined)[];
    for (const report of reports) {
      if (report?.error.code === "HF_KILLS_WORKER") world.met("a message found guilty");
      if (report?.error.code !== "HF_KILLS_WORKER" || report.error.message.includes("the process ended")) continue;
      const { from, n } = report.message as Numbered;
      const guilty = report.type === targetType && killers.has(nameOf(from, report.id, n));
      rule(guilty, () => `P2: ${report.type}@${report.id} is quarantined for ${JSON.stringify(report.message)}`);
    }
  }

  /** P3 */
  function check(view: CommittedView, atEnd: boolean): void {
    const sent = new Map<string, number>();
    for (const [from, counts] of view.states(sourceType, "sent"))
      for (const [to, count] of Object.entries(counts as Record<string, number>)) sent.set(`${from} ${to}`, count);
    for (const [to, applied] of view.states(targetType, "applied")) {
      for (const [from, numbers] of Object.entries(applied as Record<string, number[]>)) {
        const count = sent.get(`${from} ${to}`) ?? 0;
        const inOrder = numbers.every((n, index) => n === index + 1) && numbers.length <= count;
        rule(inOrder, () => `P3: ${to} has ${numbers} of ${count} from ${from}`);
        if (numbers.length === count) sent.delete(`${from} ${to}`);
      }
    }
    if (atEnd) for (const [pair, count] of sent) rule(false, () => `P3: not all ${count} of ${pair} have arrived`);
  }

  return {
    name: "poison",
    meets: ["a killed thread", "a killed process", "a late death", "a message found guilty"],
    functions: [
      new FunctionDefinition(sourceType, { state: { sent: value({}) }, receive: emit }),
      new FunctionDefinition<Numbered>(targetType, { state: { applied: value({}) }, receive: take }),
    ] as AnyFunctionDefinition[],
    poke: (send) => send(new Address(sourceType, sources[random.below(sources.length)]), "go"),
    act: () => {
      judge();
      world.send(new Address(sourceType, sources[random.below(sources.length)]), "go");
    },
    mend: judge,
    committed: (view) => check(view, false),
    ended: (view) => check(view, true),
  };
}
