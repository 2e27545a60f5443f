/** A turn with one write and one send within a shard that commits nothing, beside plain calls through a Map. */
import { systemClock } from "../../lib/base/clock.js";
import {
  admissionBytesMax,
  captureRowsPerStepMax,
  overloadBytesMax,
  receivePerStepMax,
  recentRowsMax,
  recentSlabBytes,
  timersResidentMax,
  turnsPerStepMax,
  unmergedCellsMin,
} from "../../lib/base/limits.js";
import { seededRandom } from "../../lib/base/random.js";
import { ControlWords } from "../../lib/channel/control-words.js";
import { Inbound } from "../../lib/channel/inbound.js";
import { defineApp, defineFunction, type IngressDefinition, value } from "../../lib/index.js";
import { RingConsumer } from "../../lib/ring/ring-consumer.js";
import { allocateRing } from "../../lib/ring/ring-memory.js";
import { Shard } from "../../lib/shard/shard.js";
import type { BaseReader } from "../../lib/store/base.js";
import type { Comparison } from "./comparison.js";

const addresses = 1_000;
const chains = 100;
const operations = 10_000;

interface Hop {
  readonly to: number;
  readonly hops: number;
}

export function turn(): Comparison {
  const shard = newShard();
  const plain = new Map(Array.from({ length: addresses }, (_, n) => [`counter-${n}`, { count: 0 }]));
  return {
    name: "a turn: read, add, write, send",
    operations,
    expected: operations,
    engine: { name: "shard", run: () => turnsOf(shard) },
    baselines: [{ name: "call through a Map", run: () => callsThrough(plain) }],
    close: () => shard.close(),
  };
}

function turnsOf(shard: Shard): number {
  const until = shard.counts.turns + operations;
  while (shard.counts.turns < until) shard.step();
  return operations; // within the turns of one step
}

function callsThrough(counters: Map<string, { count: number }>): number {
  let message: Hop = { to: 0, hops: 0 };
  for (let n = 0; n < operations; n++) {
    const counter = counters.get(`counter-${message.to}`);
    if (counter === undefined) throw new Error("every counter is there");
    counter.count += 1;
    message = { to: (message.to * 7 + 13) % addresses, hops: message.hops + 1 };
  }
  return message.hops;
}

/** A shard alone, whose counters pass `chains` messages on for ever. */
function newShard(): Shard {
  const counter = defineFunction("micro/counter", {
    state: { count: value(0) },
    receive(ctx, { to, hops }: Hop) {
      ctx.state.count.set(ctx.state.count.get() + 1);
      ctx.send(counter.at(`counter-${(to * 7 + 13) % addresses}`), { to: (to * 7 + 13) % addresses, hops: hops + 1 });
    },
  });
  const ingress: IngressDefinition = {
    name: "first",
    splits: () => ["all"],
    open: () => {
      let next = 0;
      return {
        get exhausted() {
          return next === chains;
        },
        next: () =>
          next === chains
            ? undefined
            : { kind: "record", value: { to: next++, hops: 0 }, position: next, where: "here", bytes: 1 },
        close: () => {},
      };
    },
    route: (hop: Hop, to) => to(counter.at(`counter-${hop.to}`), hop),
    onBadRecord: "fail",
    rejects: undefined as never, // nothing is
  };
  const limits = {
    residentInstancesMax: Number.POSITIVE_INFINITY,
    admissionBytesMax,
    overloadBytesMax,
    turnAttemptsMax: 1,
    turnRetryBaseMs: 0,
    turnTimeoutMs: 60_000,
    timersResidentMax,
    recentRowsMax,
    recentSlabBytes,
    unmergedCellsMin,
    receivePerStepMax,
    turnsPerStepMax,
    captureRowsPerStepMax,
  };
  const capture = { open: false, attach: () => {}, begin: () => {}, frameHasRow: () => false, step: () => 0 };
  return new Shard(
    {
      app: { ...defineApp({ functions: [counter] }), ingresses: [ingress] },
      index: 0,
      shards: 1,
      keyGroups: 128,
      generation: 1,
      session: 1,
      epoch: 0,
      splits: [{ ingress: "first", split: "all" }],
      suspects: undefined,
      limits,
    },
    {
      clock: systemClock,
      random: seededRandom(1),
      control: new ControlWords(ControlWords.allocate(1, false), 1),
      outbound: [undefined],
      inbound: [undefined],
      gateway: new Inbound(new RingConsumer(allocateRing({ capacity: 1_024, shared: false }))),
      base: emptyBase,
      capture,
      wakeShard: () => {},
      wakeStorage: () => {},
      wakeForRoom: () => {},
      roomFor: () => Number.POSITIVE_INFINITY,
      wakeSelf: () => {},
      offload: () => Promise.reject(new Error("nothing is offloaded")),
      noteTurns: () => {},
      report: ({ kind }) => {
        throw new Error(`a counter was ${kind}`);
      },
    },
    {
      messages: [],
      tombstones: [],
      overlay: new Map(),
      positions: new Map(),
      gatewayConsumed: 0,
      orphans: 0,
    },
  );
}

const emptyBase: BaseReader = {
  refresh: () => {},
  epoch: () => 0,
  get: () => undefined,
  scan: () => [],
  close: () => {},
};
