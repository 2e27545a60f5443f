/**
 * `npm run bench -- NAME [--json] [--save] [--quick] [options]`: runs one bench. Its last line on standard output is one
 * JSON object; everything else goes to standard error.
 */
import { parseArgs } from "node:util";
import type { BenchOptions, BenchResult } from "./bench.js";
import { benches } from "./benches.js";
import { save } from "./results.js";

const numbers = ["rounds", "shards", "splits", "keys", "messages", "load", "chains", "addresses"] as const;

await main();

async function main(): Promise<void> {
  const command = parse();
  const load = command === undefined ? undefined : benches.get(command.name);
  if (command === undefined || load === undefined) {
    console.error(
      `usage: npm run bench -- NAME [--json] [--save] [--quick] [--cap] [${numbers.map((n) => `--${n} N`).join("] [")}]`,
    );
    console.error(`where NAME is one of ${[...benches.keys()].join(", ")}`);
    process.exitCode = 2;
    return;
  }
  const bench = await load();
  const result = await bench.run(command.options);
  if (command.save) console.error(`saved: ${save(result, process.argv.slice(2).join(" "))}`);
  if (!command.json) console.error(sentence(result));
  console.log(JSON.stringify(result));
}

/** Undefined, and why on standard error, when the command line cannot be understood. */
function parse(): { name: string; json: boolean; save: boolean; options: BenchOptions } | undefined {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        json: { type: "boolean", default: false },
        save: { type: "boolean", default: false },
        quick: { type: "boolean", default: false },
        cap: { type: "boolean" },
        rounds: { type: "string" },
        shards: { type: "string" },
        splits: { type: "string" },
        keys: { type: "string" },
        messages: { type: "string" },
        load: { type: "string" },
        chains: { type: "string" },
        addresses: { type: "string" },
      },
    });
    const given: Partial<Record<(typeof numbers)[number], number>> = {};
    for (const name of numbers) {
      const text = values[name];
      if (text !== undefined) given[name] = positive(name, text);
    }
    const { json, save, quick, cap } = values;
    const log = (line: string): void => console.error(line);
    return { name: positionals[0] ?? "", json, save, options: { quick, ...given, ...(cap && { cap }), log } };
  } catch (error) {
    console.error((error as Error).message);
    return undefined;
  }
}

function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0 && Number.isFinite(value)) return value;
  throw new Error(`--${name} must be a number above 0, not ${text}`);
}

function sentence({ name, value, unit, baseline, ratio }: BenchResult): string {
  const compared = ratio === undefined ? "" : `, ${ratio} to the baseline of ${baseline}`;
  return `${name}: ${value} ${unit}${compared}`;
}
