/** Benches that look at a whole process run what they measure in a process of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What a child is given besides its script and arguments. */
export interface ChildOptions {
  /** Flags of Node; those of this process (a profiler's, say) are passed on. */
  readonly nodeFlags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs a module as a program with one argument, as JSON. Its standard output is the caller's to read. */
export function spawnModule(script: URL, argument: unknown, options: ChildOptions = {}): ChildProcess {
  const flags = [...process.execArgv, ...(options.nodeFlags ?? [])];
  return spawn(process.execPath, [...flags, fileURLToPath(script), JSON.stringify(argument)], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, ...options.env },
  });
}

/** Runs a module as a program; resolves with the last line that it wrote, as JSON, once it has ended well. */
export function childResult<T>(script: URL, argument: unknown, options: ChildOptions = {}): Promise<T> {
  const child = spawnModule(script, argument, options);
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
    });
    child.once("error", reject);
    child.once("close", (code, signal) => {
      const line = text.trimEnd().split("\n").at(-1) ?? "";
      if (code === 0 && line !== "") resolve(JSON.parse(line) as T);
      else reject(new Error(`${fileURLToPath(script)} ended with ${signal ?? `code ${code}`}: ${text}`));
    });
  });
}

/** What `childResult` and `spawnModule` gave this process. */
export function childArgument<T>(): T {
  return JSON.parse(process.argv[2] ?? "") as T;
}

/** What `childResult` resolves with. */
export function giveResult(result: unknown): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}
