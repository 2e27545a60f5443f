#!/usr/bin/env node
/** The `holdfast` command: ties the command line to this process. */
import { readFileSync } from "node:fs";
import { systemClock } from "../base/clock.js";
import { start } from "../index.js";
import { leave, leaveNow } from "./leave.js";
import { runCli } from "./run.js";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as { version: string };

const code = await runCli(process.argv.slice(2), {
  start,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  clock: systemClock,
  version,
  onSignal: (listener) => {
    process.on("SIGINT", listener).on("SIGTERM", listener);
    return () => process.off("SIGINT", listener).off("SIGTERM", listener);
  },
  exit: leaveNow,
});
leave(code);
