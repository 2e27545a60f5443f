/** `holdfast timers`: what waits in a data directory to be sent. */
import { resolve } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { timerListMax } from "../base/limits.js";

/** What the command line reads of a pending message. */
export interface PendingTimer {
  readonly due: Date;
  readonly from: string;
  readonly to: string;
  readonly token: string | undefined;
  readonly messageId: string;
}

interface TimersOptions {
  readonly data: string;
  readonly limit: number;
  readonly json: boolean;
}

interface TimersPorts {
  start(
    module: URL,
    options: { dataDir: string; paused: boolean },
  ): Promise<{
    readonly timers: { list(options: { limit: number }): Promise<readonly PendingTimer[]> };
    stop(): Promise<void>;
  }>;
  readonly stdout: { write(text: string): unknown };
}

export function addTimersCommand(
  program: Command,
  run: (module: string, options: TimersOptions) => Promise<void>,
): void {
  program
    .command("timers")
    .description("list the delayed messages that wait in a data directory, the next ones first; runs nothing")
    .argument("<module>", "the application that the data directory belongs to")
    .requiredOption("-d, --data <directory>", "the data directory", (text) => {
      if (text.trim() === "") throw new InvalidArgumentError("It must be the path of a directory.");
      return resolve(text);
    })
    .option("-n, --limit <n>", `at most this many, 1 to ${timerListMax}`, parseLimit, 100)
    .option("--json", "one JSON object per line", false)
    .action(run);
}

/** Opens the data directory, prints, closes it. */
export async function listTimers(module: URL, options: TimersOptions, ports: TimersPorts): Promise<void> {
  const app = await ports.start(module, { dataDir: options.data, paused: true });
  try {
    const timers = await app.timers.list({ limit: options.limit });
    for (const timer of timers) ports.stdout.write(options.json ? `${JSON.stringify(timer)}\n` : lineOf(timer));
    if (timers.length === 0 && !options.json) ports.stdout.write("no delayed messages\n");
  } finally {
    await app.stop();
  }
}

function lineOf({ due, from, to, token }: PendingTimer): string {
  const named = token === undefined ? "" : ` (token ${JSON.stringify(token)})`;
  return `${due.toISOString()} ${JSON.stringify(from)} -> ${JSON.stringify(to)}${named}\n`;
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1 || limit > timerListMax) {
    throw new InvalidArgumentError(`It must be an integer from 1 to ${timerListMax}.`);
  }
  return limit;
}
