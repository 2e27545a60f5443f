/** kill -9 against the real command, in small; `npm run chaos` is the same in large. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import test from "node:test";
import { fileURLToPath } from "node:url";

const chaos = fileURLToPath(new URL("../chaos/main.js", import.meta.url));

interface Verdict {
  readonly kills: number;
  readonly records: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly wrong: number;
  readonly rejected: number;
  readonly workerExits: number;
}

test("no transfer is lost or doubled when the process is killed four times and its workers die", {
  timeout: 120_000,
}, async ({ signal }) => {
  const { code, verdict, said } = await runChaos(["--kills", "4", "--seed", "3", "--batch", "3000"], signal);
  assert.equal(code, 0, said);
  const { kills, lost, duplicated, wrong } = verdict;
  assert.deepEqual({ kills, lost, duplicated, wrong }, { kills: 4, lost: 0, duplicated: 0, wrong: 0 }, said);
  assert.ok(verdict.records >= 3_000 && verdict.rejected > 0 && verdict.workerExits > 0, said);
});

async function runChaos(
  args: string[],
  signal: AbortSignal,
): Promise<{ code: number | null; verdict: Verdict; said: string }> {
  const child = spawn(process.execPath, [chaos, ...args], { stdio: ["ignore", "pipe", "pipe"], signal });
  let said = "";
  let result = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    result += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  const last = result.trimEnd().split("\n").at(-1) ?? "";
  assert.match(last, /^\{/, `no verdict: ${said}`);
  return { code, verdict: JSON.parse(last) as Verdict, said };
}
