/**
 * `latency`: one caller, from `app.ask` to the durable reply, against a bare round trip between two threads with one
 * write and fdatasync. With `--load F`: from the instant a message is due to its committed record, at the part F of the
 * maximum rate.
 */
import { start } from "../../lib/index.js";
import type { BenchOptions, BenchResult } from "../bench.js";
import { DataDirectory } from "../data-directory.js";
import { median, rounded, spread } from "../statistics.js";
import { TimeHistogram } from "../time-histogram.js";
import { desk } from "./latency.app.js";
import { Parcels } from "./parcels.js";
import { PortRoundTrip } from "./port-round-trip.js";

const module = new URL("./latency.app.js", import.meta.url);
/** Addresses that the caller asks, in turn. */
const desks = 100;
/** Parcels on their way while the maximum rate is measured. */
const window = 20_000;

export function run(options: BenchOptions): Promise<BenchResult> {
  return options.load === undefined ? oneCaller(options) : underLoad(options, options.load);
}

async function oneCaller(options: BenchOptions): Promise<BenchResult> {
  const { quick, log, shards = 2 } = options;
  const rounds = options.rounds ?? (quick ? 3 : 9);
  const calls = options.messages ?? (quick ? 200 : 2_000);
  const directory = await DataDirectory.make(log);
  const port = await PortRoundTrip.open(directory.path);
  const app = await start(module, { dataDir: `${directory.path}/data`, shards });
  try {
    let asked = 0;
    const ask = async (): Promise<number> => {
      const address = desk.at(`user-${asked++ % desks}`);
      const began = performance.now();
      await app.ask(address, { add: 1 });
      return performance.now() - began;
    };
    const trip = (): Promise<number> => port.trip();
    await series(ask, calls);
    await series(trip, calls);
    const ours = new TimeHistogram();
    const theirs = new TimeHistogram();
    const ratios: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const first = await series(round % 2 === 0 ? ask : trip, calls);
      const second = await series(round % 2 === 0 ? trip : ask, calls);
      const [asks, trips] = round % 2 === 0 ? [first, second] : [second, first];
      ours.add(asks);
      theirs.add(trips);
      ratios.push(asks.percentile(50) / trips.percentile(50));
      log(
        `round ${round + 1}: p50 ${rounded(asks.percentile(50))} ms, bare round trip ${rounded(trips.percentile(50))} ms`,
      );
    }
    let checksum = 0;
    for (let n = 0; n < desks; n++) checksum += await app.ask(desk.at(`user-${n}`), { add: 0 });
    if (checksum !== asked) throw new Error(`not exactly once: asked ${asked} times, desks counted ${checksum}`);
    return {
      name: "latency",
      value: rounded(ours.percentile(50)),
      unit: "ms",
      baseline: rounded(theirs.percentile(50)),
      ratio: rounded(median(ratios)), // of the rounds
      ...ours.figures,
      rounds,
      spread: rounded(spread(ratios), 2),
      checksum,
      baselineP99: rounded(theirs.percentile(99)),
      calls,
      shards,
    };
  } finally {
    await app.stop();
    await port.close();
    await directory.remove();
  }
}

/** So many calls, one after the other. */
async function series(call: () => Promise<number>, calls: number): Promise<TimeHistogram> {
  const times = new TimeHistogram();
  for (let n = 0; n < calls; n++) times.record(await call());
  return times;
}

async function underLoad(options: BenchOptions, load: number): Promise<BenchResult> {
  const { quick, log, shards = 2, keys = 10_000 } = options;
  if (load >= 1) throw new Error("--load must be below 1: at the maximum rate queues grow without end");
  const rounds = options.rounds ?? (quick ? 2 : 7);
  const [fullMs, loadedMs] = quick ? [300, 500] : [2_000, 4_000];
  const directory = await DataDirectory.make(log);
  const app = await start(module, { dataDir: directory.path, shards });
  try {
    const parcels = new Parcels(app, keys);
    await parcels.closedLoop(window, fullMs);
    const all = new TimeHistogram();
    const p99s: number[] = [];
    const rates: number[] = [];
    for (let round = 0; round < rounds; round++) {
      rates.push(await parcels.closedLoop(window, fullMs));
      const times = await parcels.openLoop(load * median(rates), loadedMs);
      all.add(times);
      p99s.push(times.percentile(99));
      log(`round ${round + 1}: at most ${Math.round(rates.at(-1) as number)} a second; at ${load} of it ${times}`);
    }
    return {
      name: "latency",
      value: rounded(median(p99s)),
      unit: "ms",
      ...all.figures,
      rounds,
      spread: rounded(spread(p99s), 2),
      checksum: await parcels.verify(),
      load,
      maximumPerSecond: Math.round(median(rates)),
      shards,
      keys,
    };
  } finally {
    await app.stop();
    await directory.remove();
  }
}
