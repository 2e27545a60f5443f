/** `npm run corrupt`: damages data directories and looks whether any damage goes unnoticed. */
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeAppSpecimens } from "./app-specimen.js";
import { examineAll, type Outcome } from "./examiner-pool.js";
import { makeSpecimens } from "./specimen.js";

const specimensMax = 60;
const shown = 20;
const { values } = parseArgs({
  options: {
    count: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    verbose: { type: "boolean", default: false },
  },
});
const count = Number(values.count);
const seed = Number(values.seed);
const root = mkdtempSync(join(tmpdir(), "holdfast-corrupt-"));
const tally = { ignored: 0, refused: 0, silent: 0 };
const files = new Map<string, { ignored: number; refused: number; silent: number }>();
let recovered = 0;
try {
  const specimens = [...makeSpecimens(root, specimensMax, 1), ...(await makeAppSpecimens(root))];
  await examineAll(specimens, seed, count, availableParallelism(), root, see);
} finally {
  rmSync(root, { recursive: true, force: true });
}
for (const [file, { ignored, refused, silent }] of [...files].sort()) {
  console.log(`${file}: ${ignored} ignored, ${refused} refused, ${silent} silent`);
}
console.log(`with the loss accepted, recovered to the last good epoch: ${recovered}`);
console.log(JSON.stringify({ count, ...tally }));
process.exitCode = tally.silent === 0 ? 0 : 1;

function see(outcome: Outcome): void {
  const { verdict, damage, why, specimen } = outcome;
  tally[verdict]++;
  if (outcome.recovered) recovered++;
  const kind = damage.file.replace(/\d+/g, "n");
  const byFile = files.get(kind) ?? { ignored: 0, refused: 0, silent: 0 };
  byFile[verdict]++;
  files.set(kind, byFile);
  const isShown = values.verbose || (verdict === "silent" && tally.silent <= shown);
  if (!isShown) return;
  console.error(
    `${verdict}: seed ${outcome.seed} (--seed ${outcome.seed} --count 1), ${specimen}, ${damage.file}: ${damage.what}`,
  );
  console.error(`  ${why}`);
}
