import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { isHoldfastError } from "../../lib/base/errors.js";
import { logRecordBytesMax } from "../../lib/base/limits.js";
import { seededRandom } from "../../lib/base/random.js";
import { type LogRecord, type LogScan, scanLog } from "../../lib/log/log-reader.js";
import { LogWriter, type LogWriterOptions, type RecordFields } from "../../lib/log/log-writer.js";
import {
  encodeRecord,
  type RecordHeader,
  readRecordHeader,
  recordBytes,
  recordType,
  verifyRecord,
} from "../../lib/log/record.js";
import { listSegments, segmentPath } from "../../lib/log/segment-name.js";
import { SimDisk } from "../simulation/sim-disk.js";

const directory = "/data/log";
const small = { generation: 1, firstSegment: 1, segmentBytes: 4096, zeroAheadBytes: 1024 };

function newDisk(): SimDisk {
  const disk = new SimDisk(seededRandom(1));
  disk.mkdir("/data");
  disk.syncDirectory("/");
  return disk;
}

function newLog(options: Partial<LogWriterOptions> = {}): { disk: SimDisk; writer: LogWriter } {
  const disk = newDisk();
  return { disk, writer: new LogWriter(disk, directory, { ...small, ...options }) };
}

function delta(epoch: number, durable = 0): RecordFields {
  return { type: recordType.delta, shard: 3, part: 0, parts: 1, epoch, durable };
}

function payload(size: number, fill: number): Uint8Array {
  return new Uint8Array(size).fill(fill);
}

function scan(disk: SimDisk, firstSegment = 1, generation?: number): LogScan & { records: LogRecord[] } {
  const records: LogRecord[] = [];
  const options = generation === undefined ? {} : { generation };
  return { ...scanLog(disk, directory, firstSegment, (record) => records.push(record), options), records };
}

function epochs(records: readonly LogRecord[]): number[] {
  return records.map(({ epoch }) => epoch);
}

function upTo(last: number): number[] {
  return Array.from({ length: last }, (_, index) => index + 1);
}

describe("a record", () => {
  const header: RecordHeader = {
    type: recordType.commit,
    shard: 7,
    part: 2,
    parts: 5,
    generation: 9,
    flags: 0x0102_0304,
    epoch: 2 ** 40 + 1,
    durable: 2 ** 40,
  };
  const bytes = new Uint8Array(64);
  const crc = encodeRecord(bytes, 8, header, payload(5, 0xab), 12, 4096);

  test("has the bytes that the format says", () => {
    const hex = Buffer.from(bytes.subarray(8, 56)).toString("hex");
    const golden = [
      "2d000000", // length
      hex.slice(8, 16), // checksum: below
      "e902", // magic, type
      "070002000500", // shard, part, parts
      "09000000", // generation
      "04030201", // flags
      "0100000000010000", // epoch
      "0000000000010000", // durable
      "ababababab000000", // payload and padding
    ];
    assert.equal(hex, golden.join(""));
    assert.equal(crc, Buffer.from(bytes.buffer).readUInt32LE(12));
    assert.equal(crc, 896_102_820, "the checksum of this record never changes");
  });

  test("reads back as it was written, and verifies at its own place only", () => {
    const read = readRecordHeader(bytes, 8)!;
    assert.deepEqual(read, { ...header, length: 45, crc });
    assert.equal(verifyRecord(bytes, 8, read, 12, 4096), true);
    assert.equal(verifyRecord(bytes, 8, read, 13, 4096), false);
    assert.equal(verifyRecord(bytes, 8, read, 12, 4104), false);
    assert.equal(verifyRecord(bytes, 8, { ...read, generation: 10 }, 12, 4096), false);
  });

  test("with a header that does not fit its fields is refused", () => {
    for (const wrong of [{ part: 5 }, { parts: 0 }, { epoch: -1 }, { epoch: 2 ** 53 }, { shard: 65_536 }]) {
      const attempt = () => encodeRecord(bytes, 0, { ...header, ...wrong }, payload(1, 1), 1, 0);
      assert.throws(attempt, { code: "HF_INVARIANT" });
    }
  });
});

describe("the log", () => {
  test("reads back what was flushed, field by field", () => {
    const { disk, writer } = newLog();
    const place = writer.append({ ...delta(5, 4), part: 1, parts: 3, flags: 8 }, payload(13, 7));
    writer.flush();
    const { records, end, damage, durableMax } = scan(disk);
    const fields = {
      type: recordType.delta,
      shard: 3,
      part: 1,
      parts: 3,
      generation: 1,
      flags: 8,
      epoch: 5,
      durable: 4,
    };
    assert.deepEqual(records, [{ ...fields, payload: payload(13, 7), ...place }]);
    assert.deepEqual(end, { segment: 1, offset: recordBytes(13) });
    assert.equal(damage, undefined);
    assert.equal(durableMax, 4);
  });

  test("a flush costs one write and one datasync, and nothing when nothing was appended", () => {
    const { disk, writer } = newLog({ segmentBytes: 65_536, zeroAheadBytes: 65_536 });
    writer.flush();
    disk.calls.clear();
    for (let epoch = 1; epoch <= 10; epoch++) writer.append(delta(epoch), payload(100, epoch));
    writer.flush();
    writer.flush();
    assert.deepEqual(Object.fromEntries(disk.calls), { write: 1, datasync: 1 });
  });

  test("continues over segments, none of which a record spans", () => {
    const { disk, writer } = newLog();
    for (let epoch = 1; epoch <= 40; epoch++) writer.append(delta(epoch), payload(500, epoch));
    writer.flush();
    const { records, damage } = scan(disk);
    assert.deepEqual(epochs(records), upTo(40));
    assert.equal(damage, undefined);
    assert.equal(listSegments(disk, directory).length, 6);
    for (const { offset, length } of records) assert.ok(offset + length <= small.segmentBytes);
  });

  test("takes a record that just fits a segment, and refuses a larger one without harm", () => {
    const { disk, writer } = newLog();
    writer.append(delta(1), payload(1, 1));
    assert.throws(() => writer.append(delta(2), payload(writer.payloadMax + 1, 2)), { code: "HF_INVARIANT" });
    writer.append(delta(2), payload(writer.payloadMax, 2));
    writer.append(delta(3), payload(writer.payloadMax, 3));
    writer.flush();
    assert.deepEqual(epochs(scan(disk).records), [1, 2, 3]);
  });

  test("refuses a payload over the record limit in large segments too", () => {
    const { writer } = newLog({ segmentBytes: 4 * logRecordBytesMax });
    assert.equal(writer.payloadMax, logRecordBytesMax);
    assert.throws(() => writer.append(delta(1), payload(logRecordBytesMax + 1, 1)), { code: "HF_INVARIANT" });
  });

  test("a batch larger than the writer's buffer reads back whole", () => {
    const { disk, writer } = newLog({ segmentBytes: 16 * logRecordBytesMax, zeroAheadBytes: logRecordBytesMax });
    for (let epoch = 1; epoch <= 10; epoch++) writer.append(delta(epoch), payload(logRecordBytesMax, epoch));
    writer.flush();
    const { records, damage } = scan(disk);
    assert.deepEqual(epochs(records), upTo(10));
    assert.ok(records.every((record) => record.payload.every((byte) => byte === record.epoch)));
    assert.equal(damage, undefined);
  });

  test("an empty one ends cleanly at its start", () => {
    const { disk, writer } = newLog();
    writer.flush();
    const { end, damage, nextSegmentNumber } = scan(disk);
    assert.deepEqual(
      { end, damage, nextSegmentNumber },
      { end: { segment: 1, offset: 0 }, damage: undefined, nextSegmentNumber: 2 },
    );
  });

  test("survives a crash of the system right after a flush that began new segments", () => {
    const { disk, writer } = newLog();
    for (let epoch = 1; epoch <= 20; epoch++) writer.append(delta(epoch), payload(700, epoch));
    writer.flush();
    disk.crash("os");
    const { records, damage } = scan(disk);
    assert.deepEqual(epochs(records), upTo(20));
    assert.equal(damage, undefined);
  });

  test("refuses a first segment that exists: numbers never repeat", () => {
    const { disk } = newLog();
    assert.throws(() => new LogWriter(disk, directory, small), { code: "HF_INVARIANT" });
  });
});

describe("preparing", () => {
  test("writes zeros ahead and the next segment in slices, and then has nothing to do", () => {
    const { disk, writer } = newLog();
    let slices = 0;
    while (writer.prepare()) slices++;
    assert.ok(slices > 0 && slices < 20, `${slices} slices`);
    assert.deepEqual(listSegments(disk, directory), [1, 2]);
    const [first, second] = [1, 2].map((segment) => disk.readFile(segmentPath(directory, segment)).length);
    assert.deepEqual([first, second], [1024, 1024]);
  });

  test("completes the next segment once the current one is half full", () => {
    const { disk, writer } = newLog();
    writer.append(delta(1), payload(2100, 1));
    writer.flush();
    while (writer.prepare());
    assert.equal(disk.readFile(segmentPath(directory, 2)).length, small.segmentBytes);
  });

  test("makes a commit create, rename and grow nothing", () => {
    const { disk, writer } = newLog();
    for (let epoch = 1; epoch <= 50; epoch++) {
      while (writer.prepare());
      disk.calls.clear();
      writer.append(delta(epoch), payload(900, epoch));
      writer.flush();
      assert.deepEqual([...disk.calls.keys()].sort(), ["datasync", "write"]);
    }
  });
});

describe("a full disk", () => {
  test("stops preparing only; accepted work goes on in the space taken ahead, and room is used when it returns", () => {
    const { disk, writer } = newLog();
    while (writer.prepare());
    disk.full = true;
    let epoch = 0;
    const commit = (): void => {
      writer.append(delta(++epoch), payload(100, epoch));
      writer.flush();
    };
    commit();
    assert.equal(writer.prepare(), false);
    assert.equal(writer.diskFull, true);
    assert.ok(writer.spaceAhead > 1024, `${writer.spaceAhead} bytes ahead`);
    while (writer.spaceAhead > 1024 + 200) commit();
    disk.full = false;
    assert.equal(writer.prepare(), true);
    assert.equal(writer.diskFull, false);
    while (epoch < 100) commit();
    assert.deepEqual(epochs(scan(disk).records), upTo(100));
  });

  test("with nothing left at all breaks the writer, and what was flushed stays", () => {
    const { disk, writer } = newLog();
    while (writer.prepare());
    disk.full = true;
    let epoch = 0;
    assert.throws(
      () => {
        for (;;) {
          writer.append(delta(epoch + 1), payload(100, epoch + 1));
          writer.flush();
          epoch++;
        }
      },
      { code: "HF_DISK_FULL" },
    );
    assert.throws(() => writer.flush(), { code: "HF_DISK_FULL" });
    disk.crash("os");
    assert.deepEqual(epochs(scan(disk).records).slice(0, epoch), upTo(epoch));
  });
});

describe("a writer whose disk failed", () => {
  const ways = {
    "a write": (disk: SimDisk) => disk.failNext("EIO", (call) => call === "write"),
    "a datasync": (disk: SimDisk) => disk.failNext("EIO", (call) => call === "datasync"),
  };
  for (const [what, fail] of Object.entries(ways)) {
    test(`at ${what} throws the same error at every later call`, () => {
      const { disk, writer } = newLog();
      writer.append(delta(1), payload(10, 1));
      fail(disk);
      let first: unknown;
      assert.throws(
        () => writer.flush(),
        (error) => {
          first = error;
          return isHoldfastError(error, "HF_IO");
        },
      );
      const later = [() => writer.flush(), () => writer.prepare(), () => writer.trim(1), () => writer.recycleOlder()];
      for (const call of [...later, () => writer.append(delta(2), payload(1, 1))]) {
        assert.throws(call, (error) => error === first);
      }
      writer.close();
    });
  }

  test("at a datasync does not call durable what a second one would", () => {
    const { disk, writer } = newLog();
    writer.flush();
    writer.append(delta(1), payload(10, 1));
    disk.failNext("EIO", (call) => call === "datasync");
    assert.throws(() => writer.flush(), { code: "HF_IO" });
    assert.equal(scan(disk).records.length, 1, "the cache has it");
    disk.crash("os");
    assert.equal(scan(disk).records.length, 0, "the disk does not");
  });
});

describe("trimming", () => {
  function filled(): { disk: SimDisk; writer: LogWriter } {
    const log = newLog();
    for (let epoch = 1; epoch <= 40; epoch++) log.writer.append(delta(epoch), payload(500, epoch));
    log.writer.flush();
    return log;
  }

  test("gives up only whole segments at the front, and says first where the log will begin", () => {
    const { disk, writer } = filled();
    const before = writer.liveBytes;
    assert.equal(writer.firstSegmentAfterTrim(6), 1, "epoch 7 is in it too");
    const first = writer.firstSegmentAfterTrim(20);
    writer.trim(20);
    assert.equal(writer.firstSegment, first);
    assert.ok(writer.liveBytes < before);
    const { records, damage } = scan(disk, first);
    assert.equal(damage, undefined);
    assert.deepEqual(epochs(records), upTo(40).slice(records[0]!.epoch - 1));
    assert.ok(records[0]!.epoch <= 21);
  });

  test("never gives up the current segment", () => {
    const { disk, writer } = filled();
    writer.trim(1_000);
    writer.append(delta(41), payload(1, 1));
    writer.flush();
    assert.deepEqual(epochs(scan(disk, writer.firstSegment).records).at(-1), 41);
  });

  test("keeps two files to recycle and removes the others", () => {
    const { disk, writer } = filled();
    assert.equal(listSegments(disk, directory).length, 6);
    writer.trim(1_000);
    assert.equal(listSegments(disk, directory).length, 3);
  });

  test("lets bytes of a recycled segment never verify again", () => {
    const { disk, writer } = filled();
    for (let epoch = 41; epoch <= 400; epoch++) {
      writer.append(delta(epoch), payload(500, epoch & 0xff));
      writer.flush();
      writer.trim(epoch);
      while (writer.prepare());
      const { records, damage, following } = scan(disk, writer.firstSegment);
      assert.deepEqual({ damage, following }, { damage: undefined, following: undefined });
      assert.equal(records.at(-1)?.epoch ?? epoch, epoch);
    }
    assert.ok(listSegments(disk, directory).length <= 4);
  });

  test("leaves a recycled segment a clean end before its first record", () => {
    const { disk, writer } = filled();
    writer.trim(1_000);
    const { segment } = writer.append(delta(41), payload(writer.payloadMax, 1));
    writer.flush();
    assert.equal(writer.append(delta(42), payload(1, 1)).segment, segment + 1);
    disk.crash("process");
    const { end, damage } = scan(disk, segment);
    assert.deepEqual({ end, damage }, { end: { segment: segment + 1, offset: 0 }, damage: undefined });
  });

  test("of an older generation's segments makes spares of two", () => {
    const { disk, writer } = filled();
    writer.close();
    const { nextSegmentNumber } = scan(disk);
    const next = new LogWriter(disk, directory, { ...small, generation: 2, firstSegment: nextSegmentNumber });
    next.append({ ...delta(41), type: recordType.recovery }, payload(9, 9));
    next.flush();
    assert.equal(listSegments(disk, directory).length, 7, "nothing goes before the manifest is switched");
    next.recycleOlder();
    next.recycleOlder();
    assert.equal(listSegments(disk, directory).length, 3);
    assert.deepEqual(epochs(scan(disk, nextSegmentNumber).records), [41]);
  });
});

describe("the end of a log", () => {
  test("behind a record that does not verify is torn when nothing durable is lacking", () => {
    const { disk, writer } = newLog();
    for (let epoch = 1; epoch <= 3; epoch++) writer.append(delta(epoch, epoch - 1), payload(20, epoch));
    writer.flush();
    disk.flipBit(segmentPath(directory, 1), 2 * recordBytes(20) + 45, 3);
    const { records, damage, durableMax, end } = scan(disk);
    assert.deepEqual(epochs(records), [1, 2]);
    assert.deepEqual(end, { segment: 1, offset: 2 * recordBytes(20) });
    assert.deepEqual(damage, { ...end, reason: "the record does not verify" });
    assert.equal(durableMax, 1);
  });

  test("in the middle is told by what later records say was durable", () => {
    const { disk, writer } = newLog();
    for (let epoch = 1; epoch <= 40; epoch++) writer.append(delta(epoch, epoch - 1), payload(500, epoch));
    writer.flush();
    disk.flipBit(segmentPath(directory, 1), recordBytes(500) + 3, 0);
    const { records, damage, durableMax, following } = scan(disk);
    assert.deepEqual(epochs(records), [1]);
    assert.equal(damage?.offset, recordBytes(500));
    assert.deepEqual(following, { segment: 1, offset: 2 * recordBytes(500), epoch: 3 });
    assert.equal(durableMax, 39);
  });

  test("in a hole of zeros is no clean end when records follow", () => {
    const { disk, writer } = newLog();
    for (let epoch = 1; epoch <= 3; epoch++) writer.append(delta(epoch), payload(20, epoch));
    writer.flush();
    const file = disk.open(segmentPath(directory, 1), "existing");
    file.write(new Uint8Array(recordBytes(20)), recordBytes(20));
    const { records, damage, following } = scan(disk);
    assert.deepEqual(epochs(records), [1]);
    assert.match(damage!.reason, /others follow/);
    assert.equal(following?.epoch, 3);
  });

  test("at a segment that is missing is damage, and its number is not used again", () => {
    const { disk, writer } = newLog();
    for (let epoch = 1; epoch <= 8; epoch++) writer.append(delta(epoch), payload(500, epoch));
    writer.flush();
    disk.remove(segmentPath(directory, 2));
    const { damage, nextSegmentNumber } = scan(disk);
    assert.deepEqual(damage, { segment: 2, offset: 0, reason: "the segment is missing" });
    assert.equal(nextSegmentNumber, 3);
  });

  test("is not moved by a generation whose start did not finish", () => {
    const { disk, writer } = newLog();
    writer.append(delta(1), payload(20, 1));
    writer.flush();
    const orphan = new LogWriter(disk, directory, { ...small, generation: 2, firstSegment: 2 });
    orphan.append({ ...delta(2, 2), type: recordType.recovery }, payload(20, 2));
    orphan.flush();
    const { durableMax, damage, nextSegmentNumber } = scan(disk, 1, 1);
    assert.deepEqual(
      { durableMax, damage, nextSegmentNumber },
      { durableMax: 0, damage: undefined, nextSegmentNumber: 3 },
    );
    assert.equal(scan(disk).durableMax, 2, "without the manifest's generation it counts");
  });
});
