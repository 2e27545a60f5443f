/** Paths of connectors and what is said when the system refuses one. */
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { HoldfastError } from "../base/errors.js";

/**
 * The absolute path of a `path` option; relative ones are resolved against the working directory.
 *
 * @throws `HF_BAD_OPTIONS`
 */
export function filePath(path: unknown, what: string): string {
  try {
    if (path instanceof URL) return fileURLToPath(path);
    if (typeof path === "string" && path.startsWith("file://")) return fileURLToPath(path);
  } catch (error) {
    throw new HoldfastError("HF_BAD_OPTIONS", `${what}: "${String(path)}" is not the URL of a file`, { cause: error });
  }
  if (typeof path !== "string" || path === "" || path.includes("\0")) {
    throw new HoldfastError("HF_BAD_OPTIONS", `${what} must be a path, or a URL of a file`);
  }
  return resolve(path);
}

/** Refuses options that are no object or have a name that does not exist: a typing error would be ignored silently. */
export function checkOptionNames(options: unknown, known: readonly string[], what: string): void {
  if (typeof options !== "object" || options === null) {
    throw new HoldfastError("HF_BAD_OPTIONS", `${what} takes an object of options`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new HoldfastError("HF_BAD_OPTIONS", `${what} has no option "${unknown}"; it takes ${known.join(", ")}`);
}

/** The code of a system error, `ENOENT` for example. */
export function systemCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === "string" ? code : undefined;
}
