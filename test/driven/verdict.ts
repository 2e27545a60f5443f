/** Programs that kill and check: what they say in the end. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

export interface Verdict<T> {
  readonly code: number | null;
  /** The JSON of the last line. */
  readonly verdict: T;
  /** Everything else that was said, for messages of failed assertions. */
  readonly said: string;
}

/** Runs a program of the test tree, given by its path there, to its end. */
export async function verdictOf<T>(program: string, args: readonly string[], signal: AbortSignal): Promise<Verdict<T>> {
  const path = fileURLToPath(new URL(`../${program}`, import.meta.url));
  const child = spawn(process.execPath, [path, ...args], { stdio: ["ignore", "pipe", "pipe"], signal });
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
  return { code, verdict: JSON.parse(last) as T, said: `${said}${last}` };
}
