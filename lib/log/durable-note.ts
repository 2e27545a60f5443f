/**
 * A note beside the log of the last epoch that is durable: without it, a log whose end was cut off or zeroed would look
 * like one that had never been longer.
 *
 * Owner: the epoch log of one generation, which makes the note when its manifest is current. Thread: the storage thread's.
 * N1. An epoch is noted after the log is durable up to it; so whatever the note says is true, however late it comes.
 * N2. Nothing is synced and nothing waits for the note: after a power loss it may be old or torn, and says less.
 *     A note that cannot be written is given up; one that cannot be read says nothing.
 * N3. A note of another generation than the manifest's does not count.
 *
 * Two slots, 4 KiB apart, for even and odd epochs: generation u32 · epoch u64 · crc32 of these.
 */
import { crc32 } from "node:zlib";
import { isHoldfastError } from "../base/errors.js";
import type { Disk, DiskFile } from "./disk.js";

const name = "DURABLE";
const slotBytes = 16;
const slotDistance = 4096;
const twoTo32 = 2 ** 32;

/** The writing side. */
export class DurableNote {
  readonly #generation: number;
  readonly #slot = new Uint8Array(slotBytes);
  #file: DiskFile | undefined;

  /** Makes the note anew, for the manifest of this generation. */
  constructor(disk: Disk, dataDir: string, generation: number) {
    this.#generation = generation;
    this.#attempt(() => {
      this.#file = disk.open(`${dataDir}/${name}`, "create");
      this.#file.write(new Uint8Array(slotDistance + slotBytes), 0); // takes its room
    });
  }

  /** N1 */
  say(epoch: number): void {
    const view = new DataView(this.#slot.buffer);
    view.setUint32(0, this.#generation, true);
    view.setUint32(4, epoch % twoTo32, true);
    view.setUint32(8, Math.floor(epoch / twoTo32), true);
    view.setUint32(12, crc32(this.#slot.subarray(0, 12)), true);
    this.#attempt(() => this.#file?.write(this.#slot, (epoch % 2) * slotDistance));
  }

  close(): void {
    this.#attempt(() => this.#file?.close());
    this.#file = undefined;
  }

  /** N2 */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      if (!isHoldfastError(error) || error.code === "HF_INVARIANT") throw error;
      this.#file = undefined;
    }
  }
}

/** The last epoch that is noted as durable for a generation; 0 when the note says nothing (N2, N3). */
export function readDurableNote(disk: Disk, dataDir: string, generation: number): number {
  const path = `${dataDir}/${name}`;
  if (!disk.exists(path)) return 0;
  const bytes = disk.readFile(path);
  return Math.max(epochAt(bytes, 0, generation), epochAt(bytes, slotDistance, generation));
}

function epochAt(bytes: Uint8Array, at: number, generation: number): number {
  if (at + slotBytes > bytes.length) return 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, slotBytes);
  if (view.getUint32(12, true) !== crc32(bytes.subarray(at, at + 12))) return 0;
  if (view.getUint32(0, true) !== generation) return 0;
  return view.getUint32(4, true) + twoTo32 * view.getUint32(8, true);
}
