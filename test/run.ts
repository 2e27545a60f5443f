/**
 * Runs every compiled test file with Node's own runner. Node 20's runner takes no globs, so the list is made here.
 *
 * `node dist/test/run.js [name-part ...]` runs only the files whose path contains one of the parts.
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

const root = import.meta.dirname;
const parts = process.argv.slice(2);
const files = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".test.js"))
  .filter((name) => parts.length === 0 || parts.some((part) => name.includes(part)))
  .sort()
  .map((name) => join(root, name));

if (files.length === 0) {
  console.error(`no test file matches ${parts.join(", ")}`);
  process.exit(1);
}
const outcome = spawnSync(process.execPath, ["--test", "--test-concurrency=2", ...files], { stdio: "inherit" });
process.exit(outcome.status ?? 1);
