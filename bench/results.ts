/** Result files: what a bench said, and where and when it said it. They stay in `bench/results`. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { arch, cpus, platform, totalmem } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BenchResult } from "./bench.js";

/** A result with its circumstances. */
export interface SavedResult {
  /** UTC, ISO 8601. */
  readonly at: string;
  readonly commit: string;
  /** Files differed from the commit. */
  readonly changed: boolean;
  readonly node: string;
  readonly machine: {
    readonly system: string;
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGiB: number;
  };
  /** The command line behind `npm run bench --`. */
  readonly command: string;
  readonly result: BenchResult;
}

/** Seen from the compiled file. */
const root = fileURLToPath(new URL("../../", import.meta.url));
export const resultsDirectory = join(root, "bench", "results");

/** Writes a result file; returns its path. */
export function save(result: BenchResult, command: string): string {
  const saved: SavedResult = {
    at: new Date().toISOString(),
    commit: git("rev-parse", "--short=12", "HEAD"),
    changed: git("status", "--porcelain", "--untracked-files=no") !== "",
    node: process.version,
    machine: {
      system: `${platform()} ${arch()}`,
      cpu: cpus()[0]?.model.trim() ?? "unknown",
      cores: cpus().length,
      memoryGiB: Math.round(totalmem() / 2 ** 30),
    },
    command,
    result,
  };
  mkdirSync(resultsDirectory, { recursive: true });
  const options = command.replace(/^\S+/, "").replace(/--(?:save|json)\b/g, "");
  const suffix =
    options
      .match(/[A-Za-z0-9.]+/g)
      ?.map((part) => `-${part}`)
      .join("") ?? "";
  const path = join(resultsDirectory, `${saved.at.slice(0, 10)}-${result.name}${suffix}.json`);
  writeFileSync(path, `${JSON.stringify(saved, undefined, 2)}\n`);
  return path;
}

/** The newest result file of a bench; undefined when there is none. */
export function newestResult(name: string): SavedResult | undefined {
  const files = readdirSync(resultsDirectory).filter((file) => file.endsWith(".json"));
  const found = files.map((file) => JSON.parse(readFileSync(join(resultsDirectory, file), "utf8")) as SavedResult);
  return found.filter(({ result }) => result.name === name).sort((a, b) => (a.at < b.at ? 1 : -1))[0];
}

function git(...args: readonly string[]): string {
  try {
    return execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  } catch {
    return "unknown"; // not a checkout
  }
}
