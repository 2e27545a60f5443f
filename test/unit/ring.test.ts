import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { isHoldfastError } from "../../lib/base/errors.js";
import { RingConsumer } from "../../lib/ring/ring-consumer.js";
import { allocateRing, EMPTY, FULL, headWord, tailWord } from "../../lib/ring/ring-memory.js";
import { RingProducer } from "../../lib/ring/ring-producer.js";

const broken = (thrown: unknown) => isHoldfastError(thrown, "HF_INVARIANT");

function ring(capacity: number, initialPosition = 0) {
  const memory = allocateRing({ capacity, shared: true, initialPosition });
  return { memory, producer: new RingProducer(memory), consumer: new RingConsumer(memory) };
}

/** Writes a record whose bytes are all `fill`; false when the ring is full. */
function write(producer: RingProducer, length: number, fill: number): boolean {
  const offset = producer.tryClaim(length);
  if (offset === FULL) return false;
  producer.bytes.fill(fill, offset, offset + length);
  producer.commit();
  return true;
}

/** Reads and consumes the next record. */
function read(consumer: RingConsumer): number[] | undefined {
  const offset = consumer.poll();
  if (offset === EMPTY) return undefined;
  const bytes = [...consumer.bytes.subarray(offset, offset + consumer.length)];
  consumer.advance();
  return bytes;
}

describe("ring memory", () => {
  test("refuses a capacity that is not a power of two of at least 64", () => {
    for (const capacity of [0, 32, 63, 65, 96, 2 ** 29, Number.NaN, -64]) {
      assert.throws(() => allocateRing({ capacity, shared: false }), broken, String(capacity));
    }
    assert.throws(() => allocateRing({ capacity: 64, shared: false, initialPosition: 4 }), broken);
    assert.throws(() => new RingProducer(new ArrayBuffer(100)), broken);
  });

  test("is shared or private as asked, and works the same", () => {
    assert.ok(allocateRing({ capacity: 64, shared: true }) instanceof SharedArrayBuffer);
    const memory = allocateRing({ capacity: 64, shared: false });
    assert.ok(memory instanceof ArrayBuffer);
    const producer = new RingProducer(memory);
    const consumer = new RingConsumer(memory);
    assert.ok(write(producer, 3, 7));
    producer.publish();
    assert.deepEqual(read(consumer), [7, 7, 7]);
  });

  test("keeps tail and head two cache lines apart", () => {
    assert.ok((headWord - tailWord) * 4 >= 128);
  });

  test("takes a payload of a quarter of its capacity, header included, and of 24 bytes when tiny", () => {
    assert.equal(ring(1024).producer.recordBytesMax, 1024 / 4 - 8);
    assert.equal(ring(128).producer.recordBytesMax, 24);
    assert.equal(ring(64).producer.recordBytesMax, 24);
  });
});

describe("a ring", () => {
  test("shows a record only after commit and publish", () => {
    const { producer, consumer } = ring(256);
    assert.notEqual(producer.tryClaim(5), FULL);
    assert.equal(producer.publish(), false);
    assert.equal(consumer.poll(), EMPTY);
    producer.commit();
    assert.equal(consumer.poll(), EMPTY);
    assert.ok(consumer.empty());
    assert.equal(producer.publish(), true);
    assert.equal(producer.publish(), false);
    assert.ok(!consumer.empty());
    assert.equal(consumer.poll(), 8);
    assert.equal(consumer.length, 5);
  });

  test("finds the same record until it is consumed", () => {
    const { producer, consumer } = ring(256);
    write(producer, 1, 1);
    write(producer, 2, 2);
    producer.publish();
    assert.equal(consumer.poll(), consumer.poll());
    assert.deepEqual(read(consumer), [1]);
    assert.deepEqual(read(consumer), [2, 2]);
    assert.equal(read(consumer), undefined);
  });

  test("carries empty records", () => {
    const { producer, consumer } = ring(64);
    for (let round = 0; round < 20; round++) {
      assert.ok(write(producer, 0, 0));
      producer.publish();
      assert.deepEqual(read(consumer), []);
      consumer.release();
    }
  });

  test("refuses when it is full, and takes again only after release", () => {
    const { producer, consumer } = ring(64);
    assert.ok(write(producer, 24, 1));
    assert.ok(write(producer, 24, 2));
    assert.ok(!write(producer, 0, 3));
    producer.publish();
    assert.deepEqual(read(consumer), Array(24).fill(1));
    assert.ok(!write(producer, 24, 3), "consumed is not released");
    assert.equal(consumer.release(), true);
    assert.equal(consumer.release(), false);
    assert.ok(write(producer, 24, 3));
    producer.publish();
    assert.deepEqual(read(consumer), Array(24).fill(2));
    assert.deepEqual(read(consumer), Array(24).fill(3));
  });

  test("pads the end of its memory rather than wrap a record", () => {
    const { producer, consumer } = ring(64);
    write(producer, 8, 1); // 0..16
    write(producer, 16, 2); // 16..40
    producer.publish();
    read(consumer);
    read(consumer);
    consumer.release();
    assert.equal(producer.tryClaim(24), 8, "24 bytes are left at the end and 32 are needed");
    producer.bytes.fill(3, 8, 32);
    producer.commit();
    assert.ok(!write(producer, 8, 4), "the padding counts as used");
    producer.publish();
    assert.deepEqual(read(consumer), Array(24).fill(3));
    assert.equal(read(consumer), undefined);
    consumer.release();
    assert.ok(write(producer, 24, 5));
  });

  test("takes its largest record at every position once it is empty", () => {
    for (const capacity of [64, 128, 256]) {
      for (let start = 0; start < capacity; start += 8) {
        const { producer, consumer } = ring(capacity, start);
        assert.ok(write(producer, producer.recordBytesMax, 9), `${capacity} at ${start}`);
        if (capacity >= 128) assert.ok(write(producer, producer.recordBytesMax, 9), `${capacity} at ${start}, second`);
        producer.publish();
        assert.equal(read(consumer)?.length, producer.recordBytesMax);
      }
    }
  });

  test("undoes an aborted claim, its padding too", () => {
    const { producer, consumer } = ring(64, 48);
    assert.equal(producer.tryClaim(24), 8);
    producer.abort();
    assert.equal(producer.publish(), false);
    assert.ok(write(producer, 8, 1), "fits where the padding would have been");
    producer.publish();
    assert.equal(consumer.poll(), 56);
    assert.deepEqual(read(consumer), Array(8).fill(1));
    assert.equal(read(consumer), undefined);
  });

  test("publishes what is committed while a claim is open, and not the claim", () => {
    const { producer, consumer } = ring(256);
    write(producer, 1, 1);
    producer.tryClaim(2);
    assert.equal(producer.publish(), true);
    assert.deepEqual(read(consumer), [1]);
    assert.equal(read(consumer), undefined);
    producer.abort();
  });

  test("goes on where positions wrap at 2^32 and at 2^31", () => {
    for (const boundary of [2 ** 32, 2 ** 31]) {
      const { producer, consumer } = ring(128, boundary - 64);
      for (let round = 0; round < 40; round++) {
        assert.ok(write(producer, (round % 3) * 8, round));
        assert.ok(write(producer, 5, round + 100));
        producer.publish();
        assert.deepEqual(read(consumer), Array((round % 3) * 8).fill(round));
        assert.deepEqual(read(consumer), Array(5).fill(round + 100));
        assert.equal(read(consumer), undefined);
        consumer.release();
      }
    }
  });

  test("walks what is published without consuming it", () => {
    const { producer, consumer } = ring(64, 2 ** 32 - 16);
    write(producer, 8, 1); // to the end
    write(producer, 2, 2);
    producer.publish();
    write(producer, 3, 3); // not published
    const lengths = () => {
      const seen: number[] = [];
      consumer.walk((_offset, length) => seen.push(length) > 0);
      return seen;
    };
    assert.deepEqual(lengths(), [8, 2]);
    assert.deepEqual(read(consumer), Array(8).fill(1));
    assert.deepEqual(lengths(), [2]);
    producer.publish();
    assert.deepEqual(lengths(), [2, 3]);
    let visits = 0;
    consumer.walk(() => ++visits < 1);
    assert.equal(visits, 1);
    assert.deepEqual(read(consumer), [2, 2]);
    assert.deepEqual(read(consumer), [3, 3, 3]);
    assert.deepEqual(lengths(), []);
  });

  test("can be opened again where it stands", () => {
    const { memory, producer, consumer } = ring(64, 2 ** 32 - 8);
    write(producer, 9, 1);
    write(producer, 1, 2);
    producer.publish();
    read(consumer);
    consumer.release();
    assert.deepEqual(read(new RingConsumer(memory)), [2]);
    const again = new RingProducer(memory);
    assert.ok(write(again, 1, 3));
    again.publish();
    assert.deepEqual(read(consumer), [2]);
    assert.deepEqual(read(consumer), [3]);
  });

  test("reads the shared head only when the cached one says full", () => {
    const { memory, producer } = ring(64);
    const control = new Int32Array(memory);
    write(producer, 24, 1);
    producer.publish();
    Atomics.store(control, headWord, 1000); // nonsense, to see when it is read
    assert.ok(write(producer, 24, 2));
    assert.throws(() => producer.tryClaim(0), broken);
  });
});

describe("a ring stops at once", () => {
  test("when claims are used out of turn", () => {
    const { producer, consumer } = ring(64);
    assert.throws(() => producer.commit(), broken);
    assert.throws(() => producer.abort(), broken);
    assert.throws(() => producer.tryClaim(25), broken);
    assert.throws(() => producer.tryClaim(-1), broken);
    producer.tryClaim(1);
    assert.throws(() => producer.tryClaim(1), broken);
    assert.throws(() => consumer.advance(), broken);
  });

  test("when a record is consumed twice", () => {
    const { producer, consumer } = ring(64);
    write(producer, 1, 1);
    write(producer, 1, 1);
    producer.publish();
    read(consumer);
    assert.throws(() => consumer.advance(), broken);
  });

  test("when a record's header is damaged", () => {
    for (const [word, value] of [
      [0, -8],
      [0, 25],
      [0, 24],
      [1, 0],
      [1, 3],
    ] as const) {
      const { memory, producer, consumer } = ring(64);
      write(producer, 1, 1);
      producer.publish();
      new Int32Array(memory, 256)[word] = value;
      assert.throws(() => consumer.poll(), broken, `${word} ${value}`);
      assert.throws(() => consumer.walk(() => true), broken);
    }
  });
});
