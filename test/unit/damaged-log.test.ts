/** Damage to the log that reaches committed epochs: refused, and taken up at the last good epoch when told so. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { type ErrorCode, isHoldfastError } from "../../lib/base/errors.js";
import { seededRandom } from "../../lib/base/random.js";
import { type LogRecord, scanLog } from "../../lib/log/log-reader.js";
import { readManifest } from "../../lib/log/manifest.js";
import { recordType } from "../../lib/log/record.js";
import { segmentPath } from "../../lib/log/segment-name.js";
import type { Recovered } from "../../lib/snapshot/recovery.js";
import { Storage } from "../../lib/snapshot/storage.js";
import { SimBase } from "../simulation/sim-base.js";
import { SimDisk } from "../simulation/sim-disk.js";
import { assertContent, contentOf, recoveryConfig, StoredWorkload } from "../stored/stored-workload.js";

const dataDir = "/data";
const shards = 2;

/** A data directory, and what is in it. */
class Directory {
  readonly disk = new SimDisk(seededRandom(1));
  readonly #bases = new Map<string, SimBase>();
  readonly workload: StoredWorkload;

  constructor() {
    this.disk.mkdir(dataDir);
    this.workload = new StoredWorkload(dataDir, seededRandom(2), this.#ports);
    this.workload.start(shards);
  }

  get #ports(): ConstructorParameters<typeof StoredWorkload>[2] {
    return {
      disk: this.disk,
      openBase: (path) => {
        const base = this.#bases.get(path) ?? new SimBase();
        this.#bases.set(path, base);
        this.disk.mkdir(path);
        return base.openWriter();
      },
      destroyBase: (path) => this.#bases.delete(path),
    };
  }

  /** Commits without merging. */
  commit(epochs: number): void {
    for (let epoch = 0; epoch < epochs; epoch++) this.workload.commit(10);
  }

  merge(): void {
    this.workload.work(60);
  }

  /** Ends the process, without a word. */
  kill(): void {
    this.disk.crash("process");
    for (const base of this.#bases.values()) base.crash("process", seededRandom(1));
  }

  /** Recovers after a kill. */
  recover(recoverTo?: number): Recovered {
    this.kill();
    const storage = new Storage({ clock: { now: () => 0, wall: () => 0 }, ...this.#ports });
    const config = recoveryConfig(dataDir, shards);
    return storage.recover(recoverTo === undefined ? config : { ...config, recoverTo });
  }

  records(): LogRecord[] {
    const records: LogRecord[] = [];
    const first = readManifest(this.disk, dataDir)?.firstSegment ?? 0;
    scanLog(this.disk, `${dataDir}/log`, first, (record) => records.push(record));
    return records;
  }

  /** The record of this type and epoch. */
  record(type: number, epoch: number): LogRecord {
    const found = this.records().find((record) => record.type === type && record.epoch === epoch);
    assert.ok(found !== undefined, `a record of epoch ${epoch}`);
    return found;
  }

  damage({ segment, offset }: LogRecord): void {
    this.disk.flipBit(segmentPath(`${dataDir}/log`, segment), offset + 44, 3);
  }

  /** Zeros from a record to the end of its segment. */
  zeroFrom({ segment, offset }: LogRecord): void {
    const file = this.disk.open(segmentPath(`${dataDir}/log`, segment), "existing");
    file.write(new Uint8Array(file.size() - offset), offset);
    file.close();
  }
}

function refused(directory: Directory, code: ErrorCode, message: RegExp, recoverTo?: number): void {
  assert.throws(
    () => directory.recover(recoverTo),
    (error) => isHoldfastError(error, code) && message.test(error.message),
  );
}

describe("a log with damage to committed epochs", () => {
  test("is refused with file and offset, and names the last good epoch", () => {
    const directory = new Directory();
    directory.commit(6);
    const record = directory.record(recordType.delta, 4);
    directory.damage(record);
    refused(
      directory,
      "HF_LOG_DAMAGED",
      new RegExp(`segment ${record.segment} of /data/log, offset ${record.offset} .*--recover-to 3 `),
    );
  });

  test("goes on from the last good epoch when that is accepted, and from no other", () => {
    const directory = new Directory();
    directory.commit(6);
    directory.damage(directory.record(recordType.delta, 4));
    for (const other of [0, 2, 4, 6]) refused(directory, "HF_LOG_DAMAGED", /last good epoch is 3/, other);
    const recovered = directory.recover(3);
    assertContent(contentOf(recovered), directory.workload.content(3));
    assert.match(recovered.warnings.join(), /went back to epoch 3 of 6/);
    assert.equal(contentOf(directory.recover()).epoch, 3);
  });

  test("that the bases are ahead of loses no state", () => {
    const directory = new Directory();
    directory.commit(4);
    directory.merge();
    directory.commit(3);
    directory.damage(directory.record(recordType.delta, 2));
    refused(directory, "HF_LOG_DAMAGED", /last good epoch is 7/);
    assertContent(contentOf(directory.recover(7)), directory.workload.content(7));
  });

  test("is refused when its end is gone, though what is left looks like a log that was never longer", () => {
    const directory = new Directory();
    directory.commit(6);
    directory.zeroFrom(directory.records().find(({ epoch }) => epoch === 3) as LogRecord);
    refused(directory, "HF_LOG_DAMAGED", /ends at epoch 2, but epoch 6 was durable/);
    assertContent(contentOf(directory.recover(2)), directory.workload.content(2));
  });

  test("is refused when only its last epoch is damaged", () => {
    const directory = new Directory();
    directory.commit(6);
    directory.damage(directory.record(recordType.commit, 6));
    refused(directory, "HF_LOG_DAMAGED", /last good epoch is 5/);
  });

  test("is refused when no commit is left in it, since nothing else says where the sinks are", () => {
    const directory = new Directory();
    directory.commit(4);
    directory.merge();
    for (const record of directory.records().filter(({ offset }) => offset === 0)) directory.zeroFrom(record);
    refused(directory, "HF_LOG_DAMAGED", /No epoch can be recovered/);
  });

  test("is read without the note of what was durable, when that is damaged", () => {
    const directory = new Directory();
    directory.commit(6);
    for (const position of [3, 4099]) directory.disk.flipBit(`${dataDir}/DURABLE`, position, 1);
    assertContent(contentOf(directory.recover()), directory.workload.content(6));
  });
});

test("a log that is whole says that recoverTo was not needed, and loses nothing", () => {
  const directory = new Directory();
  directory.commit(3);
  const recovered = directory.recover(1);
  assertContent(contentOf(recovered), directory.workload.content(3));
  assert.match(recovered.warnings.join(), /not needed/);
});

test("a log keeps its last commit however far bases and sinks are", () => {
  const directory = new Directory();
  for (let round = 0; round < 30; round++) {
    directory.commit(3);
    directory.workload.acknowledge();
    directory.commit(1);
    directory.merge();
    directory.workload.rest();
    assert.ok(directory.record(recordType.commit, directory.workload.committed));
  }
  assert.ok((readManifest(directory.disk, dataDir)?.firstSegment ?? 0) > 1, "the log was trimmed");
});
