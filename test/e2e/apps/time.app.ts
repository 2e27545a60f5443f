/** Functions that send themselves and others delayed messages, and schedules. */
import { type AnyAddress, cron, defineApp, defineEgress, defineFunction, every, type } from "../../../lib/index.js";
import { waitAtGate } from "./gate.js";

interface Order {
  readonly delayMs: number;
  readonly text: string;
  readonly to?: string;
  readonly token?: string;
}

type Request =
  | { readonly send: readonly Order[] }
  | { readonly sendAt: Date; readonly text: string }
  | { readonly cancel: string; readonly after?: "wait" }
  | { readonly bad: "negative" | "NaN" | "far" | "date" | "token" | "long token" | "function" };

export interface Arrival {
  readonly box: string;
  readonly text: string;
  readonly at: number;
  readonly from: string | undefined;
  readonly id: string;
}

/** One record per message in a box. */
export const arrivals = defineEgress<Arrival>("time/arrivals");

/** Tells what arrives, with when and from whom. */
export const box = defineFunction("time/box", {
  receive(ctx, message: { readonly text: string }) {
    const from = ctx.caller?.toString();
    ctx.emit(arrivals, { box: ctx.self.id, text: message.text, at: Date.now(), from, id: ctx.messageId });
  },
});

/** Does what it is told; says what `cancel` said. */
export const desk = defineFunction("time/desk", {
  reply: type<boolean | string>(),
  receive(ctx, request: Request): void | Promise<void> {
    if ("send" in request) {
      for (const { delayMs, text, to = "box", token } of request.send)
        ctx.sendAfter(delayMs, box.at(to), { text }, token === undefined ? {} : { token });
      ctx.reply(true);
    } else if ("sendAt" in request) {
      ctx.sendAt(request.sendAt, box.at("box"), { text: request.text });
      ctx.reply(true);
    } else if ("cancel" in request) {
      const cancelled = ctx.cancel(request.cancel);
      if (request.after === "wait") return waitAtGate(ctx.self.id).then(() => ctx.reply(cancelled));
      ctx.reply(cancelled);
    } else ctx.reply(wrong(request.bad, ctx as never));
  },
});

function wrong(
  what: string,
  ctx: { sendAfter: (...args: unknown[]) => void; sendAt: (...args: unknown[]) => void },
): string {
  const to = box.at("box");
  try {
    if (what === "negative") ctx.sendAfter(-1, to, { text: "" });
    else if (what === "NaN") ctx.sendAfter(Number.NaN, to, { text: "" });
    else if (what === "far") ctx.sendAfter(1e17, to, { text: "" });
    else if (what === "date") ctx.sendAt(new Date("nothing"), to, { text: "" });
    else if (what === "token") ctx.sendAfter(1, to, { text: "" }, { token: 3 });
    else if (what === "long token") ctx.sendAfter(1, to, { text: "" }, { token: "x".repeat(2 ** 20) });
    else if (what === "function") ctx.sendAfter(1, { type: "no/such", id: "x" } as AnyAddress, { text: "" });
  } catch (error) {
    return `${(error as { code: string }).code} ${(error as { address: string }).address}`;
  }
  return "nothing was thrown";
}

export default defineApp({
  name: "time",
  functions: [box, desk],
  egresses: [arrivals],
  schedules: [
    every("fast", { intervalMs: 20, to: box.at("fast"), message: { text: "tick" } }),
    cron("new year", {
      expression: "0 0 1 1 *",
      timeZone: "Europe/Berlin",
      to: box.at("year"),
      message: { text: "boom" },
    }),
  ],
});
