/** Names of segment files: the number, zero-padded, so that names sort as numbers do. */
import { invariant } from "../base/invariant.js";
import type { Disk } from "./disk.js";

const digits = 12;
export const segmentNumberMax = 10 ** digits - 1;

/** The file name of a segment. */
export function segmentName(segment: number): string {
  invariant(Number.isSafeInteger(segment) && segment >= 0 && segment <= segmentNumberMax, "segment number in range");
  return String(segment).padStart(digits, "0");
}

/** The path of a segment in its log directory. */
export function segmentPath(directory: string, segment: number): string {
  return `${directory}/${segmentName(segment)}`;
}

/** Numbers of the segment files in a directory, ascending. Other names are not ours. */
export function listSegments(disk: Disk, directory: string): number[] {
  return disk
    .list(directory)
    .filter((name) => name.length === digits && /^\d+$/.test(name))
    .map(Number);
}
