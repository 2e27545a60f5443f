import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { type Random, seededRandom } from "../../lib/base/random.js";
import { type LogRecord, scanLog } from "../../lib/log/log-reader.js";
import { LogWriter } from "../../lib/log/log-writer.js";
import { recordType } from "../../lib/log/record.js";
import { segmentPath } from "../../lib/log/segment-name.js";
import { SimDisk, SimulatedCrash } from "../simulation/sim-disk.js";

const directory = "/data/log";

interface Written {
  readonly epoch: number;
  readonly payload: Uint8Array;
}

function newDisk(seed: number): SimDisk {
  const disk = new SimDisk(seededRandom(seed));
  disk.mkdir("/data");
  disk.syncDirectory("/");
  return disk;
}

function randomPayload(random: Random, max: number): Uint8Array {
  // Small values: zeros and bytes that look like lengths and types.
  return Uint8Array.from({ length: random.below(max + 1) }, () => random.below(6));
}

function append(writer: LogWriter, epoch: number, payload: Uint8Array, durable = 0): Written {
  writer.append({ type: recordType.delta, shard: 0, part: 0, parts: 1, epoch, durable }, payload);
  return { epoch, payload };
}

function readAll(disk: SimDisk, firstSegment: number, generation: number) {
  const records: LogRecord[] = [];
  const scan = scanLog(disk, directory, firstSegment, (record) => records.push(record), { generation });
  return { ...scan, records: records.map(({ epoch, payload }): Written => ({ epoch, payload: payload.slice() })) };
}

const layout = fc.record({
  segmentBytes: fc.integer({ min: 24, max: 1024 }).map((n) => n * 8),
  zeroAheadBytes: fc.constantFrom(0, 256, 1024, 4096),
});

describe("the log, over random segment sizes", () => {
  test("reads back what was appended, whatever was flushed, prepared and trimmed between", () => {
    fc.assert(
      fc.property(layout, fc.nat(), (sizes, seed) => {
        const random = seededRandom(seed);
        const disk = newDisk(seed);
        const writer = new LogWriter(disk, directory, { generation: 1, firstSegment: 1, ...sizes });
        const written: Written[] = [];
        let flushed = 0;
        for (let step = 0; step < 80; step++) {
          const choice = random.below(10);
          if (choice < 6)
            written.push(append(writer, written.length + 1, randomPayload(random, Math.min(600, writer.payloadMax))));
          else if (choice < 8) {
            writer.flush();
            flushed = written.length;
          } else if (choice < 9) writer.prepare();
          else writer.trim(random.below(flushed + 1));
        }
        writer.flush();
        const { records, damage, following } = readAll(disk, writer.firstSegment, 1);
        assert.deepEqual({ damage, following }, { damage: undefined, following: undefined });
        assert.deepEqual(records, written.slice(written.length - records.length));
      }),
      { numRuns: 150 },
    );
  });

  test("is, after crashes at any call, a prefix with everything that was flushed, over generations of recovery", () => {
    fc.assert(
      fc.property(layout, fc.nat(), (sizes, seed) => {
        const random = seededRandom(seed);
        const disk = newDisk(seed);
        // The manifest, simulated: these two are switched at once.
        let generation = 0;
        let firstSegment = 0;
        let nextSegmentNumber = 1;
        /** What must be there and, behind it, what may be. */
        let durable: Written[] = [];
        let pending: Written[] = [];
        let epoch = 0;
        const durableEpoch = (): number => durable.at(-1)?.epoch ?? 0;
        const flush = (writer: LogWriter): void => {
          writer.flush();
          durable.push(...pending);
          pending = [];
        };
        for (let life = 0; life < 6; life++) {
          let calls = random.below(120);
          disk.onCall = () => {
            if (calls-- === 0) throw new SimulatedCrash();
          };
          try {
            const owner = generation + 1;
            const options = { generation: owner, firstSegment: nextSegmentNumber, ...sizes };
            const writer = new LogWriter(disk, directory, options);
            for (const { epoch: old, payload } of [...durable, ...pending]) {
              append(writer, old, payload, durableEpoch());
            }
            flush(writer);
            generation = owner;
            firstSegment = writer.firstSegment;
            writer.recycleOlder();
            for (let step = 0; step < 100; step++) {
              const choice = random.below(10);
              if (choice < 5) {
                pending.push({ epoch: ++epoch, payload: randomPayload(random, Math.min(500, writer.payloadMax)) });
                append(writer, epoch, pending.at(-1)!.payload, durableEpoch());
              } else if (choice < 8) {
                flush(writer);
              } else if (choice < 9) {
                writer.prepare();
              } else if (durable.length > 0) {
                const trimmed = durable[random.below(durable.length)]!.epoch;
                firstSegment = writer.firstSegmentAfterTrim(trimmed);
                writer.trim(trimmed);
              }
            }
          } catch (error) {
            if (!(error instanceof SimulatedCrash)) throw error;
          }
          disk.onCall = undefined;
          const kind = random.below(3) === 0 ? "process" : "os";
          disk.crash(kind);
          const found = readAll(disk, firstSegment, generation);
          nextSegmentNumber = found.nextSegmentNumber;
          if (generation === 0) continue;
          const all = [...durable, ...pending];
          const [first] = found.records;
          const from = first === undefined ? durable.length : all.findIndex((one) => one.epoch === first.epoch);
          assert.ok(from >= 0, "nothing is there that was not appended");
          assert.deepEqual(found.records, all.slice(from, from + found.records.length), "in order, as appended");
          assert.ok(from + found.records.length >= durable.length, "all that was flushed is there");
          assert.ok(found.durableMax <= durableEpoch(), "nothing is called durable that was not");
          const sure = kind === "os" ? found.records.length : Math.max(0, durable.length - from); // the cache is not
          durable = found.records.slice(0, sure);
          pending = found.records.slice(sure);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("lets no flipped bit through: the chain ends before it", () => {
    fc.assert(
      fc.property(layout, fc.nat(), fc.nat(), fc.integer({ min: 0, max: 7 }), (sizes, seed, where, bit) => {
        const random = seededRandom(seed);
        const disk = newDisk(seed);
        const writer = new LogWriter(disk, directory, { generation: 1, firstSegment: 1, ...sizes });
        const written = Array.from({ length: 12 }, (_, i) =>
          append(writer, i + 1, randomPayload(random, Math.min(300, writer.payloadMax))),
        );
        writer.flush();
        const places: { segment: number; end: number }[] = [];
        scanLog(disk, directory, 1, ({ segment, offset, length }) => {
          places.push({ segment, end: offset + ((length + 7) & -8) });
        });
        const hit = places[where % places.length]!;
        const position = where % hit.end;
        const before = places.filter(
          ({ segment, end }) => segment < hit.segment || (segment === hit.segment && end <= position),
        ).length;
        disk.flipBit(segmentPath(directory, hit.segment), position, bit);
        const { records, damage } = readAll(disk, 1, 1);
        assert.deepEqual(records, written.slice(0, before));
        assert.equal(damage?.segment, hit.segment);
        assert.ok(damage.offset <= position);
      }),
      { numRuns: 150 },
    );
  });
});
