/**
 * Loaded before everything else on every thread of a process: a wall clock that a file sets.
 *
 * The file holds the milliseconds that the clock is ahead, and is read again when the last reading is old. The monotonic
 * clock stays as it is, as it does when somebody sets the clock of a machine.
 */
import { readFileSync } from "node:fs";
import { clockFileVariable } from "./relay.js";

const readEveryMs = 5;
const path = process.env[clockFileVariable] ?? "";
const wall = Date.now;
let aheadMs = 0;
let readAt = Number.NEGATIVE_INFINITY;

Date.now = () => {
  const now = performance.now();
  if (now - readAt > readEveryMs) {
    readAt = now;
    aheadMs = read();
  }
  return wall() + aheadMs;
};

function read(): number {
  try {
    return Number(readFileSync(path, "utf8"));
  } catch {
    return aheadMs; // no file descriptor is left, or the file is just being written
  }
}
