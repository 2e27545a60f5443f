/** Starting an application. */
import { isHoldfastError } from "../base/errors.js";
import { NodeDisk } from "../log/node-disk.js";
import type { AppDefinition } from "../model/app.js";
import { loadApp } from "../supervisor/app-module.js";
import { Application } from "./application.js";
import { badDataDir, resolveOptions, type StartOptions } from "./options.js";

/**
 * Starts the application that a module exports by default, recovering what its data directory holds.
 *
 * @param module where the module is: `new URL("./app.js", import.meta.url)`, or a path; every worker thread imports it.
 *   TypeScript works where Node runs it or tsx is installed.
 * @throws `HF_BAD_OPTIONS`, `HF_BAD_MODULE`, `HF_BAD_APP`, `HF_DATA_DIR`, `HF_LOCKED`, `HF_OTHER_APP`, `HF_FORMAT`,
 *   `HF_LOG_DAMAGED`, `HF_STATE_DAMAGED`, `HF_EGRESS_DAMAGED`, `HF_DISK_FULL`
 * @example
 * await using app = await start(new URL("./app.js", import.meta.url), { dataDir: "./data", shards: 2 });
 */
export async function start(module: URL | string, options: StartOptions): Promise<Application> {
  const resolved = resolveOptions(module, options);
  const definition = await loadApp(resolved.moduleUrl);
  const splits = await listSplits(definition);
  makeDirectory(resolved.dataDir);
  const application = new Application(definition, resolved, splits);
  await application.open();
  return application;
}

/** Splits of all ingresses, in a stable order. */
async function listSplits(app: AppDefinition): Promise<{ ingress: string; split: string }[]> {
  const splits: { ingress: string; split: string }[] = [];
  for (const ingress of app.ingresses) {
    for (const split of await ingress.splits()) splits.push({ ingress: ingress.name, split });
  }
  return splits.sort((a, b) => (a.ingress + a.split < b.ingress + b.split ? -1 : 1));
}

function makeDirectory(dataDir: string): void {
  const disk = new NodeDisk();
  const probe = `${dataDir}/.write-test`;
  try {
    disk.mkdir(dataDir);
    const file = disk.open(probe, "create");
    file.close();
    disk.remove(probe);
    disk.syncDirectory(dataDir);
  } catch (error) {
    if (isHoldfastError(error, "HF_DISK_FULL")) throw error;
    throw badDataDir(dataDir, error);
  }
}
