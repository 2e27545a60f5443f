/**
 * A disk that is full: the data directory is on a file system of 16 MiB in memory, which something else fills while letters
 * are on their way. Needs the right to mount.
 */
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DrivenProcess } from "../driven/driven-process.js";
import type { Fault } from "./fault.js";
import { FaultLab } from "./fault-lab.js";
import { relayType } from "./relay.js";

const size = "16m";
/** Of the same disk when somebody has made room: two segments of the log alone may take 128 MiB. */
const sizeWithRoom = "512m";
const letters = 1_000;
const cargoLength = 4_000;
/** What is sent until it is refused: together more than the log can have prepared. */
const probeLength = 100_000;
const probesMax = 400;
const probeEveryMs = 20;

/** While the disk is full the application refuses and goes on by itself, or is killed and started on the full disk. */
export const fullDisk: Fault = {
  name: "full disk",
  impossible() {
    try {
      new SmallDisk().remove();
      return undefined;
    } catch (error) {
      return `a file system cannot be mounted: ${String((error as { stderr?: unknown }).stderr ?? error).trim()}`;
    }
  },
  async happen({ random, findings }) {
    const disk = new SmallDisk();
    try {
      const lab = new FaultLab(random, findings, join(disk.path, "data"));
      await fillAndFree(lab, disk);
      if (!findings.any) lab.remove();
    } finally {
      disk.remove();
    }
  },
};

async function fillAndFree(lab: FaultLab, disk: SmallDisk): Promise<void> {
  lab.load(letters, undefined, cargoLength);
  const process = lab.begin();
  await process.running;
  await lab.midst();
  disk.fill();
  const refusal = await probeUntil("refused", lab, process);
  lab.expect(refusal === "HF_DISK_FULL", `a full disk refused with ${refusal}`);
  const inTime = lab.random.below(2) === 0;
  if (inTime) {
    disk.free();
    await probeUntil("taken", lab, process);
    await lab.settleOrFail(process, ["HF_DISK_FULL"]); // a base may have found no room before
    return;
  }
  process.kill("SIGKILL");
  await process.ended;
  await startOnFullDisk(lab);
  disk.free();
  await lab.settleAnew();
}

async function startOnFullDisk(lab: FaultLab): Promise<void> {
  const process = lab.begin();
  const runs = await process.running.then(
    () => true,
    () => false,
  );
  if (runs) {
    await lab.midst();
    process.kill("SIGKILL");
  }
  const end = await process.ended;
  if (end.signal !== "SIGKILL") lab.failedWith(end, ["HF_DISK_FULL", "HF_DATA_DIR"]);
}

/** Sends until it is refused, or until it is taken. Returns the last outcome: an error's code, or undefined when taken. */
async function probeUntil(
  outcome: "refused" | "taken",
  lab: FaultLab,
  process: DrivenProcess,
): Promise<string | undefined> {
  let code: string | undefined;
  for (let probe = 0; probe < probesMax; probe++) {
    const message = { inquiry: -1, cargo: "x".repeat(probeLength) };
    const sent = process.call("send", relayType, String(probe), message);
    code = await sent.then(
      () => undefined,
      async (error: { readonly code?: string }) => error.code ?? (await process.ended).failure?.code ?? String(error),
    );
    if ((code === undefined) === (outcome === "taken")) break;
    await lab.pause(probeEveryMs);
  }
  return code;
}

/** A file system in memory; mounted as long as the object is not removed, and this process lives. */
class SmallDisk {
  readonly path = mkdtempSync(join(tmpdir(), "holdfast-disk-"));
  readonly #onExit = (): void => this.#unmount();

  constructor() {
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", this.path], { stdio: "pipe" });
    } catch (error) {
      rmdirSync(this.path);
      throw error;
    }
    process.once("exit", this.#onExit);
  }

  /** Takes all the room that is left. */
  fill(): void {
    const file = openSync(this.#ballast, "w");
    try {
      for (let length = 65_536; length > 0; ) if (!wrote(file, length)) length = Math.floor(length / 2);
    } finally {
      closeSync(file);
    }
  }

  free(): void {
    rmSync(this.#ballast);
    execFileSync("mount", ["-o", `remount,size=${sizeWithRoom}`, this.path], { stdio: "pipe" });
  }

  remove(): void {
    process.removeListener("exit", this.#onExit);
    this.#unmount();
    rmdirSync(this.path);
  }

  get #ballast(): string {
    return join(this.path, "ballast");
  }

  /** Lazily: a process that was killed may not be gone yet. */
  #unmount(): void {
    execFileSync("umount", ["--lazy", this.path], { stdio: "pipe" });
  }
}

function wrote(file: number, length: number): boolean {
  try {
    return writeSync(file, Buffer.alloc(length)) === length;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOSPC") return false;
    throw error;
  }
}
