/** What a process keeps in memory, as the system counts it. */
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

/** Memory is at rest when it has moved by less than this part in each of some looks. */
const restPart = 0.005;
const restLooks = 3;
/** A process at rest uses less of a core than this. */
const restLoad = 0.1;
const restLookMs = 500;
const restMsMax = 90_000;

/** Bytes of this process that are in memory. */
export interface Resident {
  /** All of it: RSS. */
  readonly rss: number;
  /** The part that is the process's own, and cannot be dropped: RSS without the pages of mapped files. */
  readonly own: number;
}

/** Mapped files are told apart on Linux only; elsewhere `own` is all of it. */
export function residentBytes(): Resident {
  try {
    const status = readFileSync("/proc/self/status", "latin1");
    const kib = (name: string): number =>
      Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(status)?.[1] ?? Number.NaN);
    const rss = kib("VmRSS") * 1024;
    const own = rss - kib("RssFile") * 1024;
    if (Number.isFinite(own)) return { rss, own };
  } catch {
    // not Linux
  }
  const rss = process.memoryUsage.rss();
  return { rss, own: rss };
}

/** Waits until merges and collections are over: memory does not move any more, and nothing is computed. */
export async function atRest(): Promise<Resident> {
  const until = performance.now() + restMsMax;
  let resident = residentBytes();
  for (let looks = 0; looks < restLooks && performance.now() < until; ) {
    const cpu = process.cpuUsage();
    await pause(restLookMs);
    const { user, system } = process.cpuUsage(cpu);
    const idle = (user + system) / 1000 < restLoad * restLookMs;
    const now = residentBytes();
    looks = idle && Math.abs(now.own - resident.own) <= restPart * resident.own ? looks + 1 : 0;
    resident = now;
  }
  return resident;
}
