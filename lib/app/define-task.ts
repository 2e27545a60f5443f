/** Tasks for `ctx.offload`. */
import { HoldfastError } from "../base/errors.js";
import { Task } from "../model/task.js";

/**
 * Names a function of a module of its own, to be run by `ctx.offload` on a thread beside the shards. The module is loaded
 * there, not here: keep state and the application out of it. Its types come from the function's:
 * `defineTask<typeof import("./hash.js").hash>(new URL("./hash.js", import.meta.url), "hash")`.
 *
 * @param module a `file:` URL. Where TypeScript is run without compiling, `hash.js` also finds `hash.ts`.
 * @param name the name of the export, "default" by default
 * @throws `HF_BAD_APP` when the module is not a `file:` URL or the name is empty
 */
export function defineTask<F extends (input: never) => unknown = (input: unknown) => unknown>(
  module: URL | string,
  name = "default",
): Task<Parameters<F>[0], Awaited<ReturnType<F>>> {
  const url = String(module);
  if (!url.startsWith("file:") || !URL.canParse(url)) {
    throw new HoldfastError(
      "HF_BAD_APP",
      `the module of a task is a file: URL such as new URL("./task.js", import.meta.url), not ${url.slice(0, 200)}`,
    );
  }
  if (typeof name !== "string" || name === "")
    throw new HoldfastError("HF_BAD_APP", `the task in ${url} has no export name`);
  return new Task(url, name);
}
