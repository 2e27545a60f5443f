/** Runs the greeter over logins.ndjson on a fresh data directory and prints its greetings as they are committed. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Application, start } from "holdfast";
import { greetings, person } from "./greeter.app.js";

const dataDir = await mkdtemp(join(tmpdir(), "holdfast-greeter-"));
try {
  await run();
} finally {
  await rm(dataDir, { recursive: true, force: true });
}

async function run(): Promise<void> {
  await using app = await start(new URL("./greeter.app.js", import.meta.url), { dataDir, shards: 2 });
  const printed = print(app);
  await app.send(person.at("Bob"), { name: "Bob" }); // one more login, from this process; durable when it resolves
  await app.drained();
  await app.stop();
  await printed;
}

/** Prints until the application stops. */
async function print(app: Application): Promise<void> {
  for await (const { id, record } of app.egress(greetings)) console.log(id, record);
}
