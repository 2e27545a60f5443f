import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { RingConsumer } from "../../lib/ring/ring-consumer.js";
import { allocateRing, EMPTY, FULL, recordSpan } from "../../lib/ring/ring-memory.js";
import { RingProducer } from "../../lib/ring/ring-producer.js";

/** `size` is a share of the largest payload. */
type Step =
  | { readonly kind: "write" | "abort"; readonly size: number }
  | { readonly kind: "publish" | "poll" | "consume" | "release" | "walk" };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant("write" as const), size: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("abort" as const), size: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      kind: fc.constantFrom("publish" as const, "poll", "consume", "consume", "release", "walk"),
    }),
  },
);

const capacity = fc.integer({ min: 6, max: 12 }).map((exponent) => 2 ** exponent);
/** Near 2^32, near 2^31 and anywhere. */
const start = fc
  .oneof(fc.integer({ min: -64, max: 8 }), fc.integer({ min: 2 ** 28 - 64, max: 2 ** 28 }), fc.nat(2 ** 29 - 1))
  .map((eighths) => (eighths * 8) >>> 0);

/** The ring beside an array of the records that entered and were not consumed, as (fill, length). */
class RingAndModel {
  readonly producer: RingProducer;
  readonly consumer: RingConsumer;
  readonly records: { fill: number; length: number }[] = [];
  readonly capacity: number;
  published = 0;
  entered = 0;
  /** Bytes of records consumed and not released. */
  held = 0;

  constructor(capacity: number, initialPosition: number) {
    const memory = allocateRing({ capacity, shared: false, initialPosition });
    this.capacity = capacity;
    this.producer = new RingProducer(memory);
    this.consumer = new RingConsumer(memory);
  }

  run(step: Step): void {
    if (step.kind === "write") this.write(step.size);
    else if (step.kind === "abort") this.abort(step.size);
    else this[step.kind]();
  }

  write(size: number): boolean {
    const length = Math.round(size * this.producer.recordBytesMax);
    const offset = this.producer.tryClaim(length);
    if (offset === FULL) {
      // Padding for one wrap is all that may be lost.
      assert.ok(this.used() + 2 * recordSpan(this.producer.recordBytesMax) + recordSpan(length) > this.capacity);
      return false;
    }
    assert.equal(offset % 8, 0);
    assert.ok(offset + length <= this.capacity);
    const fill = this.entered++ & 0xff;
    this.producer.bytes.fill(fill, offset, offset + recordSpan(length) - 8);
    this.producer.commit();
    this.records.push({ fill, length });
    assert.ok(this.used() <= this.capacity);
    return true;
  }

  abort(size: number): void {
    const length = Math.round(size * this.producer.recordBytesMax);
    const offset = this.producer.tryClaim(length);
    if (offset === FULL) return;
    this.producer.bytes.fill(0xee, offset, offset + length);
    this.producer.abort();
  }

  publish(): void {
    assert.equal(this.producer.publish(), this.published < this.records.length);
    this.published = this.records.length;
  }

  poll(): boolean {
    const offset = this.consumer.poll();
    assert.equal(offset === EMPTY, this.published === 0);
    assert.equal(this.consumer.empty(), this.published === 0);
    if (offset === EMPTY) return false;
    this.check(offset, this.consumer.length, 0);
    return true;
  }

  consume(): void {
    if (!this.poll()) return;
    this.consumer.advance();
    this.held += recordSpan(this.records.shift()!.length);
    this.published--;
  }

  release(): void {
    const moved = this.consumer.release();
    assert.ok(moved || this.held === 0);
    this.held = 0;
  }

  walk(): void {
    let at = 0;
    this.consumer.walk((offset, length) => {
      this.check(offset, length, at++);
      return true;
    });
    assert.equal(at, this.published);
  }

  drain(): void {
    this.publish();
    this.walk();
    while (this.poll()) this.consume();
    this.release();
    assert.deepEqual(this.records, []);
  }

  used(): number {
    return this.records.reduce((bytes, { length }) => bytes + recordSpan(length), this.held);
  }

  check(offset: number, length: number, at: number): void {
    const expected = this.records[at]!;
    assert.equal(length, expected.length);
    const bytes = this.consumer.bytes.subarray(offset, offset + length);
    assert.ok(bytes.every((byte) => byte === expected.fill));
  }
}

describe("a ring, beside an array", () => {
  test("hands out what was published, in order and unchanged, and always has room again", () => {
    fc.assert(
      fc.property(capacity, start, fc.array(step, { maxLength: 200, size: "max" }), (bytes, position, steps) => {
        const both = new RingAndModel(bytes, position);
        for (const each of steps) both.run(each);
        both.drain();
        assert.ok(both.write(1), "an empty ring takes its largest record");
        both.drain();
      }),
      { numRuns: 600 },
    );
  });
});
