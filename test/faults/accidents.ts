/** Faults that happen in a handler, in the middle of letters on their way. */
import type { StartOptions } from "../../lib/index.js";
import { describe } from "../driven/driven-process.js";
import type { Fault } from "./fault.js";
import type { Accident } from "./relay.js";

const letters = 600;

interface Consequence {
  /** Why the shards are restarted; undefined: they are not. */
  readonly restart?: RegExp;
  /** How the process may end instead. */
  readonly dies?: NodeJS.Signals;
  readonly options?: Partial<StartOptions>;
}

const consequences: Readonly<Record<Accident, Consequence>> = {
  throw: {},
  "unhandled rejection": { restart: /rejected and not handled/ },
  "throw in a timer": { restart: /thrown in a timer/ },
  "process.exit": { restart: /code 7/ },
  "stack overflow": {},
  // some versions of Node abort the process when the heap of a thread grows past its limit between two collections
  heap: { restart: /memory/, dies: "SIGABRT", options: { shardHeapMb: 64 } },
  "endless loop": { restart: /has not returned/, options: { watchdogMs: 600 } },
  "external memory": {},
  abort: { dies: "SIGABRT" },
};

export const accidents: readonly Fault[] = Object.entries(consequences).map(([kind, consequence]) => ({
  name: kind,
  async happen(lab) {
    const { restart, dies, options = {} } = consequence;
    const marker = lab.load(letters, kind as Accident);
    const process = lab.begin({ options, before: "ulimit -c 0" });
    const settled = process.running.then(() => lab.settle(process));
    await Promise.race([settled.catch(() => {}), process.ended]);
    lab.hasHappened(marker);
    const end = await process.ended;
    if (end.signal !== null && end.signal === dies) await lab.settleAnew();
    else {
      await settled;
      lab.expect(restart !== undefined || dies === undefined, `it was to end by ${dies}, not ${describe(end)}`);
      lab.expect(restart === undefined || process.restarts.length > 0, "the shards were not restarted");
      for (const reason of process.restarts) lab.expect(restart?.test(reason) === true, `restarted: ${reason}`);
    }
  },
}));
