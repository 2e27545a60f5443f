/** Small functions that each show one thing of the gateway. */
import { crc32 } from "node:zlib";
import { defineApp, defineEgress, defineFunction, type, value } from "../../../lib/index.js";
import { waitAtGate } from "./gate.js";

export const lines = defineEgress<{ readonly from: string; readonly line: number }>("desk/lines");
/** Defined, but not part of the application. */
export const unknownEgress = defineEgress<number>("desk/unknown");
export const stranger = defineFunction("desk/stranger", { receive() {} });

/** Keeps what it gets, in order. */
export const journal = defineFunction("desk/journal", {
  state: { lines: value<number[]>([]) },
  reply: type<readonly number[]>(),
  receive(ctx, message: { readonly line: number } | "read") {
    if (message === "read") ctx.reply(ctx.state.lines.get());
    else ctx.state.lines.update((lines) => [...lines, message.line]);
  },
});

/** Counts and announces each count. */
export const speaker = defineFunction("desk/speaker", {
  state: { said: value(0) },
  receive(ctx, message: { readonly times: number }) {
    for (let time = 0; time < message.times; time++) {
      ctx.emit(lines, { from: ctx.self.id, line: ctx.state.said.update((n) => n + 1) });
    }
  },
});

/** Says back what it is told, over another address. */
export const echo = defineFunction("desk/echo", {
  reply: type<unknown>(),
  receive(ctx, message: { readonly value: unknown }) {
    ctx.reply(message.value);
  },
});

/** Passes bytes on to another address and remembers how many arrived. */
export const parcel = defineFunction("desk/parcel", {
  state: { bytes: value(0), crc: value(0) },
  reply: type<{ readonly bytes: number; readonly crc: number }>(),
  receive(ctx, message: { readonly to?: string; readonly bytes: Uint8Array } | "read") {
    if (message === "read") ctx.reply({ bytes: ctx.state.bytes.get(), crc: ctx.state.crc.get() });
    else if (message.to !== undefined) ctx.send(parcel.at(message.to), { bytes: message.bytes });
    else {
      ctx.state.bytes.set(message.bytes.length);
      ctx.state.crc.set(crc32(message.bytes));
    }
  },
});

/** Does what is not allowed. */
export const offender = defineFunction("desk/offender", {
  state: { anything: value<unknown>() },
  reply: type<string>(),
  receive(
    ctx,
    offence:
      | "throws"
      | "strange state"
      | "strange message"
      | "unknown egress"
      | "unknown function"
      | "reply to nobody"
      | "silence"
      | "long id",
  ) {
    const strange = (() => {}) as unknown;
    if (offence === "throws") throw new TypeError("thrown on purpose");
    if (offence === "strange state") ctx.state.anything.set({ deep: [strange] });
    if (offence === "strange message") ctx.send(echo.at("x"), { value: strange });
    if (offence === "unknown egress") ctx.emit(unknownEgress, 1);
    if (offence === "unknown function") ctx.send(stranger.at("x"), undefined);
    if (offence === "reply to nobody") ctx.reply("anybody?");
    if (offence === "long id") ctx.send({ type: "desk/echo", id: "x".repeat(2_000) } as never, { value: 1 } as never);
  },
});

/** Waits until the test lets it go on. */
export const patient = defineFunction("desk/patient", {
  state: { done: value(0) },
  reply: type<number>(),
  async receive(ctx, message: "wait" | "read") {
    if (message === "wait") {
      await waitAtGate(ctx.self.id);
      ctx.state.done.update((n) => n + 1);
    } else ctx.reply(ctx.state.done.get());
  },
});

export default defineApp({
  name: "desk",
  functions: [journal, speaker, echo, parcel, offender, patient],
  egresses: [lines],
});
