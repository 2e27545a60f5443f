/** Arguments of the command line. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { type CliPorts, type RunningApplication, runCli } from "../../lib/cli/run.js";
import { anyText } from "../property/plain-data.arbitrary.js";
import { assertUnpolluted, type Target } from "./fuzzer.js";

const module = fileURLToPath(import.meta.url);
const word = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      "run", "verify", "timers", "quarantine", "list", "retry", "skip", "purge", "help", module, "--data", "/nowhere/data",
      "--shards", "2", "0", "-1", "1e9", "0x10", "--recover-to", "7", "--exit-when-done", "--json", "--no-progress",
      "--limit", "a/b@c", "@", "--", "-d", "-s", "--help", "--version", "__proto__", "--__proto__", "--data=", "--no-data",
    ), // biome-ignore format: a list of words
  },
  { weight: 1, arbitrary: anyText },
);
const argv = fc.oneof(
  fc.array(word, { maxLength: 8 }),
  fc.array(word, { maxLength: 6 }).map((rest) => ["run", module, "--data", "/nowhere/data", ...rest]),
  fc.array(word, { maxLength: 6 }).map((rest) => ["quarantine", "retry", module, ...rest, "--data", "/nowhere/data"]),
);

/** An application that has nothing to do. */
const application: RunningApplication = {
  status: () => ({
    state: "running",
    shards: 1,
    committed: 0,
    turns: 0,
    ingested: 0,
    rejected: 0,
    parked: 0,
    orphans: 0,
    restarts: 0,
    exhausted: true,
  }),
  timers: { list: async () => [] },
  quarantine: { list: async () => [], retry: async () => false, skip: async () => false, purge: async () => 0 },
  drained: async () => {},
  stop: async () => {},
  stopped: Promise.resolve(),
  on: () => {},
};

export const cliTargets: readonly Target[] = [
  {
    name: "cli/arguments",
    property: fc.asyncProperty(argv, async (words) => {
      let starts = 0;
      let said = "";
      const write = (text: string): void => {
        said += text;
      };
      const ports: CliPorts = {
        start: async (_module, { shards }) => {
          assert.ok(shards === undefined || (shards >= 1 && shards <= 64), `${shards} shards`);
          starts++;
          return application;
        },
        verify: async (dataDir) => ({ dataDir, sound: true, committed: 0, lastGood: undefined, files: [], notes: [] }),
        stdout: { write },
        stderr: { write },
        env: {},
        clock: { now: () => 0, wall: () => 0 },
        version: "0.0.0",
        onSignal: (listener) => setImmediate(listener, "SIGTERM"),
        exit: () => {},
      };
      const code = await runCli(words, ports);
      assert.ok(code >= 0 && code <= 3, `exit code ${code}`);
      assert.ok(code !== 2 || said !== "", "wrong usage and nothing said");
      assert.ok(!(code === 0 && starts === 0) || said !== "", "nothing was done and nothing said");
      assertUnpolluted();
    }),
  },
];
