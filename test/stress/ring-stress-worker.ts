/**
 * One end of the channel that ring.stress.test.ts puts under stress, in a thread of its own. Both ends work in steps and
 * park on their event loop when there is nothing to do; only the other's doorbell wakes them, so a lost wake-up hangs.
 */
import assert from "node:assert/strict";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { seededRandom } from "../../lib/base/random.js";
import { Doorbell } from "../../lib/channel/doorbell.js";
import { Inbound } from "../../lib/channel/inbound.js";
import { Outbound } from "../../lib/channel/outbound.js";
import { RingConsumer } from "../../lib/ring/ring-consumer.js";
import { RingProducer } from "../../lib/ring/ring-producer.js";

/** What a worker is started with. */
export interface StressEnd {
  readonly role: "sender" | "receiver";
  readonly memory: SharedArrayBuffer;
  /** Two `parked` words: the sender's and the receiver's. */
  readonly parked: Int32Array;
  /** Leads to the other end. */
  readonly port: MessagePort;
  readonly messages: number;
  /** Bodies are 4 bytes at least and this at most, most of them short. */
  readonly bodyBytesMax: number;
  readonly seed: number;
}

/** What it reports at its end. */
export interface StressReport {
  readonly role: StressEnd["role"];
  readonly parks: number;
  readonly bytes: number;
  readonly ms: number;
}

const messagesPerStep = 256;
const end = workerData as StressEnd;
const sender = end.role === "sender";
const mine = new Doorbell(end.parked, sender ? 0 : 1);
const other = new Doorbell(end.parked, sender ? 1 : 0, end.port);
/** Both ends draw the same numbers, so the receiver knows what must come. */
const random = seededRandom(end.seed);
const body = new Uint8Array(end.bodyBytesMax);
let done = 0;
let bytes = 0;
let parks = 0;
let startedAt = 0;

/** Length of the next message. */
function drawLength(): number {
  const shape = random.below(16);
  return 4 + random.below(shape === 0 ? end.bodyBytesMax - 3 : shape < 8 ? 29 : Math.min(93, end.bodyBytesMax - 3));
}

/** Byte `index` of message `n`. */
function byteAt(n: number, index: number): number {
  return (Math.imul(n, 0x9e3779b1) >>> 24) + index * 13;
}

/** One step; true when it got something done. */
function makeSender(): () => boolean {
  const outbound = new Outbound(new RingProducer(end.memory));
  let length = 0;
  return () => {
    let offers = 0;
    for (; offers < messagesPerStep && done < end.messages; offers++) {
      if (length === 0) {
        length = drawLength();
        for (let index = 4; index < length; index++) body[index] = byteAt(done, index);
        new DataView(body.buffer).setUint32(0, done, true);
      }
      if (!outbound.offer(body, length, done)) break;
      bytes += length;
      length = 0;
      done++;
    }
    const published = outbound.publish();
    if (published) other.ringIfParked();
    return published;
  };
}

function makeReceiver(): () => boolean {
  const inbound = new Inbound(new RingConsumer(end.memory));
  return () => {
    let polls = 0;
    for (; polls < messagesPerStep && inbound.poll(); polls++) {
      check(inbound, drawLength());
      inbound.take();
      bytes += inbound.length;
      done++;
    }
    const released = inbound.release();
    if (released) other.ringIfParked();
    return released;
  };
}

function check(inbound: Inbound, length: number): void {
  const { body, offset } = inbound;
  const number = body[offset]! + body[offset + 1]! * 2 ** 8 + body[offset + 2]! * 2 ** 16 + body[offset + 3]! * 2 ** 24;
  if (number !== done || inbound.length !== length || inbound.epoch !== done) {
    assert.fail(
      `message ${done} of ${length} bytes came as ${number} of ${inbound.length} bytes, epoch ${inbound.epoch}`,
    );
  }
  for (let index = 4; index < length; index++) {
    if (body[offset + index] !== (byteAt(done, index) & 0xff))
      assert.fail(`byte ${index} of message ${done} is damaged`);
  }
}

const step = sender ? makeSender() : makeReceiver();

/** Steps until there is nothing to do twice, the second time with `parked` set; goes on when the doorbell rings. */
function run(): void {
  if (startedAt === 0) startedAt = performance.now();
  mine.unpark();
  while (done < end.messages) {
    if (step()) continue;
    mine.park();
    if (!step()) {
      parks++;
      return;
    }
    mine.unpark();
  }
  end.port.off("message", run);
  const report: StressReport = { role: end.role, parks, bytes, ms: performance.now() - startedAt };
  parentPort!.postMessage(report);
}

end.port.on("message", run);
run();
