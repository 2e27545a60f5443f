/** `npm run failkth`: lets every call of storage into its ports fail once, in every way. */
import { parseArgs } from "node:util";
import { failEachCall } from "./fail-kth.js";

const violationsShown = 20;
const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    stride: { type: "string", default: "1" },
  },
});
const report = failEachCall({
  rounds: Number(values.rounds),
  seed: Number(values.seed),
  stride: Number(values.stride),
});
for (const violation of report.violations.slice(0, violationsShown)) console.error(violation);
console.log(JSON.stringify({ ...report, violations: report.violations.length }));
process.exitCode = report.violations.length === 0 ? 0 : 1;
