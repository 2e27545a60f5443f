/** An application with every kind of thing that is stored: values, tables, lists, timers, egress, messages in flight. */
import { defineApp, defineEgress, defineFunction, list, table, value } from "../../lib/index.js";

export const passed = defineEgress<{ readonly at: string; readonly n: number }>("kinds/passed");

/** Each message goes on to the next thing, for ever. */
export const thing = defineFunction("kinds/thing", {
  state: { count: value(0), text: value(""), seen: table<number, string>(), steps: list<number>() },
  receive(ctx, n: number) {
    const { count, text, seen, steps } = ctx.state;
    count.update((before) => before + 1);
    if (n % 50 === 0) text.set("x".repeat(n % 5_000));
    seen.set(n % 40, `${ctx.self.id} has seen ${n}`);
    if (n % 10 === 0) steps.append(n);
    if (n % 7 === 0) ctx.emit(passed, { at: ctx.self.id, n });
    if (n % 13 === 0) ctx.sendAfter(3_600_000, thing.at(ctx.self.id), n, { token: `t${n % 30}` });
    ctx.send(thing.at(String((Number(ctx.self.id) * 7 + n) % 100)), n + 1);
  },
});

export default defineApp({ functions: [thing], egresses: [passed] });
