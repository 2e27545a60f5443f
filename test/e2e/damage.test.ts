/** Damage to the data directory of a real application: refused, verified, accepted. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { isHoldfastError, verify } from "../../lib/index.js";
import { account } from "./apps/bank.app.js";
import { appTest, type Lab } from "./running-app.js";

const cli = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

/** Runs the bank until some payments are committed, each in an epoch of its own. */
async function pay(lab: Lab): Promise<void> {
  const app = await lab.start("bank");
  for (let payment = 0; payment < 5; payment++) {
    await app.send(account.at("1"), { payment, amount: 1, hops: 0 });
    await app.checkpoint();
  }
  await app.stop();
}

/** Flips a bit in the middle of what the log holds. */
function damageLog({ dataDir }: Lab): void {
  const log = join(dataDir, "log");
  const file = join(log, readdirSync(log).sort()[0] as string);
  const bytes = readFileSync(file);
  let end = bytes.length;
  while (bytes[end - 1] === 0) end--;
  bytes[end >> 1]! ^= 4;
  writeFileSync(file, bytes);
}

describe("a damaged data directory", () => {
  appTest("is refused, and goes on from the last good epoch when the loss is accepted", async (lab) => {
    await pay(lab);
    damageLog(lab);
    let refusal = "";
    await assert.rejects(lab.start("bank"), (error) => {
      refusal = String(error);
      return isHoldfastError(error, "HF_LOG_DAMAGED");
    });
    const recoverTo = Number(/--recover-to (\d+)/.exec(refusal)?.[1]);
    assert.ok(recoverTo >= 0, refusal);
    assert.equal((await verify(lab.dataDir)).lastGood, recoverTo);
    const app = await lab.start("bank", { recoverTo });
    const { balance } = await app.ask(account.at("1"), "read");
    assert.ok(balance < 5, "the last payments are lost");
    await app.stop();
    assert.equal((await verify(lab.dataDir)).sound, true);
  });

  appTest("is not verified while an application has it open", async (lab) => {
    await lab.start("bank");
    await assert.rejects(verify(lab.dataDir), { code: "HF_LOCKED" });
    assert.equal(spawnSync(process.execPath, [cli, "verify", lab.dataDir]).status, 2);
  });

  appTest("is told file by file by holdfast verify, which changes none of them", async (lab) => {
    await pay(lab);
    const before = contents(lab.dataDir);
    const sound = execFileSync(process.execPath, [cli, "verify", lab.dataDir], { encoding: "utf8" });
    for (const part of ["CURRENT", "MANIFEST-1", "log/000000000001", "state/1/0/data.mdb", "LMDB reads them all"]) {
      assert.ok(sound.includes(part), `${part} in ${sound}`);
    }
    damageLog(lab);
    const { status, stdout } = spawnSync(process.execPath, [cli, "verify", "--json", lab.dataDir], {
      encoding: "utf8",
    });
    assert.equal(status, 1);
    const { files } = JSON.parse(stdout) as { files: { path: string; damage: string[] }[] };
    const [damaged, ...others] = files.filter(({ damage }) => damage.length > 0);
    assert.match(`${damaged?.path}: ${damaged?.damage}`, /^log\/000000000001: offset \d+: the log ends at epoch \d+/);
    assert.deepEqual(others, []);
    damageLog(lab);
    assert.deepEqual(contents(lab.dataDir), before);
  });
});

test("a data directory that is not there is not verified", async () => {
  await assert.rejects(verify("/nowhere/at/all"), { code: "HF_DATA_DIR" });
});

/** Bytes by file, but LMDB's lock files, which readers are noted in. */
function contents(directory: string): Record<string, string> {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8", withFileTypes: false });
  const files = names.filter((name) => /(CURRENT|MANIFEST-\d+|\d{12}|data\.mdb|DURABLE)$/.test(name)).sort();
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(directory, name), "latin1")]));
}
