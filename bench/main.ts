/**
 * `npm run bench -- NAME [--json] [--quick] [options]`: runs one bench. Its last line is one JSON object.
 */
import { parseArgs } from "node:util";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    shards: { type: "string" },
    messages: { type: "string" },
    keys: { type: "string" },
  },
});

if (values.keys !== undefined) process.env.HOLDFAST_BENCH_KEYS = values.keys;
const log = (line: string): void => console.error(line);
const [name] = positionals;

switch (name) {
  case "throughput": {
    const bench = await import("./throughput/throughput.js");
    const result = await bench.throughput({
      shards: Number(values.shards ?? 2),
      rounds: Number(values.rounds ?? (values.quick ? 3 : 7)),
      chainsPerShard: 500,
      messages: Number(values.messages ?? (values.quick ? 500_000 : 5_000_000)),
      baselineMessages: values.quick ? 200_000 : 1_000_000,
      log,
    });
    if (!values.json) log(`${result.value} msg/s, ${result.ratio} times postMessage`);
    console.log(JSON.stringify(result));
    break;
  }
  default:
    console.error(`there is no bench "${name ?? ""}"; there is: throughput`);
    process.exitCode = 2;
}
