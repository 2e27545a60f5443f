/**
 * Loading an application module, in main and in every shard thread.
 *
 * A TypeScript module needs tsx to be registered before the first import of it in the thread: a failed import is cached.
 */
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { HoldfastError } from "../base/errors.js";
import { AppDefinition } from "../model/app.js";

/**
 * Imports the module and returns its default export.
 *
 * @throws `HF_BAD_MODULE` saying what is wrong with the module and how to mend it.
 */
export async function loadApp(moduleUrl: string): Promise<AppDefinition> {
  const path = fileURLToPath(moduleUrl);
  const module = await importModule(moduleUrl, "application module");
  const app = interop(module.default);
  if (!AppDefinition.is(app)) {
    const found =
      module.default === undefined ? "has no default export" : "has a default export that is not an application";
    throw new HoldfastError(
      "HF_BAD_MODULE",
      `the application module ${path} ${found}: write "export default defineApp({ … })"`,
    );
  }
  return app;
}

/**
 * Imports the module of a task and returns one of its functions. Where `x.js` is not there and `x.ts` is, that is meant.
 *
 * @throws `HF_BAD_MODULE`
 */
export async function loadTask(moduleUrl: string, name: string): Promise<(input: unknown) => unknown> {
  const source = moduleUrl.replace(/\.([mc]?)js$/, ".$1ts");
  const isSource = !existsSync(fileURLToPath(moduleUrl)) && existsSync(fileURLToPath(source));
  const module = await importModule(isSource ? source : moduleUrl, "task module");
  const wrapped = module.default as { readonly [name: string]: unknown } | undefined;
  const task = module[name] ?? wrapped?.[name]; // a module compiled to CommonJS may be wrapped
  if (typeof task !== "function")
    throw new HoldfastError("HF_BAD_MODULE", `the task module ${fileURLToPath(moduleUrl)} exports no function ${name}`);
  return task as (input: unknown) => unknown;
}

async function importModule(moduleUrl: string, what: string): Promise<{ readonly [name: string]: unknown }> {
  const path = fileURLToPath(moduleUrl);
  if (!existsSync(path)) throw new HoldfastError("HF_BAD_MODULE", `there is no ${what} ${path}`);
  if (/\.[mc]?tsx?$/.test(path)) await registerTypeScript(path);
  try {
    return await import(moduleUrl);
  } catch (error) {
    if (error instanceof HoldfastError) throw error; // thrown by defineApp and its like: it says more than we could
    const said = error instanceof Error ? error.message : String(error);
    throw new HoldfastError("HF_BAD_MODULE", `the ${what} ${path} cannot be loaded: ${said}`, { cause: error });
  }
}

/** A module compiled to CommonJS arrives with its default export wrapped once more. */
function interop(exported: unknown): unknown {
  const inner = (exported as { readonly default?: unknown } | null | undefined)?.default;
  return inner === undefined || AppDefinition.is(exported) ? exported : inner;
}

let registered = false;

async function registerTypeScript(path: string): Promise<void> {
  if (registered) return;
  const tsx = findTsx(path);
  if (tsx !== undefined) {
    await registerWith(tsx, path);
  } else if (!(process.features as { readonly typescript?: unknown }).typescript) {
    throw new HoldfastError(
      "HF_BAD_MODULE",
      `${path} is TypeScript and this Node does not run it: npm install tsx, or compile it`,
    );
  }
  registered = true;
}

async function registerWith(tsx: readonly string[], path: string): Promise<void> {
  try {
    for (const api of tsx) {
      const { register } = (await import(api)) as { register(): unknown };
      register();
    }
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error);
    throw new HoldfastError(
      "HF_BAD_MODULE",
      `${path} is TypeScript, and tsx cannot be loaded: ${said}. npm install tsx@4`,
      { cause: error },
    );
  }
}

/** The APIs of tsx, for both module systems (the application's package may be of either), as it has them or as we do. */
function findTsx(path: string): readonly string[] | undefined {
  for (const from of [pathToFileURL(path).href, import.meta.url]) {
    try {
      const manifest = createRequire(from).resolve("tsx/package.json");
      const { exports } = JSON.parse(readFileSync(manifest, "utf8")) as TsxManifest;
      const apis = [exports["./cjs/api"], exports["./esm/api"]]; // `resolve` would give their CommonJS files
      return apis.map((api) => new URL(api.import.default, pathToFileURL(manifest)).href);
    } catch {
      // not installed there
    }
  }
  return undefined;
}

interface TsxManifest {
  readonly exports: Readonly<Record<"./cjs/api" | "./esm/api", { readonly import: { readonly default: string } }>>;
}
