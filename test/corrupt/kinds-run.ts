/** Entry of a child process: runs the application of every kind on a data directory until it kills itself. */
import { start } from "../../lib/index.js";
import { thing } from "./kinds.app.js";

const messages = 20;
const [, , dataDir = "", shards = "", killAfterMs = ""] = process.argv;
const app = await start(new URL("./kinds.app.js", import.meta.url), { dataDir, shards: Number(shards) });
setTimeout(() => process.kill(process.pid, "SIGKILL"), Number(killAfterMs));
for (let n = 0; n < messages; n++) await app.send(thing.at(String(n)), n);
