/** Can be loaded by the main thread only. */
import { isMainThread } from "node:worker_threads";
import { defineApp } from "../../../lib/index.js";
import { journal } from "./desk.app.js";

if (!isMainThread) throw new Error("not in a worker");

export default defineApp({ functions: [journal] });
