/** Function types that a namespace makes, with everything that is kept for an address. */
import { existsSync } from "node:fs";
import {
  type DeadLetter,
  defineApp,
  defineEgress,
  defineFunction,
  defineNamespace,
  every,
  isOperationResult,
  type OperationResult,
  table,
  type,
  value,
} from "../../../lib/index.js";
import { waitAtGate } from "./gate.js";

export const notes = defineEgress<string>("notes/all");

export type Wish =
  | { readonly set: string }
  /** Sends itself `set` after a time. */
  | { readonly after: number; readonly set: string; readonly token?: string }
  | { readonly run: "now" | "gate" }
  /** Fails until the file is there. */
  | { readonly until: string }
  | { readonly cancel: string }
  | DeadLetter
  | "read"
  | OperationResult;

export interface Read {
  readonly entries: readonly (readonly [string, string])[];
  readonly results: readonly string[];
  readonly cancelled: boolean;
}

export const tenants = defineNamespace("tenant/*", (fullType) =>
  defineFunction(fullType, {
    state: { entries: table<string, string>(), results: value<readonly string[]>([]), brief: value("", { ttl: day }) },
    reply: type<Read>(),
    failure: { retry: { maxAttempts: 1 } },
    receive(ctx, message: Wish): void {
      const { entries, results, brief } = ctx.state;
      const read = (cancelled: boolean): Read => ({
        entries: [...entries.entries(), ["brief", brief.get()]],
        results: results.get() as readonly string[],
        cancelled,
      });
      const self = String(ctx.self);
      if (message === "read") ctx.reply(read(false));
      else if ("after" in message) {
        const { token } = message;
        ctx.sendAfter(message.after, ctx.self, { set: message.set }, token === undefined ? undefined : { token });
      } else if ("set" in message) {
        entries.set(message.set, self);
        brief.set(self);
        ctx.emit(notes, `${self} has ${message.set} of ${ctx.caller}`);
      } else if ("run" in message) ctx.run(() => (message.run === "gate" ? waitAtGate(self) : 1));
      else if ("until" in message) {
        if (!existsSync(message.until)) throw new RangeError("not yet");
      } else if ("cancel" in message) ctx.reply(read(ctx.cancel(message.cancel)));
      else if (isOperationResult(message)) {
        results.update((all) => [...all, message.status]);
        ctx.emit(notes, `${self} hears ${message.status}`);
      } else ctx.emit(notes, `${self} has a letter of ${message.address}`);
    },
  }),
);

const day = { ms: 86_400_000, since: "write" } as const;

/** Its messages are dead letters for a tenant. */
export const failing = defineFunction("plain/failing", {
  failure: { retry: { maxAttempts: 1 }, after: { deadLetter: tenants.at("letters", "l") } },
  receive(_ctx, _message: 1) {
    throw new Error("never");
  },
});

export default defineApp({
  functions: [failing],
  namespaces: [tenants],
  egresses: [notes],
  schedules: [every("beat", { intervalMs: 100, to: tenants.at("beaten", "b"), message: { set: "beat" } })],
});
