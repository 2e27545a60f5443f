/** A process that takes the lock of the directory it is given, says so, and stays until it is killed. */
import { acquireLock, type LockKind } from "../../lib/log/lock.js";

const [dataDir, kind] = process.argv.slice(2);
try {
  await acquireLock(dataDir!, kind as LockKind);
  process.stdout.write("locked\n");
  if (process.argv[4] !== "leave") process.stdin.resume(); // the lock itself must not keep the process alive
} catch (error) {
  process.stdout.write(`${(error as { code?: string }).code}\n`);
}
