/**
 * `npm run profile -- NAME [options of the bench]`: runs a bench with a CPU profile of every thread, and prints where each
 * thread spent its own time. The profiles stay, for Chrome's developer tools or speedscope.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The parts of a `.cpuprofile` that are used; times are microseconds. */
interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

interface SelfTime {
  readonly place: string;
  us: number;
}

const functionsShown = 25;
/** Threads that were busy for less are left out: the loader's, for example. */
const busyUsMin = 50_000;
const samplingUs = 500;
/** What tells the kind of a thread: the file that only it runs. */
const kinds = [
  ["shard-thread.js", "shard"],
  ["storage-thread.js", "storage"],
  ["bench/main.js", "main"],
] as const;
/** Time in which a thread ran nothing. */
const idle: ReadonlySet<string> = new Set(["(idle)", "(program)"]);

main(process.argv.slice(2));

function main(args: readonly string[]): void {
  if (args.length === 0) {
    console.error("usage: npm run profile -- NAME [options of the bench]");
    process.exitCode = 2;
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), "holdfast-profile-"));
  const flags = ["--cpu-prof", `--cpu-prof-dir=${directory}`, `--cpu-prof-interval=${samplingUs}`];
  const bench = fileURLToPath(new URL("./main.js", import.meta.url));
  const { status } = spawnSync(process.execPath, [...flags, bench, ...args], { stdio: "inherit" });
  for (const name of readdirSync(directory).sort()) printProfile(join(directory, name));
  console.log(`\nprofiles: ${directory}`);
  process.exitCode = status ?? 1;
}

function printProfile(path: string): void {
  const profile = JSON.parse(readFileSync(path, "utf8")) as CpuProfile;
  const times = selfTimes(profile);
  const whole = times.reduce((sum, { us }) => sum + us, 0);
  const busy = times.reduce((sum, { place, us }) => sum + (idle.has(place) ? 0 : us), 0);
  if (busy < busyUsMin) return;
  console.log(`\n${kindOf(profile)} thread, busy ${ms(busy)} of ${ms(whole)} ms   ${basename(path)}`);
  for (const { place, us } of times.filter((time) => !idle.has(time.place)).slice(0, functionsShown)) {
    console.log(`${((100 * us) / busy).toFixed(1).padStart(6)} % ${ms(us).padStart(8)} ms  ${place}`);
  }
}

/** Own time of each function, the longest first. */
function selfTimes({ nodes, samples, timeDeltas }: CpuProfile): SelfTime[] {
  const places = new Map(nodes.map(({ id, callFrame }) => [id, placeOf(callFrame)]));
  const times = new Map<string, SelfTime>();
  for (const [index, id] of samples.entries()) {
    const place = places.get(id) as string;
    let time = times.get(place);
    if (time === undefined) {
      time = { place, us: 0 };
      times.set(place, time);
    }
    time.us += timeDeltas[index + 1] ?? 0;
  }
  return [...times.values()].sort((a, b) => b.us - a.us);
}

function placeOf({ functionName, url, lineNumber }: CpuProfile["nodes"][number]["callFrame"]): string {
  const name = functionName === "" ? "(anonymous)" : functionName;
  if (url === "") return name;
  return `${name}  ${url.replace(/^.*\/(?=(?:dist|node_modules)\/)/, "")}:${lineNumber + 1}`;
}

function kindOf({ nodes }: CpuProfile): string {
  for (const [file, kind] of kinds) if (nodes.some(({ callFrame }) => callFrame.url.endsWith(file))) return kind;
  return "another";
}

function ms(us: number): string {
  return Math.round(us / 1000).toString();
}
