import assert from "node:assert/strict";
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, describe } from "node:test";
import fc from "fast-check";
import { isHoldfastError } from "../../lib/base/errors.js";
import { KiB, MiB } from "../../lib/base/limits.js";
import { seededRandom } from "../../lib/base/random.js";
import type { BaseReader, BaseWriter } from "../../lib/store/base.js";
import { closeGate, destroyBase, gateClosed, openBaseReader, openBaseWriter } from "../../lib/store/lmdb-base.js";
import { epochKey, stateKey } from "../../lib/store/row-key.js";
import { SimBase } from "../simulation/sim-base.js";

/** A base that a test can close and open again. */
interface Subject {
  writer(): BaseWriter;
  reader(): BaseReader;
}

const root = mkdtempSync(join(tmpdir(), "holdfast-base-"));
let bases = 0;
const freshPath = (): string => join(root, `base-${bases++}`);
after(() => rmSync(root, { recursive: true, force: true }));

const subjects: Record<string, () => Subject> = {
  lmdb: () => {
    const path = freshPath();
    return { writer: () => openBaseWriter(path, { mapBytes: 64 * MiB }), reader: () => openBaseReader(path) };
  },
  simulated: () => {
    const base = new SimBase();
    return { writer: () => base.openWriter(), reader: () => base.openReader() };
  },
};

const bytes = (...values: number[]): Uint8Array => Uint8Array.from(values);
const text = (value: string): Uint8Array => new Uint8Array(Buffer.from(value));
const everything = [bytes(0), bytes(0xff, 0xff)] as const;

for (const [name, make] of Object.entries(subjects)) {
  describe(`a base (${name})`, () => {
    const opened = (): { subject: Subject; writer: BaseWriter; reader: BaseReader } => {
      const subject = make();
      const writer = subject.writer();
      const reader = subject.reader();
      after(() => {
        reader.close();
        writer.close();
      });
      return { subject, writer, reader };
    };

    test("is empty and at epoch 0 when new", () => {
      const { writer, reader } = opened();
      assert.equal(writer.epoch, 0);
      assert.equal(reader.epoch(), 0);
      assert.equal(reader.get(text("a")), undefined);
      assert.deepEqual(reader.scan(...everything), []);
    });

    test("puts, overwrites and deletes rows", () => {
      const { writer, reader } = opened();
      writer.apply([
        { key: text("a"), value: text("1") },
        { key: text("b"), value: text("2") },
        { key: text("c"), value: bytes() },
      ]);
      writer.apply([
        { key: text("a"), value: text("3") },
        { key: text("b"), value: undefined },
        { key: text("never there"), value: undefined },
      ]);
      assert.deepEqual(reader.get(text("a")), text("3"));
      assert.equal(reader.get(text("b")), undefined);
      assert.deepEqual(reader.get(text("c")), bytes());
    });

    test("applies the rows of one call in the order given", () => {
      const { writer, reader } = opened();
      writer.apply([
        { key: text("a"), value: text("1") },
        { key: text("a"), value: undefined },
        { key: text("b"), value: undefined },
        { key: text("b"), value: text("2") },
      ]);
      assert.equal(reader.get(text("a")), undefined);
      assert.deepEqual(reader.get(text("b")), text("2"));
    });

    test("scans in bytewise order, from the first bound to before the second", () => {
      const { writer, reader } = opened();
      const keys = [
        bytes(0, 1),
        bytes(0, 1, 0),
        bytes(0, 1, 0xff),
        bytes(0, 2),
        bytes(1),
        bytes(0x7f),
        bytes(0x80),
        bytes(0xff, 0),
      ];
      writer.apply([...keys].reverse().map((key) => ({ key, value: key })));
      const found = (from: Uint8Array, to: Uint8Array): Uint8Array[] => reader.scan(from, to).map((row) => row.key);
      assert.deepEqual(found(...everything), keys);
      assert.deepEqual(found(bytes(0, 1), bytes(0, 2)), keys.slice(0, 3));
      assert.deepEqual(found(bytes(0, 1, 0), bytes(1)), keys.slice(1, 4));
      assert.deepEqual(found(bytes(5), bytes(5)), []);
      assert.deepEqual(
        [...writer.scan(...everything)].map((row) => row.value),
        keys,
      );
    });

    test("the writer scans more rows than it reads at a time", () => {
      const { writer } = opened();
      const rows = Array.from({ length: 1_300 }, (_, index) => ({
        key: stateKey(index >> 8, 1, `${index}`),
        value: bytes(1),
      }));
      writer.apply(rows);
      assert.equal([...writer.scan(...everything)].length, rows.length);
    });

    test("the epoch moves only with the slice that carries it", () => {
      const { writer, reader } = opened();
      writer.apply([{ key: text("a"), value: text("1") }]);
      reader.refresh();
      assert.equal(writer.epoch, 0);
      assert.equal(reader.epoch(), 0);
      writer.apply([{ key: text("b"), value: text("2") }], 7);
      assert.equal(writer.epoch, 7);
      reader.refresh();
      assert.equal(reader.epoch(), 7);
      assert.notEqual(reader.get(epochKey), undefined);
    });

    test("a reader sees one view, epoch and rows together, until it refreshes", async () => {
      const { writer, reader } = opened();
      writer.apply([{ key: text("a"), value: text("old") }], 1);
      reader.refresh();
      assert.equal(reader.epoch(), 1);
      writer.apply([{ key: text("a"), value: text("new") }], 2);
      writer.apply([{ key: text("b"), value: text("new") }], 3);
      writer.apply([{ key: text("a"), value: undefined }], 4);
      const seen = (): unknown[] => [
        reader.epoch(),
        reader.get(text("a")),
        reader.get(text("b")),
        reader.scan(text("a"), text("c")).length,
      ];
      assert.deepEqual(seen(), [1, text("old"), undefined, 1]);
      await new Promise((resolve) => setTimeout(resolve, 5)); // lmdb's own renewal runs from a timer
      assert.deepEqual(seen(), [1, text("old"), undefined, 1]);
      reader.refresh();
      assert.deepEqual(seen(), [4, undefined, text("new"), 1]);
    });

    test("two readers keep views of their own", () => {
      const { subject, writer, reader } = opened();
      const second = subject.reader();
      writer.apply([{ key: text("a"), value: text("1") }], 1);
      assert.equal(reader.epoch(), 1);
      writer.apply([{ key: text("a"), value: text("2") }], 2);
      assert.equal(second.epoch(), 2);
      assert.deepEqual([reader.get(text("a")), second.get(text("a"))], [text("1"), text("2")]);
      second.close();
    });

    test("applying the same slices again changes nothing", () => {
      const { writer, reader } = opened();
      const slices = [
        [
          { key: text("a"), value: text("1") },
          { key: text("b"), value: text("2") },
        ],
        [
          { key: text("b"), value: undefined },
          { key: text("c"), value: text("3") },
        ],
      ];
      const applyAll = (): unknown => {
        for (const slice of slices) writer.apply(slice);
        writer.apply([], 5);
        reader.refresh();
        return reader.scan(...everything);
      };
      assert.deepEqual(applyAll(), applyAll());
    });

    test("what was applied is there after closing and opening again", () => {
      const { subject, writer, reader } = opened();
      writer.apply([{ key: text("a"), value: text("1") }], 3);
      writer.sync();
      reader.close();
      writer.close();
      const again = subject.writer();
      const readerAgain = subject.reader();
      assert.equal(again.epoch, 3);
      assert.deepEqual(readerAgain.get(text("a")), text("1"));
      readerAgain.close();
      again.close();
    });

    test("holds large values, and keys with NUL and 0xFF and of the largest id", () => {
      const { writer, reader } = opened();
      const large = new Uint8Array(1 * MiB).map((_, index) => index * 31);
      const keys = [bytes(0, 0, 0), bytes(0, 0, 0, 0), bytes(0, 0xff, 0xff), stateKey(5, 9, "\u{1F600}".repeat(450))];
      writer.apply(keys.map((key, index) => ({ key, value: large.subarray(index) })));
      for (const [index, key] of keys.entries()) assert.deepEqual(reader.get(key), large.subarray(index).slice());
      assert.deepEqual(
        reader.scan(...everything).map((row) => row.value.length),
        [MiB, MiB - 1, MiB - 3, MiB - 2],
      );
    });

    test("shares no bytes with its caller, neither in nor out", () => {
      const { writer, reader } = opened();
      const key = text("a");
      const value = text("1");
      writer.apply([{ key, value }]);
      key[0] = 0x62;
      value[0] = 0x39;
      reader.get(text("a"))![0] = 0x39;
      reader.scan(...everything)[0]!.value[0] = 0x39;
      assert.deepEqual(reader.get(text("a")), text("1"));
    });

    test("refuses values on shared memory, and nothing of that slice is applied", () => {
      const { writer, reader } = opened();
      const shared = new Uint8Array(new SharedArrayBuffer(8));
      if (name === "lmdb") {
        assert.throws(
          () =>
            writer.apply(
              [
                { key: text("a"), value: text("1") },
                { key: text("b"), value: shared },
              ],
              9,
            ),
          (thrown) => isHoldfastError(thrown, "HF_INVARIANT"),
        );
        assert.equal(reader.get(text("a")), undefined);
        assert.equal(writer.epoch, 0);
      } else assert.throws(() => writer.apply([{ key: text("b"), value: shared }]));
    });

    test("equals a map, whatever is applied, and an old view stays what it was", () => {
      const key = fc
        .uint8Array({ minLength: 1, maxLength: 3 })
        .map((value) => Uint8Array.from(value, (byte) => byte % 3));
      const row = fc.record({ key, value: fc.option(fc.uint8Array({ maxLength: 9 }), { nil: undefined }) });
      fc.assert(
        fc.property(fc.array(fc.tuple(fc.array(row, { maxLength: 6 }), fc.boolean()), { maxLength: 12 }), (slices) => {
          const subject = make();
          const writer = subject.writer();
          const reader = subject.reader();
          const model = new Map<string, Uint8Array>();
          const image = (): unknown[] => [...model].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
          let view = image();
          reader.epoch();
          for (const [slice, refresh] of slices) {
            writer.apply(slice.map((one) => ({ key: one.key, value: one.value && Uint8Array.from(one.value) })));
            for (const one of slice) {
              const at = Buffer.from(one.key).toString("latin1");
              if (one.value === undefined) model.delete(at);
              else model.set(at, Uint8Array.from(one.value));
            }
            if (refresh) {
              reader.refresh();
              view = image();
            }
            assert.deepEqual(
              reader.scan(...everything).map((one) => one.value),
              view,
            );
            if (!refresh) continue;
            for (const one of slice)
              assert.deepEqual(reader.get(one.key), model.get(Buffer.from(one.key).toString("latin1")));
          }
          reader.close();
          writer.close();
        }),
        { numRuns: name === "lmdb" ? 30 : 300 },
      );
    });
  });
}

describe("a base on LMDB", () => {
  test("says which row is damaged when a stored value does not fit its checksum", async () => {
    const path = freshPath();
    const writer = openBaseWriter(path, { mapBytes: 16 * MiB });
    const key = stateKey(3, 1, "bob");
    writer.apply([{ key, value: text("the value of bob") }], 1);
    writer.close();
    const { readFileSync } = await import("node:fs");
    const file = readFileSync(join(path, "data.mdb"));
    const at = file.lastIndexOf("the value of bob");
    file[at] = file[at]! ^ 1;
    writeFileSync(join(path, "data.mdb"), file);
    const again = openBaseWriter(path, { mapBytes: 16 * MiB });
    const reader = openBaseReader(path);
    const damaged = (thrown: unknown): boolean =>
      isHoldfastError(thrown, "HF_STATE_DAMAGED") &&
      thrown.message.includes(path) &&
      thrown.message.includes(Buffer.from(key).toString("hex"));
    assert.throws(() => reader.get(key), damaged);
    assert.throws(() => reader.scan(...everything), damaged);
    assert.throws(() => [...again.scan(...everything)], damaged);
    assert.equal(again.epoch, 1);
    reader.close();
    again.close();
  });

  test("outgrows the address space it was given", () => {
    const path = freshPath();
    const writer = openBaseWriter(path, { mapBytes: 512 * KiB });
    const reader = openBaseReader(path);
    writer.apply([{ key: text("a"), value: text("1") }], 1);
    assert.equal(reader.epoch(), 1);
    writer.apply([{ key: text("b"), value: new Uint8Array(2 * MiB).fill(7) }], 2);
    assert.equal(reader.epoch(), 1);
    reader.refresh();
    assert.equal(reader.get(text("b"))?.length, 2 * MiB);
    reader.close();
    writer.close();
  });

  test("a file that is no base is HF_STATE_DAMAGED", () => {
    const path = freshPath();
    openBaseWriter(path, { mapBytes: 1 * MiB }).close();
    writeFileSync(join(path, "data.mdb"), Buffer.alloc(16 * KiB, 7));
    assert.throws(
      () => openBaseWriter(path, { mapBytes: 1 * MiB }),
      (thrown) => isHoldfastError(thrown, "HF_STATE_DAMAGED"),
    );
  });

  test("a reader of a base that nobody made is HF_IO", () => {
    assert.throws(
      () => openBaseReader(freshPath()),
      (thrown) => isHoldfastError(thrown, "HF_IO"),
    );
  });

  test("can be destroyed, also when it is not there", () => {
    const path = freshPath();
    openBaseWriter(path, { mapBytes: 1 * MiB }).close();
    destroyBase(path);
    destroyBase(path);
    assert.equal(statSync(path, { throwIfNoEntry: false }), undefined);
  });

  test("has room for all of its lock file, which LMDB maps: on a full disk the first touch of a hole ends the process", () => {
    const path = freshPath();
    const writer = openBaseWriter(path, { mapBytes: 1 * MiB });
    const lock = statSync(join(path, "lock.mdb"));
    const written = join(path, "written");
    writeFileSync(written, Buffer.alloc(lock.size));
    assert.ok(lock.blocks >= statSync(written).blocks);
    writer.close();
  });

  test("leaves its gate between calls, and a closed gate stays closed", () => {
    const path = freshPath();
    const gates = [0, 1].map((index) => ({ words: new Int32Array(new SharedArrayBuffer(8)), index }));
    const writer = openBaseWriter(path, { mapBytes: 1 * MiB, gate: gates[0]! });
    const reader = openBaseReader(path, { gate: gates[1]! });
    writer.apply([{ key: text("a"), value: text("1") }]);
    assert.throws(() => writer.apply([{ key: text(""), value: text("1") }]));
    assert.equal(reader.scan(...everything).length, 1);
    reader.close();
    writer.close();
    for (const gate of gates) {
      assert.equal(gate.words[gate.index], 0);
      assert.equal(closeGate(gate, 100), true);
      assert.equal(gate.words[gate.index], gateClosed);
      gate.words[gate.index] = 1;
      assert.equal(closeGate(gate, 5), false);
    }
  });
});

describe("a simulated base", () => {
  const applyMany = (base: SimBase): BaseWriter => {
    const writer = base.openWriter();
    writer.apply([{ key: text("n"), value: bytes(1) }], 1);
    writer.sync();
    for (let epoch = 2; epoch <= 5; epoch++) writer.apply([{ key: text("n"), value: bytes(epoch) }], epoch);
    return writer;
  };

  test("keeps everything applied when the process crashes", () => {
    const base = new SimBase();
    applyMany(base);
    base.crash("process", seededRandom(1));
    assert.equal(base.openWriter().epoch, 5);
  });

  test("goes back to the last sync, or to some apply since, when the power fails", () => {
    const epochs = new Set<number>();
    for (let seed = 0; seed < 60; seed++) {
      const base = new SimBase();
      applyMany(base);
      base.crash("os", seededRandom(seed));
      const writer = base.openWriter();
      assert.deepEqual(base.openReader().get(text("n")), bytes(writer.epoch));
      epochs.add(writer.epoch);
    }
    assert.deepEqual([...epochs].sort(), [1, 2, 3, 4, 5]);
  });

  test("does not let a handle outlive a crash", () => {
    const base = new SimBase();
    const writer = applyMany(base);
    base.crash("process", seededRandom(1));
    assert.throws(
      () => writer.apply([]),
      (thrown) => isHoldfastError(thrown, "HF_INVARIANT"),
    );
  });
});
