/**
 * The baseline: one worker posts message objects to another over a MessagePort, one per call; the other counts them.
 * This file is both the driver and, in a worker, either end.
 */
import { isMainThread, MessageChannel, type MessagePort, parentPort, Worker, workerData } from "node:worker_threads";

interface EndData {
  readonly role: "producer" | "consumer";
  readonly port: MessagePort;
}

/** Two workers that wait for rounds. */
export class PostMessagePair {
  readonly #producer: Worker;
  readonly #consumer: Worker;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.#producer = end("producer", port1);
    this.#consumer = end("consumer", port2);
  }

  /** Messages per second of one round. */
  async round(messages: number): Promise<number> {
    const done = new Promise<void>((resolve) => this.#consumer.once("message", () => resolve()));
    this.#consumer.postMessage(messages);
    const began = performance.now();
    this.#producer.postMessage(messages);
    await done;
    return (messages / (performance.now() - began)) * 1000;
  }

  async close(): Promise<void> {
    await Promise.all([this.#producer.terminate(), this.#consumer.terminate()]);
  }
}

function end(role: EndData["role"], port: MessagePort): Worker {
  const data: EndData = { role, port };
  return new Worker(new URL(import.meta.url), { workerData: data, transferList: [port] });
}

if (!isMainThread) {
  const { role, port } = workerData as EndData;
  const main = parentPort as MessagePort;
  if (role === "producer") {
    main.on("message", (messages: number) => {
      for (let n = 0; n < messages; n++) port.postMessage({ userId: `user-${n % 10_000}`, amount: 1, hops: n });
    });
  } else {
    let expected = 0;
    let count = 0;
    main.on("message", (messages: number) => {
      expected = messages;
      count = 0;
    });
    port.on("message", (message: { amount: number }) => {
      count += message.amount;
      if (count === expected) main.postMessage(count);
    });
  }
}
