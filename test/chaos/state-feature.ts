/** Each transfer is put on a shelf: an entry of a table, an item of a list, an entry that expires, or it clears the shelf. */
import { defineFunction, list, table, type, value } from "holdfast";
import type { ChaosFeature } from "./feature.js";

const shelves = 5;

interface Shelf {
  readonly count: number;
  readonly sum: number;
  readonly faults: readonly string[];
}

const shelf = defineFunction("chaos/shelf", {
  state: {
    count: value(0),
    sum: value(0),
    entries: table<number, number>(),
    brief: table<number, number>({ ttl: { ms: 50 } }),
    items: list<number>(),
  },
  reply: type<Shelf>(),
  receive(ctx, message: { id: number } | "read") {
    const { count, sum, entries, brief, items } = ctx.state;
    if (message !== "read") {
      count.update((n) => n + 1);
      sum.update((n) => n + message.id);
      entries.set(message.id, message.id);
      brief.set(message.id, message.id);
      items.append(message.id);
      return;
    }
    const [kept, listed] = [[...entries.keys()], [...items.view()].sort((a, b) => a - b)];
    const faults: string[] = [];
    if (kept.join() !== listed.join()) faults.push(`${ctx.self}: the table has ${kept}, the list ${listed}`);
    if (entries.size !== kept.length || items.length !== listed.length) faults.push(`${ctx.self}: miscounted`);
    if (kept.length !== count.get()) faults.push(`${ctx.self}: ${kept.length} entries of ${count.get()}`);
    if (brief.size > count.get()) faults.push(`${ctx.self}: ${brief.size} entries that expire`);
    ctx.reply({ count: count.get(), sum: kept.reduce((total, id) => total + id, 0), faults });
  },
});

export const stateFeature: ChaosFeature = {
  name: "state",
  functions: [shelf],
  poke: (send, id) => send(shelf.at(String(id % shelves)), { id }),
  async audit(app, ids) {
    let [count, sum] = [0, 0];
    const faults: string[] = [];
    for (let n = 0; n < shelves; n++) {
      const found = await app.ask(shelf.at(String(n)), "read");
      count += found.count;
      sum += found.sum;
      faults.push(...found.faults);
    }
    if (count !== ids) faults.push(`shelves have ${count} entries of ${ids}`);
    if (sum !== (ids * (ids - 1)) / 2) faults.push(`the entries of the shelves add up to ${sum}`);
    return faults;
  },
};
