/** `npm run fuzz`: whatever comes from outside, made up, damaged and hostile. */
import { parseArgs } from "node:util";
import { fuzzApart } from "./fuzz.js";
import { areas, chosen } from "./run.js";

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "30" },
    seed: { type: "string", default: "1" },
    only: { type: "string", default: areas.join(",") },
    path: { type: "string" },
  },
});
const only = values.only.split(",");
const unknown = only.find((name) => chosen([name]).length === 0);
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
if (unknown !== undefined || !(seconds > 0) || !Number.isSafeInteger(seed)) {
  console.error(`usage: npm run fuzz -- [--seconds N] [--seed S] [--only ${areas.join(",")}]`);
  process.exit(1);
}
const { cases, failures } = await fuzzApart({
  seconds,
  seed,
  only,
  ...(values.path === undefined ? {} : { path: values.path }),
});
for (const [target, count] of Object.entries(cases)) console.log(`${target}: ${count} cases`);
for (const failure of failures) {
  const path = failure.path === "" ? "" : ` --path ${failure.path}`;
  console.error(`${failure.report}\nagain: npm run fuzz -- --only ${failure.target} --seed ${failure.seed}${path}`);
}
const total = Object.values(cases).reduce((sum, count) => sum + count, 0);
console.log(JSON.stringify({ cases: total, failures: failures.length }));
process.exitCode = failures.length === 0 ? 0 : 1;
