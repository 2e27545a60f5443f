/** Data directories of a real application that was killed: all kinds of state, timers, egress, two layouts over a rescale. */
import { spawn } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { systemClock } from "../../lib/base/clock.js";
import { start } from "../../lib/index.js";
import { readManifest } from "../../lib/log/manifest.js";
import { NodeDisk } from "../../lib/log/node-disk.js";
import { egressCode, Registry } from "../../lib/shard/registry.js";
import { findEpochs } from "../../lib/snapshot/found-epochs.js";
import type { RecoveryConfig } from "../../lib/snapshot/recovery.js";
import { Storage } from "../../lib/snapshot/storage.js";
import { destroyBase, openBaseWriter } from "../../lib/store/lmdb-base.js";
import { contentOf } from "../stored/stored-workload.js";
import kinds from "./kinds.app.js";
import { digestOf, type Specimen } from "./specimen.js";

const entry = fileURLToPath(new URL("./kinds-run.js", import.meta.url));
const registry = new Registry(kinds);

/** Runs the application a few times below `root`. */
export async function makeAppSpecimens(root: string): Promise<Specimen[]> {
  const early = run(join(root, "app-early"), 2, 150);
  const merged = run(join(root, "app-merged"), 2, 4_600);
  await Promise.all([early, merged]);
  cpSync(join(root, "app-merged"), join(root, "app-rescaled"), { recursive: true });
  await run(join(root, "app-rescaled"), 3, 400);
  return [look(join(root, "app-early"), 2), look(join(root, "app-merged"), 2), look(join(root, "app-rescaled"), 3)];
}

/** The configuration that `start` makes for the application. */
export function appConfig(dataDir: string, shards: number): RecoveryConfig {
  const functions = [...registry.byName.values()].map(({ type, code, columns }) => {
    return { name: type, code, states: columns.map((column) => ({ name: column.name, code: column.code })) };
  });
  const egressCodes = [...kinds.egresses.keys()].map(egressCode);
  return { dataDir, application: "", functions, egressCodes, shards, keyGroups: 128, splits: [], session: undefined };
}

/** Starts the application, runs nothing, lists what waits, stops. @throws what `start` throws */
export async function startAndStop(dataDir: string, shards: number): Promise<void> {
  const app = await start(new URL("./kinds.app.js", import.meta.url), { dataDir, shards, paused: true });
  try {
    await app.timers.list();
  } finally {
    await app.stop();
  }
}

function run(dataDir: string, shards: number, killAfterMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [entry, dataDir, String(shards), String(killAfterMs)], { stdio: "ignore" });
    child.once("error", reject);
    child.once("exit", (code, signal) => {
      if (signal === "SIGKILL") resolve();
      else reject(new Error(`the application ended with code ${code} before it was killed`));
    });
  });
}

/** What a recovery of a copy finds is what there is. */
function look(directory: string, shards: number): Specimen {
  const manifest = readManifest(new NodeDisk(), directory);
  if (manifest === undefined) throw new Error(`${directory} has no manifest yet`);
  const { durable } = findEpochs(new NodeDisk(), directory, manifest);
  const copy = `${directory}-copy`;
  cpSync(directory, copy, { recursive: true });
  const disk = new NodeDisk();
  const storage = new Storage({ clock: systemClock, disk, openBase: (path) => openBaseWriter(path), destroyBase });
  const content = contentOf(storage.recover(appConfig(copy, shards)));
  storage.close();
  const name = directory.slice(directory.lastIndexOf("/") + 1);
  return {
    name,
    directory,
    kind: "app",
    shards,
    acknowledged: durable,
    digests: { [content.epoch]: digestOf(content) },
  };
}
