/** Operations in the killed application: one for each credited transfer, some on the pool's threads. */
import { setTimeout as pause } from "node:timers/promises";
import { type Application, defineFunction, defineTask, type OperationResult, type, value } from "../../lib/index.js";
import type { ChaosFeature } from "./feature.js";

/** Transfers whose operations belong to one address. */
const perAddress = 16;

const twice = defineTask<typeof import("./operations-task.js").twice>(
  new URL("./operations-task.js", import.meta.url),
  "twice",
);

interface Outcomes {
  readonly [id: number]: readonly string[];
}
type Message =
  | { readonly kind: "begin"; readonly id: number }
  | "read"
  | OperationResult<number, { readonly id: number }>;

const worker = defineFunction("chaos/operations", {
  state: { outcomes: value<Outcomes>({}) },
  reply: type<Outcomes>(),
  pendingOperations: 4,
  receive(ctx, message: Message) {
    if (message === "read") ctx.reply(ctx.state.outcomes.get() as Outcomes);
    else if (message.kind === "operation") {
      const { status, metadata, value: ended } = message;
      const said = status === "success" && ended !== 2 * metadata.id ? `success with ${ended}` : status;
      ctx.state.outcomes.update((before) => ({
        ...before,
        [metadata.id]: [...(before[metadata.id] ?? []), said],
      }));
    } else {
      const { id } = message;
      if (id % 50 === 0) ctx.offload(twice, id, { metadata: { id } });
      else ctx.run(() => work(id), { id });
    }
  },
});

async function work(id: number): Promise<number> {
  if (id % 3 > 0) await pause(id % 30);
  if (id % 7 === 0) throw new Error("this one fails");
  return 2 * id;
}

export const operationsFeature: ChaosFeature = {
  name: "operations",
  functions: [worker],
  poke: (send, id) => send(worker.at(String(Math.floor(id / perAddress))), { kind: "begin", id }),
  async audit(app: Application, ids) {
    await app.drained();
    const wrong: string[] = [];
    for (let first = 0; first < ids; first += perAddress) {
      const outcomes = await app.ask(worker.at(String(first / perAddress)), "read");
      for (let id = first; id < Math.min(ids, first + perAddress); id++) {
        const [outcome, ...more] = outcomes[id] ?? [];
        const failing = id % 50 !== 0 && id % 7 === 0;
        if (more.length > 0 || ![failing ? "failure" : "success", "unknown"].includes(outcome))
          wrong.push(`operation ${id} ended with ${JSON.stringify(outcomes[id])}`);
      }
    }
    return wrong;
  },
};
