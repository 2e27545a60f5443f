/**
 * Leaving the process with an exit code, whatever still hangs.
 *
 * `process.exit` never returns when a native thread is in the wrong place (measured with LMDB), and then no timer of
 * this process fires either. So the last resort is another process: it outlives a hanging exit by a few seconds, kills,
 * and goes away by itself when its parent has gone.
 */
import { spawn } from "node:child_process";

/** Time for the event loop to come to its end by itself before `process.exit` is called. */
const lingerMs = 2_000;
const killAfterMs = 3_000;

/** Leaves when the event loop is empty, or after a while. Output that is under way is still written. */
export function leave(code: number): void {
  process.exitCode = code;
  setTimeout(() => leaveNow(code), lingerMs).unref();
}

/** Leaves at once; after a few seconds by SIGKILL. */
export function leaveNow(code: number, killAfter = killAfterMs): void {
  armKiller(killAfter);
  process.exit(code);
}

function armKiller(afterMs: number): void {
  // The parent is killed only while it is the parent: a process id may be given to somebody else.
  const parent = process.pid;
  const script =
    `process.stdin.on("end", () => process.exit()).resume();` +
    `setTimeout(() => { if (process.ppid === ${parent}) process.kill(${parent}, "SIGKILL"); process.exit(); }, ${afterMs});`;
  try {
    const killer = spawn(process.execPath, ["-e", script], { stdio: ["pipe", "ignore", "ignore"], detached: true });
    killer.on("error", () => {});
    killer.unref();
  } catch {
    // no process to be had: then without the last resort
  }
}
