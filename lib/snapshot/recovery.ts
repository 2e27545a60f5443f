/**
 * From a data directory to a running generation. The same path serves a cold start, a start after a crash, and a
 * restart inside the process; a crash at any point of it repeats it from the start.
 *
 *     manifest → chain of commits in the log → bases → fold what they lack → make all of it durable
 *              → live tail into a new segment → [new layout] → manifest of the new generation → deal to shards
 *
 * Owner and thread: the storage thread's.
 * V1. The committed epoch c is the end of the longest chain of commits whose deltas all verify. When something says
 *     that a later epoch was durable, the log is damaged and the start is refused: nothing acknowledged is dropped
 *     unless `recoverTo` names the last good epoch. A base that is ahead of the log says so, too.
 * V2. What is trusted is made durable first: what a killed process wrote may live in the page cache only.
 * V3. The manifest is the switch. Before it the old generation is intact, after it the new one is.
 * V4. Every row in flight goes to the shard of its key group, in the order of its key. One found in another shard's
 *     base moves with the first epoch: deleted there, put here.
 * V5. In a new layout every shard begins with the latest engine time of all shards of the old one: timers that it takes
 *     over may have been set by that time, and would wait until a wall clock that was set back has caught up.
 */
import { type ErrorCode, HoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { MessageReader } from "../codec/message-codec.js";
import { PayloadCodec } from "../codec/payload-codec.js";
import type { Disk } from "../log/disk.js";
import { DurableNote } from "../log/durable-note.js";
import { LogWriter } from "../log/log-writer.js";
import { type Manifest, type ManifestFunction, readManifest, writeManifest } from "../log/manifest.js";
import { recordType } from "../log/record.js";
import { listSegments } from "../log/segment-name.js";
import { namespaceOf } from "../model/function-type.js";
import { hashName } from "../partition/hash.js";
import { shardOfKeyGroup } from "../partition/key-groups.js";
import { splitKey } from "../shard/ingress-feed.js";
import type { RestoredMessage, RestoredShard } from "../shard/ports.js";
import { keyText } from "../shard/rows.js";
import { clockKey, decodeClock, isClockKey } from "../shard/timer-rows.js";
import type { BaseWriter, Row } from "../store/base.js";
import {
  compareInflight,
  decodeInflightKey,
  keyGroupOf,
  keyGroupRangeBounds,
  metaKeyGroup,
  rowTable,
  tableOf,
} from "../store/row-key.js";
import type { Watermarks } from "./commit-record.js";
import { joinDelta, noCells, splitDelta } from "./delta.js";
import { EpochLog } from "./epoch-log.js";
import { type CommittedEpoch, type FoundEpochs, findEpochs } from "./found-epochs.js";
import { Merge } from "./merge.js";
import { decodeMeta } from "./meta-rows.js";

export interface RecoveryConfig {
  readonly dataDir: string;
  /** Name of the application; "" when it has none. */
  readonly application: string;
  readonly functions: readonly ManifestFunction[];
  /** Namespaces with a provider, without the slash: their function types are known by name, not from `functions`. */
  readonly namespaces?: readonly string[];
  readonly egressCodes: readonly number[];
  readonly shards: number;
  /** Key groups of a new data directory; an existing one keeps its own. */
  readonly keyGroups: number;
  /** Every split of every ingress; a split's shard is its place in this list modulo the shard count. */
  readonly splits: readonly { readonly ingress: string; readonly split: string }[];
  /** Where the log is damaged in committed epochs: the epoch to go back to, which must be the last good one. */
  readonly recoverTo?: number;
  /** The gateway's session, or undefined when this generation begins one. */
  readonly session: number | undefined;
  readonly segmentBytes?: number;
  readonly zeroAheadBytes?: number;
}

export interface RecoveryPorts {
  readonly disk: Disk;
  /** Opens the base of a shard in a layout, or returns the one that is open. */
  openBase(layout: number, shard: number): BaseWriter;
  /** Deletes the bases of every layout but this one. */
  keepOnlyLayout(layout: number): void;
}

/** Output of a committed epoch that some sink has not durably taken, or that nobody may have been told of. */
export interface RecoveredOutput {
  readonly epoch: number;
  readonly shard: number;
  readonly output: Uint8Array;
}

export interface Recovered {
  readonly manifest: Manifest;
  readonly log: EpochLog;
  readonly merges: readonly Merge[];
  readonly watermarks: Watermarks;
  readonly session: number;
  readonly shards: readonly RestoredShard[];
  readonly outputs: readonly RecoveredOutput[];
  /** Names (`splitKey`) of splits that have a committed position and are in no list of splits. */
  readonly formerSplits: readonly string[];
  /** What a person should know: a torn tail that was ignored, say. */
  readonly warnings: readonly string[];
}

const noWatermarks: Watermarks = new Map();
/** Rows of one transaction when a new layout is written. */
const relayoutRowsMax = 5_000;

export class Recovery {
  readonly #config: RecoveryConfig;
  readonly #ports: RecoveryPorts;
  readonly #warnings: string[] = [];
  readonly #formerSplits: string[] = [];
  readonly #reader = new MessageReader(new PayloadCodec());

  constructor(config: RecoveryConfig, ports: RecoveryPorts) {
    this.#config = config;
    this.#ports = ports;
  }

  run(): Recovered {
    const { disk } = this.#ports;
    const { dataDir } = this.#config;
    const old = readManifest(disk, dataDir);
    if (old !== undefined) this.#checkOwner(old);
    const found = old === undefined ? undefined : findEpochs(disk, dataDir, old);
    let merges = this.#openBases(old?.layout ?? 1, old?.shards ?? this.#config.shards);
    const chain = found === undefined ? this.#emptyChain(merges) : this.#chainOf(found, merges);
    const { committed, watermarks } = chain;
    this.#fold(merges, chain.epochs, committed);
    this.makeDurable(merges); // V2
    const generation = (old?.generation ?? 0) + 1;
    const relayout = old !== undefined && old.shards !== this.#config.shards;
    const layout = relayout ? old.layout + 1 : (old?.layout ?? 1);
    const keyGroups = old?.keyGroups ?? this.#config.keyGroups;
    if (relayout) {
      this.#ports.keepOnlyLayout(old.layout); // a start that did not get to its manifest may have left rows in the new one
      merges = this.#writeLayout(merges, layout, keyGroups, committed);
    }
    const log = this.writeTail(generation, chain, committed, merges, watermarks);
    const manifest = this.#nextManifest(old, {
      generation,
      layout,
      keyGroups,
      firstSegment: log.log.firstSegment,
      committed,
    });
    writeManifest(disk, dataDir, manifest); // V3
    log.note = new DurableNote(disk, dataDir, generation);
    log.note.say(committed);
    log.log.recycleOlder();
    this.#ports.keepOnlyLayout(layout);
    const session = this.#config.session ?? generation;
    return {
      manifest,
      log,
      merges,
      watermarks,
      session,
      shards: this.#deal(merges, keyGroups, session),
      outputs: this.#outputsToSend(chain.epochs, watermarks),
      formerSplits: this.#formerSplits,
      warnings: this.#warnings,
    };
  }

  #checkOwner(manifest: Manifest): void {
    const { application, functions, dataDir } = this.#config;
    const known = new Set(manifest.functions.map(({ name }) => name));
    const shared = functions.some(({ name }) => known.has(name));
    const named = manifest.application !== "" && application !== "" && manifest.application !== application;
    if (named || (known.size > 0 && !shared)) {
      const owner =
        manifest.application === "" ? `functions ${[...known].slice(0, 5).join(", ")}` : `"${manifest.application}"`;
      throw new HoldfastError(
        "HF_OTHER_APP",
        `${dataDir} belongs to another application (${owner}): choose another data directory`,
      );
    }
    if (manifest.hash !== hashName) {
      throw new HoldfastError(
        "HF_FORMAT",
        `${dataDir} uses the hash ${manifest.hash}, this version only has ${hashName}`,
      );
    }
  }

  // --- the chain of commits -----------------------------------------------------------------------------------------

  /** A new data directory, or one whose first start did not get as far as its manifest and left a segment behind. */
  #emptyChain(merges: readonly Merge[]): Chain {
    if (merges.some(({ base }) => base.epoch > 0)) {
      throw new HoldfastError(
        "HF_STATE_DAMAGED",
        `${this.#config.dataDir} has bases and no CURRENT: files are missing; restore the data directory from a copy`,
      );
    }
    const left = listSegments(this.#ports.disk, `${this.#config.dataDir}/log`);
    return { epochs: [], committed: 0, watermarks: noWatermarks, nextSegment: (left.at(-1) ?? 0) + 1 };
  }

  /** V1 */
  #chainOf(found: FoundEpochs, merges: readonly Merge[]): Chain {
    const { epochs, committed, scan } = found;
    const nextSegment = scan.nextSegmentNumber;
    const damage = this.#damageOf(found, merges);
    if (damage !== undefined) return { ...this.#acceptLoss(found, merges, damage), nextSegment };
    if (scan.damage !== undefined) {
      this.#warnings.push(`ignored a torn tail above epoch ${committed}: ${this.#placeOf(found)}`);
    }
    if (this.#config.recoverTo !== undefined && this.#config.session === undefined) {
      this.#warnings.push(`recoverTo was not needed: the log is whole up to epoch ${committed}`);
    }
    return { epochs, committed, watermarks: epochs.at(-1)?.watermarks ?? noWatermarks, nextSegment };
  }

  /** Why the chain is not all that was committed, or undefined. */
  #damageOf(found: FoundEpochs, merges: readonly Merge[]): Damage | undefined {
    const { committed, durable, scan } = found;
    if (committed < durable) {
      const reason = scan.damage === undefined ? "" : ` (${scan.damage.reason})`;
      const what = `the log ends at epoch ${committed}, but epoch ${durable} was durable: ${this.#placeOf(found)}${reason}`;
      return { code: "HF_LOG_DAMAGED", what, epoch: durable };
    }
    const shard = merges.findIndex(({ base }) => base.epoch > committed);
    if (shard < 0) return undefined;
    const { epoch } = merges[shard].base;
    const what = `the base of shard ${shard} is at epoch ${epoch}, the log ends at ${committed} (${this.#placeOf(found)}): files of the data directory ${this.#config.dataDir} are damaged, missing or from different times`;
    return { code: "HF_STATE_DAMAGED", what, epoch };
  }

  #placeOf({ scan }: FoundEpochs): string {
    const { segment, offset } = scan.damage ?? scan.end;
    return `segment ${segment} of ${this.#config.dataDir}/log, offset ${offset}`;
  }

  /** Goes on from the last good epoch when that is what was asked for. @throws the damage otherwise */
  #acceptLoss(found: FoundEpochs, merges: readonly Merge[], { code, what, epoch }: Damage): Omit<Chain, "nextSegment"> {
    const { recoverTo } = this.#config;
    const copy = "restore the data directory from a copy";
    const good = found.lastGood(merges.map(({ base }) => base.epoch));
    if (good === undefined) throw new HoldfastError(code, `${what}. No epoch can be recovered: ${copy}`);
    const way = `the last good epoch is ${good.epoch}: ${copy}, or accept the loss with --recover-to ${good.epoch} (recoverTo: ${good.epoch})`;
    if (recoverTo !== good.epoch) {
      const asked = recoverTo === undefined ? "" : `, not ${recoverTo}`;
      throw new HoldfastError(code, `${what}. ${way[0].toUpperCase()}${way.slice(1)}${asked}`);
    }
    this.#warnings.push(
      `went back to epoch ${good.epoch} of ${epoch}, as told, and lost what was committed since: ${what}`,
    );
    const { watermarks } = good;
    const empty = joinDelta(new Uint8Array(0), noCells, new Uint8Array(0));
    const last = { epoch: good.epoch, watermarks, deltas: merges.map((_, shard) => ({ shard, payload: empty })) };
    return { epochs: good.epochs.length > 0 ? good.epochs : [last], committed: good.epoch, watermarks };
  }

  // --- bases --------------------------------------------------------------------------------------------------------

  #openBases(layout: number, shards: number): Merge[] {
    return Array.from({ length: shards }, (_, shard) => new Merge(this.#ports.openBase(layout, shard)));
  }

  #fold(merges: readonly Merge[], epochs: readonly CommittedEpoch[], committed: number): void {
    for (const [shard, merge] of merges.entries()) {
      const first = epochs[0]?.epoch ?? committed + 1;
      if (merge.base.epoch + 1 < first && merge.base.epoch < committed) {
        throw new HoldfastError(
          "HF_STATE_DAMAGED",
          `the base of shard ${shard} is at epoch ${merge.base.epoch}, the log begins at ${first}: the base was replaced by an older one`,
        );
      }
      for (const { epoch, deltas } of epochs) {
        if (epoch <= merge.base.epoch) continue;
        const delta = deltas.find((candidate) => candidate.shard === shard);
        invariant(delta !== undefined, "a commit has a delta of every shard");
        merge.foldRecovered(epoch, splitDelta(delta.payload).rows);
      }
    }
  }

  /** V2 for the bases; the log's tail is written anew and flushed by `writeTail`. */
  makeDurable(merges: readonly Merge[]): void {
    for (const { base } of merges) base.sync();
  }

  /** The live tail goes into a segment of the new generation. */
  writeTail(
    generation: number,
    chain: Chain,
    committed: number,
    merges: readonly Merge[],
    watermarks: Watermarks,
  ): EpochLog {
    const { dataDir, segmentBytes, zeroAheadBytes, egressCodes } = this.#config;
    const writer = new LogWriter(this.#ports.disk, `${dataDir}/log`, {
      generation,
      firstSegment: chain.nextSegment,
      ...(segmentBytes === undefined ? {} : { segmentBytes }),
      ...(zeroAheadBytes === undefined ? {} : { zeroAheadBytes }),
    });
    const log = new EpochLog(writer, committed);
    writer.append(
      { type: recordType.recovery, shard: 0, part: 0, parts: 1, epoch: committed, durable: committed },
      new Uint8Array(0),
    );
    let needed = Math.min(...merges.map(({ base }) => base.epoch));
    for (const code of egressCodes) needed = Math.min(needed, watermarks.get(code)?.epoch ?? 0);
    const live = chain.epochs.filter(({ epoch }) => epoch > needed);
    if (live.length === 0 && chain.epochs.length > 0) live.push(chain.epochs[chain.epochs.length - 1]); // keeps watermarks
    for (const { epoch, deltas, watermarks: marks } of live) log.append(epoch, deltas, marks);
    this.flushTail(writer);
    return log;
  }

  flushTail(writer: LogWriter): void {
    writer.flush();
  }

  /** Writes the rows of all bases into bases for another number of shards. */
  #writeLayout(old: readonly Merge[], layout: number, keyGroups: number, committed: number): Merge[] {
    const { shards } = this.#config;
    const bases = Array.from({ length: shards }, (_, shard) => this.#ports.openBase(layout, shard));
    const batches: Row[][] = bases.map(() => []);
    const clock = new LatestClock();
    const put = (key: Uint8Array, value: Uint8Array): void => {
      const shard = this.#shardOfRow(key, value, keyGroups);
      if (shard === undefined || clock.takes(key, value)) return;
      const batch = batches[shard];
      batch.push({ key, value });
      if (batch.length >= relayoutRowsMax) bases[shard].apply(batch.splice(0));
    };
    for (const { base, overlay } of old) forEachCommittedRow(everything(base), overlay, put);
    this.giveClock(clock, batches, keyGroups);
    for (const [shard, base] of bases.entries()) {
      base.apply(batches[shard], committed);
      base.sync();
    }
    return bases.map((base) => new Merge(base));
  }

  /** V5 */
  giveClock({ latest }: LatestClock, batches: readonly Row[][], keyGroups: number): void {
    if (latest === undefined) return;
    for (let group = keyGroups - 1; group >= 0; group--) {
      const before = group === 0 ? -1 : shardOfKeyGroup(group - 1, keyGroups, batches.length);
      const shard = shardOfKeyGroup(group, keyGroups, batches.length);
      if (shard !== before) batches[shard].push({ key: clockKey(group), value: latest });
    }
  }

  /** The shard whose base takes a row; undefined for rows that mean nothing to another layout. */
  #shardOfRow(key: Uint8Array, value: Uint8Array, keyGroups: number): number | undefined {
    const { shards } = this.#config;
    if (keyGroupOf(key) !== metaKeyGroup) return shardOfKeyGroup(keyGroupOf(key), keyGroups, shards);
    const meta = decodeMeta(metaName(key), value);
    return meta.kind === "position" ? (this.#shardOfSplit(meta.split) ?? 0) : undefined;
  }

  #shardOfSplit(split: string): number | undefined {
    const index = this.#config.splits.findIndex((dealt) => splitKey(dealt.ingress, dealt.split) === split);
    return index < 0 ? undefined : index % this.#config.shards;
  }

  #nextManifest(
    old: Manifest | undefined,
    next: Pick<Manifest, "generation" | "layout" | "keyGroups" | "firstSegment" | "committed">,
  ): Manifest {
    const functions = new Map((old?.functions ?? []).map((known) => [known.name, known]));
    for (const entry of this.#config.functions) {
      const known = functions.get(entry.name)?.states ?? [];
      const added = entry.states.filter(({ name }) => !known.some((state) => state.name === name));
      functions.set(entry.name, { ...entry, states: [...known, ...added] });
    }
    return {
      ...old,
      format: 1,
      application: this.#config.application === "" ? (old?.application ?? "") : this.#config.application,
      hash: hashName,
      shards: this.#config.shards,
      functions: [...functions.values()],
      egresses: old?.egresses ?? {},
      ...next,
    };
  }

  // --- dealing to shards --------------------------------------------------------------------------------------------

  #deal(merges: readonly Merge[], keyGroups: number, session: number): RestoredShard[] {
    const deals = merges.map(() => new ShardDeal());
    const known = new Set(this.#config.functions.map(({ code }) => code));
    for (const [owner, { base, overlay }] of merges.entries()) {
      const visit = (key: Uint8Array, value: Uint8Array): void => {
        if (keyGroupOf(key) === metaKeyGroup) this.#dealMeta(deals, owner, key, value, session);
        else if (tableOf(key) === rowTable.INFLIGHT) this.#dealMessage(deals, owner, key, value, keyGroups, known);
      };
      forEachCommittedRow(withoutState(base, keyGroups), overlay, visit);
      for (const [key, value] of overlay) if (isShards(key)) deals[owner].overlay.set(key, value);
    }
    return deals.map((deal) => deal.finish());
  }

  #dealMessage(
    deals: readonly ShardDeal[],
    owner: number,
    key: Uint8Array,
    body: Uint8Array,
    keyGroups: number,
    known: ReadonlySet<number>,
  ): void {
    this.#reader.read(body, 0, body.length);
    const { targetCode, targetType } = this.#reader;
    if (!(targetType === undefined ? known.has(targetCode) : this.providesType(targetType))) {
      deals[owner].orphans++; // it waits where it is, until the function type is back
      return;
    }
    const shard = shardOfKeyGroup(keyGroupOf(key), keyGroups, deals.length);
    deals[shard].messages.push({ ...decodeInflightKey(key), body, rowed: shard === owner });
    if (shard !== owner) deals[owner].tombstones.push(key); // V4
  }

  /** True for a function type that a namespace makes, or made: its definition has taken over. */
  providesType(type: string): boolean {
    const { namespaces = [], functions } = this.#config;
    return namespaces.includes(namespaceOf(type)) || functions.some(({ name }) => name === type);
  }

  #dealMeta(deals: readonly ShardDeal[], owner: number, key: Uint8Array, value: Uint8Array, session: number): void {
    const meta = decodeMeta(metaName(key), value);
    if (meta.kind === "gateway") {
      if (meta.session === session) deals[owner].gatewayConsumed = meta.consumed;
      else deals[owner].tombstones.push(key);
    } else if (meta.kind === "position") {
      const shard = this.#shardOfSplit(meta.split);
      if (shard === undefined) {
        this.#formerSplits.push(meta.split); // it is gone for now, or its ingress is
        return;
      }
      deals[shard].positions.set(meta.split, { bytes: meta.bytes, rowed: shard === owner });
      if (shard !== owner) deals[owner].tombstones.push(key); // V4
    }
  }

  /** The last epoch's always: its commit may have become durable without anybody being told, and callers wait for replies. */
  #outputsToSend(epochs: readonly CommittedEpoch[], watermarks: Watermarks): RecoveredOutput[] {
    let taken = (epochs.at(-1)?.epoch ?? 0) - 1;
    for (const code of this.#config.egressCodes) taken = Math.min(taken, watermarks.get(code)?.epoch ?? 0);
    const outputs: RecoveredOutput[] = [];
    for (const { epoch, deltas } of epochs) {
      if (epoch <= taken) continue;
      for (const { shard, payload } of deltas)
        outputs.push({ epoch, shard, output: new Uint8Array(splitDelta(payload).output) });
    }
    return outputs;
  }
}

interface StoredRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const lastKey = new Uint8Array([0xff, 0xff, 0xff]);

interface Chain {
  readonly epochs: readonly CommittedEpoch[];
  readonly committed: number;
  /** How far the sinks are, as the last commit says. */
  readonly watermarks: Watermarks;
  readonly nextSegment: number;
}

/** Committed epochs that the chain lacks. */
interface Damage {
  readonly code: ErrorCode;
  readonly what: string;
  /** The last epoch that was committed, as far as is known. */
  readonly epoch: number;
}

/** What one shard gets, while it is put together. */
class ShardDeal {
  readonly messages: RestoredMessage[] = [];
  readonly tombstones: Uint8Array[] = [];
  readonly overlay = new Map<string, Uint8Array | null>();
  readonly positions = new Map<string, { bytes: Uint8Array; rowed: boolean }>();
  gatewayConsumed = 0;
  orphans = 0;

  finish(): RestoredShard {
    this.messages.sort(compareInflight);
    for (let i = 1; i < this.messages.length; i++) {
      const same = compareInflight(this.messages[i - 1], this.messages[i]) === 0;
      invariant(!same || !equalBytes(this.messages[i - 1].body, this.messages[i].body), "a message is in flight once");
    }
    return this;
  }
}

/** The latest engine time that any shard has stored. */
class LatestClock {
  latest: Uint8Array | undefined;

  /** True for a row with a shard's engine time. */
  takes(key: Uint8Array, value: Uint8Array): boolean {
    if (keyGroupOf(key) === metaKeyGroup || tableOf(key) !== rowTable.TIMER || !isClockKey(key)) return false;
    if (this.latest === undefined || decodeClock(value) > decodeClock(this.latest)) this.latest = value;
    return true;
  }
}

/** Visits every committed row: the base's, and what is folded over it. */
function forEachCommittedRow(
  inBase: Iterable<StoredRow>,
  overlay: ReadonlyMap<string, Uint8Array | null>,
  visit: (key: Uint8Array, value: Uint8Array) => void,
): void {
  for (const { key, value } of inBase) if (!overlay.has(keyText(key))) visit(key, value);
  for (const [text, value] of overlay) if (value !== null) visit(new Uint8Array(Buffer.from(text, "latin1")), value);
}

function everything(base: BaseWriter): Iterable<StoredRow> {
  return base.scan(new Uint8Array(0), lastKey);
}

/** Every row but those of state: few, whatever the state weighs. */
function* withoutState(base: BaseWriter, keyGroups: number): Iterable<StoredRow> {
  yield* base.scan(new Uint8Array([metaKeyGroup >>> 8, metaKeyGroup & 0xff]), lastKey);
  for (const { from, to } of keyGroupRangeBounds(0, keyGroups, rowTable.INFLIGHT)) yield* base.scan(from, to);
}

/** True for rows that a shard reads by itself. */
function isShards(text: string): boolean {
  return text.charCodeAt(2) !== rowTable.INFLIGHT && ((text.charCodeAt(0) << 8) | text.charCodeAt(1)) !== metaKeyGroup;
}

function metaName(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset + 3, key.length - 3).toString("latin1");
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0;
}
