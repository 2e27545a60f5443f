/** A ring, in and out on one thread, beside a MessagePort that is read without its event loop. */
import { MessageChannel, type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { RingConsumer } from "../../lib/ring/ring-consumer.js";
import { allocateRing, EMPTY, FULL } from "../../lib/ring/ring-memory.js";
import { RingProducer } from "../../lib/ring/ring-producer.js";
import type { Comparison } from "./comparison.js";

const operations = 1_000;
const recordBytes = 32;

export function ring(): Comparison {
  const memory = allocateRing({ capacity: 256 * 1024, shared: true });
  const producer = new RingProducer(memory);
  const consumer = new RingConsumer(memory);
  const { port1, port2 } = new MessageChannel();
  return {
    name: "32 bytes from one end to the other",
    operations,
    expected: (operations * (operations - 1)) / 2,
    engine: { name: "ring", run: () => throughRing(producer, consumer) },
    baselines: [{ name: "MessagePort", run: () => throughPort(port1, port2) }],
    close: () => port1.close(),
  };
}

function throughRing(producer: RingProducer, consumer: RingConsumer): number {
  for (let n = 0; n < operations; n++) {
    const offset = producer.tryClaim(recordBytes);
    if (offset === FULL) throw new Error("the ring has room for all");
    producer.view.setUint32(offset, n, true);
    producer.commit();
  }
  producer.publish();
  let sum = 0;
  for (let offset = consumer.poll(); offset !== EMPTY; offset = consumer.poll()) {
    sum += consumer.view.getUint32(offset, true);
    consumer.advance();
  }
  consumer.release();
  return sum;
}

function throughPort(sender: MessagePort, receiver: MessagePort): number {
  for (let n = 0; n < operations; n++) {
    const record = new Uint8Array(recordBytes);
    new DataView(record.buffer).setUint32(0, n, true);
    sender.postMessage(record);
  }
  let sum = 0;
  for (let n = 0; n < operations; n++) {
    const { message } = receiveMessageOnPort(receiver) as { message: Uint8Array };
    sum += new DataView(message.buffer).getUint32(message.byteOffset, true);
  }
  return sum;
}
