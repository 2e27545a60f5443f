/** One of the two workers of the `postMessage` peer: has the counters whose number modulo `ends` is its index. */
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { type Hop, NextHop } from "./peer.js";

export interface EndData {
  readonly index: number;
  readonly ends: number;
  readonly keys: number;
  /** To the other one. */
  readonly port: MessagePort;
}

/** What it says to main: it listens, a chain has ended, or what all its counters add up to. */
export interface FromEnd {
  readonly kind: "ready" | "done" | "count";
  readonly count: number;
}

const { index, ends, keys, port } = workerData as EndData;
const main = parentPort as MessagePort;
const counters = new Map<string, number>();
const next = new NextHop(keys, index + 1);

/** Goes on as long as the chain stays here. */
function take(first: Hop): void {
  for (let hop = first; ; hop = next.after(hop)) {
    if (Number(hop.userId.slice("user-".length)) % ends !== index) {
      port.postMessage(hop);
      return;
    }
    counters.set(hop.userId, (counters.get(hop.userId) ?? 0) + hop.amount);
    if (hop.hops === 0) {
      say("done", 1);
      return;
    }
  }
}

function say(kind: FromEnd["kind"], count: number): void {
  main.postMessage({ kind, count } satisfies FromEnd);
}

port.on("message", take);
main.on("message", (message: Hop | "count") => {
  if (message === "count")
    say(
      "count",
      [...counters.values()].reduce((sum, count) => sum + count, 0),
    );
  else take(message);
});
say("ready", 0);
