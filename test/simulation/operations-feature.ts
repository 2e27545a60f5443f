/**
 * Operations in simulated worlds: functions that start some in each turn, which end well, badly, late or never.
 *
 * Y1. Every operation of a committed turn has exactly one outcome in the end; until then it has a row, or its result is
 *     in flight: started = rows + results in flight + outcomes, at every commit and recovery.
 * Y2. An outcome carries the metadata and the value of its operation, and says what can be true of it.
 * Y3. An address never has more operations pending than its function allows and one turn starts on top.
 */
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { Address } from "../../lib/model/address.js";
import { FunctionDefinition } from "../../lib/model/function.js";
import { type AnyNamespaceDefinition, NamespaceDefinition } from "../../lib/model/namespace.js";
import { isOperationResult, type OperationResult, type OperationScope } from "../../lib/model/operation.js";
import { Task } from "../../lib/model/task.js";
import { hashName32 } from "../../lib/partition/hash.js";
import { rowTable } from "../../lib/store/row-key.js";
import { type CommittedRow, type CommittedView, type FeatureWorld, onceEach, type SimFeature } from "./feature.js";
import { rule } from "./violation.js";

const typeName = "operations/worker";
/** With those that a namespace makes; the 32-bit codes of these are equal. */
const types = [typeName, "operationsdyn/5pvu", "operationsdyn/c3ea"];
const typeCode = hashName32(typeName);
const limit = 3;
const perTurnMax = 3;
const kinds = ["well", "badly", "at once", "throws at once", "never", "odd value", "task", "bad task"] as const;
type Kind = (typeof kinds)[number];

const echo = new Task<unknown, unknown>("file:///sim.js", "echo");
const thrower = new Task<unknown, unknown>("file:///sim.js", "throw");

interface Metadata {
  readonly at: string;
  readonly n: number;
  readonly kind: Kind;
  readonly stamp: Date;
}
type Result = OperationResult<number, Metadata>;
type SimMessage = { readonly kind: "go"; readonly count: number } | Result;

// biome-ignore lint/suspicious/noExplicitAny: the functions of the simulator are made without types
type SimContext = any;

/** What may be said of each kind when its thread lives on and it was in time. */
const expected: { readonly [K in Kind]: string } = {
  well: "success",
  badly: "out of luck",
  "at once": "success",
  "throws at once": "at once",
  never: "HF_OPERATION_TIMEOUT",
  "odd value": "HF_BAD_VALUE",
  task: "success",
  "bad task": "this task does not like its input",
};

export function operationsFeature(world: FeatureWorld): SimFeature {
  const { random } = world;
  const codec = new PayloadCodec();
  const value = (initial: unknown) => ({ kind: "value" as const, initial, schema: undefined });

  async function operation(kind: Kind, n: number, { signal }: OperationScope): Promise<unknown> {
    world.asynchronous();
    for (let pauses = random.below(3); pauses > 0; pauses--) await world.pause();
    if (kind === "never") await new Promise(() => {});
    if (signal.aborted && random.below(2) === 0) throw signal.reason;
    if (kind === "badly") throw Object.assign(new TypeError("out of luck"), { code: "E_LUCK" });
    return kind === "odd value" ? () => n : n;
  }

  function start(ctx: SimContext): void {
    const n = ctx.state.started.update((before: number) => before + 1);
    const kind = kinds[random.below(kinds.length)];
    const metadata: Metadata = { at: String(ctx.self), n, kind, stamp: new Date(n) };
    const timeoutMs = 10 + random.below(100);
    if (kind === "task" || kind === "bad task") {
      ctx.offload(kind === "task" ? echo : thrower, n, { metadata, timeoutMs });
      return;
    }
    const run = (scope: OperationScope): unknown => {
      if (kind === "throws at once") throw new Error("at once");
      if (kind !== "at once") return operation(kind, n, scope);
      world.asynchronous();
      return n;
    };
    ctx.run(run, metadata, { timeoutMs });
  }

  /** Y2 */
  function check(ctx: SimContext, { status, value: ended, error, metadata: { at, n, kind, stamp } }: Result): void {
    const what = `the outcome of operation ${n} of ${ctx.self.id}`;
    if (at !== String(ctx.self) || stamp.getTime() !== n) world.broken(`${what} is for ${at}`);
    if (n > ctx.state.started.get()) world.broken(`${what} is of no operation`);
    if (status === "success" && ended !== n) world.broken(`${what} is ${ended}`);
    const said = status === "failure" ? (error.code?.startsWith("HF_") ? error.code : error.message) : status;
    const sound = [expected[kind], "HF_OPERATION_TIMEOUT", "unknown"];
    world.met(said === "HF_OPERATION_TIMEOUT" ? "timeout" : status);
    if (kind === "task" && status === "success") world.met("offloaded");
    if (!sound.includes(said)) world.broken(`${what} (${kind}) is ${said}`);
    if (ctx.caller !== undefined) world.broken(`${what} has a caller`);
  }

  function receive(ctx: SimContext, message: SimMessage): void {
    if (isOperationResult(message)) {
      check(ctx, message);
      const { n } = message.metadata;
      const outcomes = ctx.state.outcomes.get();
      if (outcomes[n] !== undefined) world.broken(`operation ${n} of ${ctx.self.id} ends twice`); // Y1
      ctx.state.outcomes.set({ ...outcomes, [n]: message.status });
      if (world.faulty && random.below(4) === 0) start(ctx);
    } else for (let count = message.count; count > 0; count--) start(ctx);
    if (world.faulty && random.below(8) === 0) throw new Error("this turn starts nothing after all");
  }

  async function slowly(ctx: SimContext, message: SimMessage): Promise<void> {
    world.asynchronous();
    await world.pause();
    receive(ctx, message);
  }

  const worker = (type: string) =>
    new FunctionDefinition<SimMessage>(type, {
      state: { started: value(0), outcomes: value({}) },
      pendingOperations: limit,
      receive: (ctx, message) => (world.faulty && random.below(4) === 0 ? slowly(ctx, message) : receive(ctx, message)),
    });

  function count(counts: Map<string, number>, id: string): void {
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }

  const addressOf = onceEach(({ value: bytes }: CommittedRow) => {
    const [code, id, metadata, made] = codec.decode(bytes) as [number, string, Metadata, string?];
    const type = made ?? (code === typeCode ? typeName : "");
    if (!types.includes(type)) return undefined; // another feature's
    const address = `${type}@${id}`;
    rule(metadata.at === address, () => `the row of an operation of ${address} has the metadata of ${metadata.at}`);
    return address;
  });

  function pendingOf(view: CommittedView): Map<string, number> {
    const rows = new Map<string, number>();
    for (const row of view.rows(rowTable.OPERATION)) {
      const address = addressOf(row);
      if (address !== undefined) count(rows, address);
    }
    return rows;
  }

  function committed(view: CommittedView): void {
    const rows = pendingOf(view);
    for (const [id, pending] of rows) {
      rule(pending < limit + perTurnMax, () => `${id} has ${pending} operations pending`); // Y3
      if (pending >= limit) world.met("at the limit");
    }
    const results = new Map<string, number>();
    for (const type of types)
      for (const { id, payload } of view.inFlight(type))
        if (isOperationResult(payload)) count(results, `${type}@${id}`);
    const ids = new Set([...rows.keys(), ...results.keys()]);
    for (const type of types) for (const [id] of view.states(type, "started")) ids.add(`${type}@${id}`);
    for (const id of ids) {
      const [type, ownId] = id.split("@");
      const started = (view.state(type, "started", ownId) as number | undefined) ?? 0;
      const ended = Object.keys((view.state(type, "outcomes", ownId) as object | undefined) ?? {}).length;
      const parts = `${rows.get(id) ?? 0} rows, ${results.get(id) ?? 0} results in flight, ${ended} outcomes`;
      rule(
        started === (rows.get(id) ?? 0) + (results.get(id) ?? 0) + ended,
        () => `${id} has started ${started} operations at epoch ${view.epoch}: ${parts}`, // Y1
      );
    }
  }

  return {
    name: "operations",
    meets: ["success", "failure", "unknown", "timeout", "offloaded", "at the limit"],
    functions: [worker(typeName) as never],
    namespaces: [new NamespaceDefinition("operationsdyn", worker as never) as AnyNamespaceDefinition],
    dynamicTypes: types.slice(1).map((type) => ({ type, states: ["started", "outcomes"] })),
    poke: (send) => {
      const to = new Address<never, unknown>(types[random.below(types.length)], `w${random.below(3)}`);
      send(to, { kind: "go", count: 1 + random.below(perTurnMax) });
    },
    committed,
    unfinished: (view) => (pendingOf(view).size > 0 ? "operations are pending" : undefined),
    ended(view) {
      for (const type of types) {
        for (const [id, started] of view.states(type, "started")) {
          const ended = Object.keys(view.state(type, "outcomes", id) as object);
          rule(ended.length === started, () => `${type}@${id} has ${ended.length} outcomes of ${started} operations`);
        }
      }
    },
  };
}
