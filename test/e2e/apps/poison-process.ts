/** A process of its own that runs poison.app.ts: its last line of output says how far it came. For poison.test.ts. */
import { start } from "../../../lib/index.js";
import { type Bite, eater } from "./poison.app.js";

const [dataDir, shards, first, until, how] = process.argv.slice(2);
const app = await start(new URL("./poison.app.js", import.meta.url), { dataDir, shards: Number(shards) });
const parked = new Promise((resolve) => app.on("parked", resolve));
if (first === "first") {
  const sends: Promise<void>[] = [];
  for (let n = 0; n < 40; n++) sends.push(app.send(eater.at(`e${n}`), { n } satisfies Bite));
  await Promise.all(sends);
  await app.send(eater.at("bad"), { n: 1, delayMs: 100, kills: { how, until } } as Bite);
}
await parked;
await app.send(eater.at("bad"), { n: 2 });
await app.send(eater.at("e0"), { n: 100 });
await app.drained();
const [{ error, attempts, waiting }] = await app.quarantine.list();
const others = await Promise.all(Array.from({ length: 40 }, (_, n) => app.ask(eater.at(`e${n}`), "read")));
console.log(
  JSON.stringify({ code: (error as { code?: string }).code, attempts, waiting, others: others.flat().length }),
);
await app.stop();
