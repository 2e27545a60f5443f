/** Faults that happen to a process, its threads and its directory from outside. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "../driven/driven-process.js";
import type { Fault } from "./fault.js";
import type { FaultLab } from "./fault-lab.js";
import { clockFileVariable } from "./relay.js";

const letters = 600;
/** Long enough for a thread that gets no processor for a while. */
const watchdogMs = 2_000;
const hourMs = 3_600_000;
const jumps = 6;
const jumpMsMax = 48 * hourMs;
/** Node itself needs some twenty. */
const filesMin = 24;
const filesMax = 72;
const usedUpMs = 400;
/** Who finds that there is no file descriptor left: disk, directory, threads, readers, sinks, the loader of modules. */
const tooFewFiles = [
  "HF_IO",
  "HF_DATA_DIR",
  "HF_WORKER_FAILED",
  "HF_STORAGE_FAILED",
  "HF_INGRESS_FAILED",
  "HF_EGRESS_FAILED",
  "HF_BAD_MODULE",
] as const;

/** Stopped for longer than the watchdog waits, and continued: nobody may take that for a hanging turn. */
const stopped: Fault = {
  name: "SIGSTOP and SIGCONT",
  async happen(lab) {
    lab.load(letters);
    const process = lab.begin({ options: { watchdogMs } });
    await process.running;
    await lab.midst();
    process.kill("SIGSTOP");
    await lab.pause(1.5 * watchdogMs);
    process.kill("SIGCONT");
    await lab.settle(process);
    lab.expect(process.restarts.length === 0, `the shards were restarted: ${process.restarts}`);
  },
};

/** Forth and back by hours while delayed messages wait; then a start with a clock that is far behind. */
const clockJumps: Fault = {
  name: "clock jumps",
  async happen(lab) {
    const clockFile = join(lab.folder, "clock");
    const setClock = (aheadMs: number): void => writeFileSync(clockFile, String(Math.round(aheadMs)));
    const clock = new URL("./jumping-clock.js", import.meta.url).href;
    const start = { execArgv: ["--import", clock], env: { [clockFileVariable]: clockFile } };
    setClock(0);
    lab.load(letters);
    const process = lab.begin(start);
    await process.running;
    for (let jump = 0; jump < jumps; jump++) {
      await lab.pause(lab.random.next() * 50);
      setClock((lab.random.next() - 0.5) * 2 * jumpMsMax);
    }
    process.kill("SIGKILL");
    await process.ended;
    setClock(-jumpMsMax);
    lab.load(letters);
    const behind = lab.begin(start);
    await behind.running;
    await lab.settle(behind);
    lab.expect(behind.restarts.length === 0, `the shards were restarted: ${behind.restarts}`);
  },
};

/** A second process must be refused, whether the first one works or is stopped. */
const secondProcess: Fault = {
  name: "two processes on one directory",
  async happen(lab) {
    lab.load(letters);
    const first = lab.begin();
    await first.running;
    await refusedStart(lab);
    first.kill("SIGSTOP");
    await refusedStart(lab);
    first.kill("SIGCONT");
    await lab.settle(first);
    lab.expect(first.restarts.length === 0, `the shards were restarted: ${first.restarts}`);
  },
};

const abortOfMain: Fault = {
  name: "process.abort",
  async happen(lab) {
    lab.load(letters);
    const process = lab.begin({ before: "ulimit -c 0" });
    await process.running;
    await lab.midst();
    await process.call("abort").catch(() => {}); // nobody is left to answer
    const end = await process.ended;
    lab.expect(end.signal === "SIGABRT", `it ended with ${describe(end)}`);
    await lab.settleAnew();
  },
};

const endOfShard: Fault = {
  name: "end of a shard's thread",
  async happen(lab) {
    lab.load(letters);
    const process = lab.begin();
    await process.running;
    await lab.midst();
    await process.call("endShard", lab.random.next());
    await lab.settle(process);
    lab.expect(process.restarts.length === 1, `the shards were restarted ${process.restarts.length} times`);
  },
};

const endOfStorage: Fault = {
  name: "end of the storage thread",
  async happen(lab) {
    lab.load(letters);
    const process = lab.begin({ follow: true });
    await process.running;
    await lab.midst();
    await process.call("endStorage").catch(() => {}); // it may fail before it answers
    lab.failedWith(await process.ended, ["HF_STORAGE_FAILED"]);
    await lab.settleAnew();
  },
};

/** So few file descriptors that the start, or what follows, may not have enough. */
const fewFiles: Fault = {
  name: "low ulimit -n",
  async happen(lab) {
    const limit = filesMin + lab.random.below(filesMax - filesMin);
    lab.load(letters);
    const process = lab.begin({ before: `ulimit -n ${limit}` });
    await Promise.race([process.running, process.ended]).catch(() => {}); // that it does not run is told by its end
    if (process.begun) await lab.settleOrFail(process, tooFewFiles);
    else await lab.settleAnew(); // Node itself had too few
  },
};

/** A running application whose process has no file descriptor left for a while, and has to restart its shards then. */
const usedUpFiles: Fault = {
  name: "all files used up",
  async happen(lab) {
    lab.load(letters);
    const process = lab.begin({ before: "ulimit -n 256" });
    await process.running;
    await lab.midst();
    await process.call("useUpFiles", usedUpMs);
    await process.call("endShard", lab.random.next());
    await lab.settleOrFail(process, tooFewFiles);
  },
};

export const processFaults: readonly Fault[] = [
  stopped,
  clockJumps,
  secondProcess,
  abortOfMain,
  endOfShard,
  endOfStorage,
  fewFiles,
  usedUpFiles,
];

async function refusedStart(lab: FaultLab): Promise<void> {
  lab.failedWith(await lab.begin().ended, ["HF_LOCKED"]);
}
