/**
 * `peers`: the same work done by the engine and by others, one after the other in the same run. A peer that is not
 * installed is skipped, and the result says so.
 */
import type { BenchOptions, BenchResult } from "../bench.js";
import { decimals, median, spread } from "../statistics.js";
import { bullmq } from "./bullmq.js";
import { holdfast } from "./holdfast.js";
import { nact } from "./nact.js";
import { messagesOf, type Peer, PeerAbsent, type PeerTask } from "./peer.js";
import { piscina } from "./piscina.js";
import { postMessage } from "./post-message.js";
import { restate } from "./restate.js";

const all: readonly Peer[] = [holdfast, postMessage, piscina, nact, bullmq, restate];

/** One round of one peer ends within this time. */
const peerMsMax = 60_000;

/** What came of a peer. */
interface Standing {
  readonly name: string;
  readonly keeps: string;
  readonly messages: number;
  readonly perSecond: number;
  readonly rates: readonly number[];
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { quick, log } = options;
  const rounds = options.rounds ?? (quick ? 1 : 3);
  const keys = options.keys ?? (quick ? 50 : 1_000);
  const messages = options.messages ?? (quick ? 2_000 : 2_000_000);
  const rates = new Map<Peer, number[]>();
  const skipped: { readonly name: string; readonly reason: string }[] = [];
  let counted = 0;
  for (let round = 0; round < rounds; round++) {
    for (const peer of all) {
      if (skipped.some(({ name }) => name === peer.name)) continue;
      const task = taskOf(peer, messages, keys, quick);
      try {
        const { perSecond, sum } = await rate(peer, task);
        counted += sum;
        rates.set(peer, [...(rates.get(peer) ?? []), perSecond]);
        log(`round ${round + 1}: ${peer.name} ${Math.round(perSecond)} msg/s (${messagesOf(task)} messages)`);
      } catch (error) {
        if (!(error instanceof PeerAbsent)) throw error;
        skipped.push({ name: peer.name, reason: error.message });
        log(`${peer.name} skipped: ${error.message}`);
      }
    }
  }
  const standings = [...rates].map(([peer, list]): Standing => {
    const { name, keeps } = peer;
    return {
      name,
      keeps,
      messages: messagesOf(taskOf(peer, messages, keys, quick)),
      perSecond: Math.round(median(list)),
      rates: list.map(Math.round),
    };
  });
  const ours = rates.get(holdfast) as number[];
  const baseline = median(rates.get(postMessage) as number[]);
  return {
    name: "peers",
    value: Math.round(median(ours)),
    unit: "msg/s",
    baseline: Math.round(baseline),
    ratio: decimals(median(ours) / baseline, 2),
    rounds,
    spread: decimals(spread(ours), 2),
    checksum: counted,
    keys,
    peers: standings,
    skipped,
  };
}

/** Of slow peers fewer messages are asked, so that each of them takes seconds. */
function taskOf({ share }: Peer, messages: number, keys: number, quick: boolean): PeerTask {
  const wanted = Math.max(200, Math.round(messages * share));
  const chains = Math.min(quick ? 20 : 500, Math.ceil(wanted / 4));
  return { keys: Math.min(keys, wanted), chains, hops: Math.round(wanted / chains) };
}

/** @throws when a peer takes longer than a peer may: something that it needs does not answer */
async function within<T>(work: Promise<T>, { name }: Peer): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} was not done after ${peerMsMax} ms`)), peerMsMax);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Messages per second. @throws when a message counted twice or not at all */
async function rate(peer: Peer, task: PeerTask): Promise<{ readonly perSecond: number; readonly sum: number }> {
  const { seconds, counted } = await within(peer.run(task), peer);
  const messages = messagesOf(task);
  if (counted !== messages) throw new Error(`${peer.name}: ${messages} messages, its counters say ${counted}`);
  return { perSecond: messages / seconds, sum: counted };
}
