/** Starts storage on a damaged data directory, reads everything back, and judges. */
import { cpSync, rmSync } from "node:fs";
import { type ErrorCode, isHoldfastError } from "../../lib/base/errors.js";
import { seededRandom } from "../../lib/base/random.js";
import { NodeDisk } from "../../lib/log/node-disk.js";
import type { Recovered, RecoveryConfig } from "../../lib/snapshot/recovery.js";
import { Storage } from "../../lib/snapshot/storage.js";
import { type InspectedBase, Verification, type VerifyReport } from "../../lib/snapshot/verification.js";
import { destroyBase, inspectBase, openBaseReader, openBaseWriter } from "../../lib/store/lmdb-base.js";
import { stateKey } from "../../lib/store/row-key.js";
import { contentOf, functionCode, recoveryConfig } from "../stored/stored-workload.js";
import { appConfig, startAndStop } from "./app-specimen.js";
import { type Damage, damageOne } from "./damage.js";
import { isFoundWhenRead } from "./found-when-read.js";
import { digestOf, type Specimen } from "./specimen.js";

/** How a case ended. */
export interface Verdict {
  readonly verdict: "ignored" | "refused" | "silent";
  readonly damage: Damage;
  /** What went wrong, or the error or warning. */
  readonly why: string;
  /** The loss was accepted with `recoverTo`, and what there was then was right. */
  readonly recovered: boolean;
}

/** What a start or a read may say of damage. */
const refusals: readonly ErrorCode[] = ["HF_LOG_DAMAGED", "HF_STATE_DAMAGED", "HF_FORMAT"];
const rowsAfterwards = 300;
const dataFile = /data\.mdb$/;

class Silent extends Error {}

/** Copies a specimen, damages the copy, and examines it. */
export async function examine(specimen: Specimen, seed: number, scratch: string): Promise<Verdict> {
  rmSync(scratch, { recursive: true, force: true });
  cpSync(specimen.directory, scratch, { recursive: true });
  const damage = damageOne(scratch, seededRandom(seed));
  try {
    return { ...(await judge(specimen, damage, scratch)), damage };
  } catch (error) {
    if (error instanceof Silent) return { verdict: "silent", damage, why: error.message, recovered: false };
    const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { verdict: "silent", damage, why, recovered: false };
  }
}

async function judge(specimen: Specimen, damage: Damage, scratch: string): Promise<Omit<Verdict, "damage">> {
  const verified = await new Verification(scratch, { disk: new NodeDisk(), inspectBase: inspectForVerify }).run();
  const { kind, shards } = specimen;
  const config = kind === "app" ? appConfig(scratch, shards) : recoveryConfig(scratch, shards);
  const started = kind === "app" ? await startForReal(scratch, shards) : undefined;
  const isBase = dataFile.test(damage.file);
  const refusal = startAndRead(specimen, config, isBase);
  const maySayNothing = isFoundWhenRead(refusal) && started === undefined;
  if (kind === "app" && (started === undefined) !== (refusal === undefined) && !maySayNothing) {
    throw new Silent(`a start says: ${started ?? "nothing"}; recovery: ${refusal ?? "nothing"}`);
  }
  if (refusal === undefined) return { verdict: "ignored", why: verified.notes.join("; "), recovered: false };
  checkRefusal(refusal, damage, verified);
  const asked = /--recover-to (\d+)/.exec(refusal)?.[1];
  if (asked === undefined) return { verdict: "refused", why: refusal, recovered: false };
  if (Number(asked) !== verified.lastGood)
    throw new Silent(`verify says ${verified.lastGood}, the start says: ${refusal}`);
  const again = startAndRead(specimen, { ...config, recoverTo: Number(asked) }, isBase);
  if (again !== undefined && !refusals.some((code) => again.startsWith(code)))
    throw new Silent(`with recoverTo: ${again}`);
  return { verdict: "refused", why: refusal, recovered: again === undefined };
}

/** Starts the application itself on a copy, and stops it. @returns its refusal */
async function startForReal(scratch: string, shards: number): Promise<string | undefined> {
  const copy = `${scratch}-started`;
  rmSync(copy, { recursive: true, force: true });
  cpSync(scratch, copy, { recursive: true });
  try {
    await startAndStop(copy, shards);
    return undefined;
  } catch (error) {
    if (isHoldfastError(error) && refusals.includes(error.code)) return error.message;
    throw error;
  }
}

/** Starts and reads everything. @returns the refusal, or undefined when all is right @throws when something is not */
function startAndRead(specimen: Specimen, config: RecoveryConfig, alsoWrite: boolean): string | undefined {
  const storage = new Storage({
    clock: { now: () => 0, wall: () => 0 },
    disk: new NodeDisk(),
    openBase: (path) => openBaseWriter(path),
    destroyBase,
  });
  try {
    const recovered = storage.recover(config);
    checkContent(specimen, recovered, config.recoverTo);
    checkReads(config, recovered);
    if (alsoWrite) writeSomething(recovered);
    storage.close();
    if (alsoWrite) checkBases(config, recovered);
    return undefined;
  } catch (error) {
    if (error instanceof Silent || !isHoldfastError(error)) throw error;
    if (!refusals.includes(error.code)) throw new Silent(`no refusal: ${error.message}`);
    return error.message;
  } finally {
    storage.close();
  }
}

function checkContent(specimen: Specimen, recovered: Recovered, recoverTo: number | undefined): void {
  const content = contentOf(recovered);
  const { epoch } = content;
  if (recoverTo === undefined && epoch < specimen.acknowledged) {
    throw new Silent(`epoch ${specimen.acknowledged} was acknowledged, and the start says ${epoch}`);
  }
  if (recoverTo !== undefined && epoch !== recoverTo) throw new Silent(`went back to ${epoch} instead of ${recoverTo}`);
  const should = specimen.digests[epoch];
  if (specimen.kind === "app" && should === undefined) return; // another epoch than the last
  const isRight = digestOf(content) === should || (recoverTo !== undefined && sinceWatermark(specimen, content));
  if (!isRight) throw new Silent(`the content of epoch ${epoch} is not what it was`);
}

/** After a loss the sink may be further back than the lost commits had said. */
function sinceWatermark(specimen: Specimen, content: ReturnType<typeof contentOf>): boolean {
  for (let watermark = content.watermark; watermark <= content.epoch; watermark++) {
    if (digestOf({ ...content, watermark }) === specimen.digests[content.epoch]) return true;
  }
  return false;
}

/** Every row of the bases is found by its key. */
function checkReads({ dataDir }: RecoveryConfig, { merges, manifest }: Recovered): void {
  for (const [shard, { base }] of merges.entries()) {
    const reader = openBaseReader(Storage.basePath(dataDir, manifest.layout, shard));
    try {
      for (const { key, value } of base.scan(new Uint8Array(0), Uint8Array.of(0xff, 0xff, 0xff))) {
        const read = reader.get(key);
        if (read === undefined || Buffer.compare(read, value) !== 0) throw new Silent("a row is not found by its key");
      }
    } finally {
      reader.close();
    }
  }
}

/** What is written next must not spoil what is there. */
function writeSomething({ merges }: Recovered): void {
  for (const { base } of merges) {
    for (let round = 0; round < 3; round++) {
      const rows = Array.from({ length: rowsAfterwards }, (_, index) => {
        const value = new Uint8Array(index % 50 === 0 ? 9_000 : 60).fill(round);
        return { key: stateKey(index % 16, functionCode, `new-${index}`), value };
      });
      base.apply(rows);
    }
  }
}

function checkBases({ dataDir }: RecoveryConfig, { manifest }: Recovered): void {
  for (let shard = 0; shard < manifest.shards; shard++) {
    const report = inspectBase(Storage.basePath(dataDir, manifest.layout, shard), { values: true });
    const first = report?.damage[0];
    if (first !== undefined) throw new Silent(`a base that was taken is damaged after writing: ${first.what}`);
  }
}

/** A refusal says which file, and where in it; `verify` finds it, too. */
function checkRefusal(refusal: string, { file }: Damage, verified: VerifyReport): void {
  const part = dataFile.test(file) ? file.replace(/\/data\.mdb$/, "") : file.startsWith("log/") ? "/log" : file;
  if (!refusal.includes(part)) throw new Silent(`the refusal does not name ${part}: ${refusal}`);
  const isPlaced = /offset \d+|key |checksum|missing|cut short|does not name|has a wrong|format/.test(refusal);
  if (!isPlaced) throw new Silent(`the refusal does not say where: ${refusal}`);
  if (verified.sound) throw new Silent(`verify finds nothing wrong, but the start says: ${refusal}`);
}

async function inspectForVerify(path: string): Promise<InspectedBase | undefined> {
  const report = inspectBase(path, { values: true });
  if (report === undefined) return undefined;
  return { epoch: report.epoch, checked: "", damage: report.damage.map(({ what }) => what) };
}
