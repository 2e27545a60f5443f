#!/usr/bin/env node
/** The `holdfast` command: ties the command line to this process. */
import { readFileSync } from "node:fs";
import { systemClock } from "../base/clock.js";
import { start, verify } from "../index.js";
import { leave, leaveNow } from "./leave.js";
import { runCli } from "./run.js";

const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

// A reader of the output that went away (`| head`) is no reason to end: the results are in the egresses.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

const code = await runCli(process.argv.slice(2), {
  start,
  verify,
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  clock: systemClock,
  version,
  onSignal: (listener) => {
    process.on("SIGINT", listener).on("SIGTERM", listener);
  },
  exit: leaveNow,
});
leave(code);
