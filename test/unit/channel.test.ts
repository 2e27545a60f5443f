import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { isHoldfastError } from "../../lib/base/errors.js";
import { Doorbell } from "../../lib/channel/doorbell.js";
import { Inbound } from "../../lib/channel/inbound.js";
import { messageBytesMax, Outbound } from "../../lib/channel/outbound.js";
import { RingConsumer } from "../../lib/ring/ring-consumer.js";
import { allocateRing, FULL } from "../../lib/ring/ring-memory.js";
import { RingProducer } from "../../lib/ring/ring-producer.js";

const broken = (thrown: unknown) => isHoldfastError(thrown, "HF_INVARIANT");

function channel(capacity: number, initialPosition = 0) {
  const memory = allocateRing({ capacity, shared: true, initialPosition });
  const producer = new RingProducer(memory);
  return { producer, outbound: new Outbound(producer), inbound: new Inbound(new RingConsumer(memory)) };
}

/** A body whose every byte says where it belongs. */
function bodyOf(seed: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => seed * 31 + index * 7 + (index >> 8));
}

function offer(outbound: Outbound, body: Uint8Array, epoch = 0): boolean {
  return outbound.offer(body, body.length, epoch);
}

/** The message at hand, copied. */
function atHand(inbound: Inbound): Uint8Array {
  return Uint8Array.from(inbound.body.subarray(inbound.offset, inbound.offset + inbound.length));
}

function pending(inbound: Inbound, upTo: number): { ordinal: number; body: Uint8Array }[] {
  const seen: { ordinal: number; body: Uint8Array }[] = [];
  inbound.copyPending(upTo, (body, offset, length, ordinal) => {
    seen.push({ ordinal, body: Uint8Array.from(body.subarray(offset, offset + length)) });
  });
  return seen;
}

describe("a channel", () => {
  test("carries messages in order with the epoch they were offered in, and counts them", () => {
    const { outbound, inbound } = channel(4096);
    for (let n = 1; n <= 10; n++) assert.ok(offer(outbound, bodyOf(n, n * 13), 2 ** 32 - 5 + n));
    assert.equal(inbound.poll(), false, "nothing is published");
    assert.equal(outbound.publish(), true);
    assert.equal(outbound.sent, 10);
    for (let n = 1; n <= 10; n++) {
      assert.ok(inbound.poll());
      assert.equal(inbound.epoch, (2 ** 32 - 5 + n) >>> 0);
      assert.deepEqual(atHand(inbound), bodyOf(n, n * 13));
      assert.equal(inbound.offset % 8, 0);
      inbound.take();
      assert.equal(inbound.received, n);
    }
    assert.equal(inbound.poll(), false);
    assert.equal(inbound.release(), true);
    assert.equal(inbound.release(), false);
  });

  test("carries every short length unchanged, from the middle of nothing and beside other bytes", () => {
    const { outbound, inbound } = channel(4096);
    for (let length = 0; length < 140; length++) {
      assert.ok(outbound.offer(bodyOf(length, 200), length, 1));
      outbound.publish();
      assert.ok(inbound.poll());
      assert.deepEqual(atHand(inbound), bodyOf(length, 200).subarray(0, length));
      inbound.take();
      inbound.release();
    }
  });

  test("keeps the same message at hand until it is taken", () => {
    const { outbound, inbound } = channel(128);
    for (const length of [5, 40]) {
      assert.equal(offer(outbound, bodyOf(1, length), 3), true);
      outbound.publish();
      for (let poll = 0; poll < 3; poll++) {
        assert.ok(inbound.poll());
        assert.deepEqual(atHand(inbound), bodyOf(1, length));
        inbound.release();
        assert.ok(!inbound.empty());
      }
      inbound.take();
      assert.ok(inbound.empty());
      assert.throws(() => inbound.take(), broken);
      inbound.release();
    }
  });

  test("refuses a message when the ring is full, and takes it later", () => {
    const { outbound, inbound } = channel(64);
    assert.ok(offer(outbound, bodyOf(1, 16), 1));
    assert.ok(offer(outbound, bodyOf(2, 16), 1));
    assert.ok(!offer(outbound, bodyOf(3, 16), 1));
    assert.equal(outbound.sent, 2);
    outbound.publish();
    inbound.poll();
    inbound.take();
    assert.ok(!offer(outbound, bodyOf(3, 16), 1));
    inbound.release();
    assert.ok(offer(outbound, bodyOf(3, 16), 2));
    outbound.publish();
    inbound.poll();
    inbound.take();
    inbound.poll();
    assert.equal(inbound.epoch, 2);
    assert.deepEqual(atHand(inbound), bodyOf(3, 16));
  });

  test("carries a message larger than its ring in fragments, with the epoch of the last", () => {
    for (const initialPosition of [0, 2 ** 32 - 24, 2 ** 31 - 40]) {
      const { outbound, inbound } = channel(64, initialPosition);
      const body = bodyOf(1, 1001);
      let epoch = 0;
      let entered = false;
      while (!entered) {
        entered = offer(outbound, body, ++epoch);
        outbound.publish();
        assert.equal(outbound.sent, entered ? 1 : 0);
        assert.equal(inbound.poll(), entered, "a part is not a message");
        inbound.release();
      }
      assert.ok(epoch > 10);
      assert.equal(inbound.epoch, epoch);
      assert.deepEqual(atHand(inbound), body);
      inbound.take();
      assert.ok(offer(outbound, bodyOf(2, 3), epoch + 1));
      outbound.publish();
      assert.ok(inbound.poll());
      assert.deepEqual(atHand(inbound), bodyOf(2, 3));
    }
  });

  test("wants the same message again after it took a part of it", () => {
    const { outbound } = channel(64);
    assert.ok(!offer(outbound, bodyOf(1, 100)));
    assert.throws(() => offer(outbound, bodyOf(2, 101)), broken);
    assert.throws(() => offer(outbound, bodyOf(2, 8)), broken);
  });

  test("refuses loudly what is over the limit or beyond its bytes", () => {
    const { outbound } = channel(1024);
    assert.throws(() => outbound.offer(new Uint8Array(1), messageBytesMax + 1, 0), broken);
    assert.throws(() => outbound.offer(new Uint8Array(10), 11, 0), broken);
    assert.throws(() => outbound.offer(new Uint8Array(10), 700, 0), broken);
    assert.throws(() => outbound.offer(new Uint8Array(10), -1, 0), broken);
    assert.ok(outbound.offer(new Uint8Array(10), 10, 0), "nothing was left behind");
  });

  test("never assembles more than the limit", () => {
    const { producer, inbound } = channel(2 ** 23);
    const part = producer.recordBytesMax;
    const polls = () => {
      for (let bytes = 0; bytes <= messageBytesMax; bytes += part - 8) {
        const offset = producer.tryClaim(part);
        assert.notEqual(offset, FULL);
        producer.view.setUint32(offset + 4, 2, true);
        producer.commit();
        producer.publish();
        inbound.poll();
        inbound.release();
      }
    };
    assert.throws(polls, broken);
  });

  test("stops at once at a frame that may not come here", () => {
    for (const kinds of [[0], [4], [1 + 256], [3], [2, 1]]) {
      const { producer, inbound } = channel(256);
      for (const kind of kinds) {
        const offset = producer.tryClaim(16);
        producer.view.setUint32(offset + 4, kind, true);
        producer.commit();
      }
      producer.publish();
      assert.throws(() => inbound.poll(), broken, String(kinds));
    }
    const { producer, inbound } = channel(256);
    producer.tryClaim(7);
    producer.commit();
    producer.publish();
    assert.throws(() => inbound.poll(), broken, "shorter than a header");
  });
});

describe("copyPending", () => {
  test("visits the messages above received, up to the ordinal, and consumes none", () => {
    const { outbound, inbound } = channel(4096);
    for (let n = 1; n <= 6; n++) offer(outbound, bodyOf(n, n));
    outbound.publish();
    inbound.poll();
    inbound.take();
    const expected = [2, 3, 4].map((ordinal) => ({ ordinal, body: bodyOf(ordinal, ordinal) }));
    assert.deepEqual(pending(inbound, 4), expected);
    assert.deepEqual(pending(inbound, 4), expected);
    inbound.poll();
    assert.deepEqual(pending(inbound, 4), expected, "the message at hand is not yet received");
    assert.deepEqual(atHand(inbound), bodyOf(2, 2));
    assert.deepEqual(pending(inbound, 1), []);
    assert.deepEqual(pending(inbound, 0), []);
    assert.deepEqual(pending(inbound, 4 + 2 ** 32), expected, "ordinals are compared modulo 2^32");
    assert.equal(inbound.received, 1);
  });

  test("sees a tail that was published after the last poll", () => {
    const { outbound, inbound } = channel(256);
    assert.equal(inbound.poll(), false);
    offer(outbound, bodyOf(1, 9));
    outbound.publish();
    assert.deepEqual(pending(inbound, 1), [{ ordinal: 1, body: bodyOf(1, 9) }]);
  });

  test("includes a message whose first fragments were consumed already", () => {
    const { outbound, inbound } = channel(128, 2 ** 32 - 56);
    const body = bodyOf(1, 150);
    assert.ok(!offer(outbound, body, 1));
    outbound.publish();
    assert.equal(inbound.poll(), false);
    inbound.release();
    assert.deepEqual(pending(inbound, 0), []);
    assert.throws(() => pending(inbound, 1), broken, "it is not whole yet");
    while (!offer(outbound, body, 2)) {
      outbound.publish();
      assert.equal(inbound.poll(), false);
      inbound.release();
    }
    assert.ok(offer(outbound, bodyOf(2, 3), 3));
    outbound.publish();
    const expected = [
      { ordinal: 1, body },
      { ordinal: 2, body: bodyOf(2, 3) },
    ];
    assert.deepEqual(pending(inbound, 2), expected);
    assert.ok(inbound.poll());
    assert.deepEqual(pending(inbound, 2), expected, "its last fragment stays in the ring until it is taken");
    assert.deepEqual(atHand(inbound), body, "the copy left the message at hand alone");
    inbound.take();
    assert.deepEqual(pending(inbound, 2), expected.slice(1));
  });

  test("assembles several fragmented messages while one of them is at hand", () => {
    const { outbound, inbound } = channel(1024);
    const bodies = [250, 260, 270].map((length, index) => bodyOf(index + 1, length));
    for (const body of bodies) assert.ok(offer(outbound, body));
    outbound.publish();
    assert.ok(inbound.poll());
    assert.deepEqual(
      pending(inbound, 3).map(({ body }) => body),
      bodies,
    );
    for (const body of bodies) {
      assert.ok(inbound.poll());
      assert.deepEqual(atHand(inbound), body);
      inbound.take();
    }
  });

  test("stops at once when a message is missing, and works after a visit that threw", () => {
    const { outbound, inbound } = channel(1024);
    offer(outbound, bodyOf(1, 300));
    assert.throws(() => pending(inbound, 1), broken, "entered and not published");
    outbound.publish();
    assert.throws(() => pending(inbound, 2), broken);
    const failing = () => {
      throw new Error("no");
    };
    assert.throws(() => inbound.copyPending(1, failing), /no/);
    assert.deepEqual(pending(inbound, 1), [{ ordinal: 1, body: bodyOf(1, 300) }]);
  });
});

describe("a doorbell", () => {
  function doorbells() {
    const words = new Int32Array(new SharedArrayBuffer(16));
    const rings: unknown[] = [];
    const waker = new Doorbell(words, 2, { postMessage: (message) => rings.push(message) });
    return { words, rings, waker, sleeper: new Doorbell(words, 2) };
  }

  test("rings once for one who parked, however many call", () => {
    const { words, rings, waker, sleeper } = doorbells();
    assert.equal(waker.ringIfParked(), false);
    sleeper.park();
    assert.equal(waker.ringIfParked(), true);
    assert.equal(waker.ringIfParked(), false);
    assert.equal(rings.length, 1);
    assert.deepEqual([...words], [0, 0, 0, 0]);
  });

  test("does not ring for one who unparked", () => {
    const { rings, waker, sleeper } = doorbells();
    sleeper.park();
    sleeper.unpark();
    assert.equal(waker.ringIfParked(), false);
    assert.equal(rings.length, 0);
  });

  test("stops at once without a word, or without a port where it must ring", () => {
    const { sleeper } = doorbells();
    sleeper.park();
    assert.throws(() => sleeper.ringIfParked(), broken);
    assert.throws(() => new Doorbell(new Int32Array(1), 1), broken);
  });
});
