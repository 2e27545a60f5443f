import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { Inbound } from "../../lib/channel/inbound.js";
import { Outbound } from "../../lib/channel/outbound.js";
import { RingConsumer } from "../../lib/ring/ring-consumer.js";
import { allocateRing } from "../../lib/ring/ring-memory.js";
import { RingProducer } from "../../lib/ring/ring-producer.js";

interface Message {
  readonly body: Uint8Array;
  readonly epoch: number;
}

type Step =
  | { readonly kind: "offer"; readonly length: number; readonly spare: number }
  | { readonly kind: "publish" | "poll" | "take" | "release" | "copy" | "epoch" };

const length = fc.oneof(
  { weight: 4, arbitrary: fc.nat(40) },
  { weight: 2, arbitrary: fc.nat(300) },
  { weight: 1, arbitrary: fc.nat(6000) },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("offer" as const), length, spare: fc.nat(9) }) },
  {
    weight: 8,
    arbitrary: fc.record({ kind: fc.constantFrom("publish" as const, "take", "poll", "release", "copy", "epoch") }),
  },
);
const capacity = fc.integer({ min: 6, max: 12 }).map((exponent) => 2 ** exponent);
const start = fc
  .oneof(fc.integer({ min: -64, max: 8 }), fc.integer({ min: 2 ** 28 - 64, max: 2 ** 28 }))
  .map((eighths) => (eighths * 8) >>> 0);

/** The channel beside an array of all messages that entered it. */
class ChannelAndModel {
  readonly outbound: Outbound;
  readonly inbound: Inbound;
  readonly entered: Message[] = [];
  /** The message that was refused, to be offered again. */
  refused: { body: Uint8Array; length: number } | undefined;
  epoch = 2 ** 32 - 20;
  published = 0;
  taken = 0;
  offered = 0;

  constructor(capacity: number, initialPosition: number) {
    const memory = allocateRing({ capacity, shared: false, initialPosition });
    this.outbound = new Outbound(new RingProducer(memory));
    this.inbound = new Inbound(new RingConsumer(memory));
  }

  run(step: Step): void {
    if (step.kind === "offer") this.offer(step.length, step.spare);
    else if (step.kind === "epoch") this.epoch++;
    else this[step.kind]();
  }

  offer(length: number, spare: number): void {
    this.refused ??= { body: this.body(length, spare), length };
    const { body, length: offered } = this.refused;
    if (!this.outbound.offer(body, offered, this.epoch)) return;
    this.entered.push({ body: body.slice(0, offered), epoch: this.epoch >>> 0 });
    this.refused = undefined;
    assert.equal(this.outbound.sent, this.entered.length);
  }

  publish(): void {
    const isNew = this.outbound.publish();
    assert.ok(isNew || this.published === this.entered.length);
    this.published = this.entered.length;
  }

  poll(): boolean {
    const found = this.inbound.poll();
    assert.equal(found, this.taken < this.published);
    if (!found) return false;
    const { body, offset, length, epoch } = this.inbound;
    const expected = this.entered[this.taken]!;
    assert.equal(epoch, expected.epoch);
    same(body, offset, length, expected.body);
    assert.ok(!this.inbound.empty());
    return true;
  }

  take(): void {
    if (!this.poll()) return;
    this.inbound.take();
    assert.equal(this.inbound.received, ++this.taken);
  }

  release(): void {
    this.inbound.release();
    assert.equal(this.inbound.release(), false);
  }

  /** Copies up to every ordinal there may be a cut at, with or without a message at hand or a part assembled. */
  copy(): void {
    for (const upTo of [this.taken, Math.ceil((this.taken + this.published) / 2), this.published]) {
      let ordinal = this.taken;
      this.inbound.copyPending(upTo, (body, offset, length, at) => {
        assert.equal(at, ++ordinal);
        same(body, offset, length, this.entered[ordinal - 1]!.body);
      });
      assert.equal(ordinal, upTo);
    }
  }

  drain(): void {
    for (let rounds = 0; this.refused !== undefined || this.taken < this.entered.length; rounds++) {
      assert.ok(rounds < 2_000, "it comes to an end");
      if (this.refused !== undefined) this.offer(0, 0);
      this.publish();
      this.copy();
      this.take();
      this.release();
    }
    assert.ok(this.inbound.empty() || !this.inbound.poll());
  }

  body(length: number, spare: number): Uint8Array {
    const seed = ++this.offered * 31;
    return Uint8Array.from({ length: length + spare }, (_, index) => seed + index * 7 + (index >> 8));
  }
}

function same(body: Uint8Array, offset: number, length: number, expected: Uint8Array): void {
  assert.ok(Buffer.compare(body.subarray(offset, offset + length), expected) === 0);
}

describe("a channel, beside an array", () => {
  test("hands out whole messages in order, with the epoch they entered in, and copies exactly what is pending", () => {
    fc.assert(
      fc.property(capacity, start, fc.array(step, { maxLength: 150, size: "max" }), (bytes, position, steps) => {
        const both = new ChannelAndModel(bytes, position);
        for (const each of steps) both.run(each);
        both.drain();
      }),
      { numRuns: 400 },
    );
  });
});
