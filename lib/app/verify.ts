/** Verifying a data directory that no application has open. */
import { spawn } from "node:child_process";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { HoldfastError } from "../base/errors.js";
import { acquireLock } from "../log/lock.js";
import { NodeDisk } from "../log/node-disk.js";
import { type InspectedBase, Verification, type VerifyReport } from "../snapshot/verification.js";
import { inspectBase } from "../store/lmdb-base.js";
import type { ScannedBase } from "./base-scan.js";

export type { VerifiedFile, VerifyReport } from "../snapshot/verification.js";

/**
 * Reads everything in a data directory and says what is damaged: manifests, every record of the log, every page and row
 * of the bases, and whether they fit together. Changes nothing in them.
 *
 * @throws `HF_LOCKED` when an application has it open, `HF_DATA_DIR` when it is not there, `HF_IO`, `HF_BAD_OPTIONS`
 * @example
 * const { sound, files } = await verify("./data");
 */
export async function verify(dataDir: string): Promise<VerifyReport> {
  if (typeof dataDir !== "string" || dataDir === "" || dataDir.includes("\0")) {
    throw new HoldfastError("HF_BAD_OPTIONS", "verify needs the path of a data directory");
  }
  const directory = resolve(dataDir);
  const disk = new NodeDisk();
  if (!disk.exists(directory)) throw new HoldfastError("HF_DATA_DIR", `there is no data directory ${directory}`);
  const lock = await acquireLock(directory);
  try {
    return await new Verification(directory, { disk, inspectBase: inspectWholeBase }).run();
  } finally {
    lock.release();
  }
}

async function inspectWholeBase(path: string): Promise<InspectedBase | undefined> {
  const report = inspectBase(path, { values: true });
  if (report === undefined) return undefined;
  const { epoch, pages, rows } = report;
  const checked = `${pages} pages, ${rows} rows with their crcs and sums, epoch ${epoch}`;
  if (report.damage.length > 0) {
    return { epoch, checked, damage: report.damage.map(({ position, what }) => `offset ${position}: ${what}`) };
  }
  const scanned = await scanInChild(path);
  if ("failed" in scanned) return { epoch, checked, damage: [scanned.failed] };
  const lost = scanned.rows === rows ? [] : [`LMDB finds ${scanned.rows} of its ${rows} rows`];
  return { epoch, checked: `${checked}; LMDB reads them all`, damage: lost };
}

/** What LMDB does to a process that reads a damaged file, it does to a child. */
function scanInChild(path: string): Promise<ScannedBase> {
  return new Promise((settle, reject) => {
    const entry = fileURLToPath(new URL("./base-scan.js", import.meta.url));
    const child = spawn(process.execPath, [entry, path], { stdio: ["ignore", "pipe", "ignore"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
    child.once("error", (cause) =>
      reject(new HoldfastError("HF_IO", "cannot start a process to read bases", { cause })),
    );
    child.once("close", (code, signal) => {
      if (code === 0) settle(JSON.parse(output) as ScannedBase);
      else settle({ failed: `a process that read it with LMDB ended with ${signal ?? `code ${code}`}` });
    });
  });
}
