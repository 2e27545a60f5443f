/**
 * The committed world as the simulator knows it: folded from the deltas that the shards handed over, compared with what
 * every recovery finds, independent of the engine's own memory.
 *
 * B1. Conservation: tokens in state + tokens in flight = tokens of committed ingress items + of committed sends.
 * B2. An in-flight row is in one shard only; what recovery finds is what was committed, row by row.
 * B3. Between two addresses: numbers sent − numbers seen = messages in flight, and those are the numbers in between.
 * B4. A position never moves back, nor does what was consumed of a gateway session; what was acknowledged is consumed.
 * B5. In a new layout every shard begins with the latest engine time that any shard had stored.
 */
import { MessageReader } from "../../lib/codec/message-codec.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { namespaceOf } from "../../lib/model/function-type.js";
import { hashId } from "../../lib/partition/hash.js";
import { shardOfKeyGroup } from "../../lib/partition/key-groups.js";
import { columnCode, Registry } from "../../lib/shard/registry.js";
import { keyText } from "../../lib/shard/rows.js";
import { decodeStateValue } from "../../lib/shard/state-value.js";
import { decodeClock, isClockKey } from "../../lib/shard/timer-rows.js";
import type { Delta } from "../../lib/snapshot/delta.js";
import { decodeMeta } from "../../lib/snapshot/meta-rows.js";
import {
  columnOf,
  decodeKey,
  epochKey,
  idOf,
  keyGroupOf,
  metaKeyGroup,
  rowTable,
  stateKey,
  tableOf,
} from "../../lib/store/row-key.js";
import { forEachRow } from "../../lib/store/row-writer.js";
import { CommittedRows, type LedgerRow } from "./committed-rows.js";
import type { CommittedView } from "./feature.js";
import { rule } from "./violation.js";
import { isBaseType, type SimMessage, type Workload } from "./workload.js";

/** Rows of one shard by key text. */
export type Rows = Map<string, Uint8Array>;

const epochName = keyText(epochKey);

/** One lane of a gateway session: the tokens of its first n messages, from n = 0. */
export interface SentLane {
  readonly tokens: number[];
  acknowledged: number;
}

/** A message in flight, read. */
interface Flying {
  readonly code: number;
  readonly type: string;
  readonly id: string;
  /** The type of a message to a type that a namespace makes. */
  readonly dynamicType: string | undefined;
  readonly payload: unknown;
}

export class Ledger {
  epoch = 0;
  shards: CommittedRows[];
  /** By `session/shard`. */
  readonly lanes = new Map<string, SentLane>();
  readonly #workload: Workload;
  readonly #keyGroups: number;
  readonly #registry: Registry;
  readonly #codec = new PayloadCodec();
  readonly #reader = new MessageReader(this.#codec);
  #tokens = 0;
  readonly #inflight = new Map<string, number>();
  readonly #positions = new Map<string, number>();
  readonly #consumed = new Map<string, number>();

  constructor(workload: Workload, shards: number, keyGroups: number) {
    this.#workload = workload;
    this.#keyGroups = keyGroups;
    this.#registry = new Registry(workload.app);
    this.shards = Array.from({ length: shards }, () => new CommittedRows());
  }

  get inFlight(): number {
    return this.#inflight.size;
  }

  /** An epoch was committed. */
  apply(epoch: number, deltas: readonly Delta[]): void {
    rule(epoch === this.epoch + 1, () => `epoch ${epoch} is committed after ${this.epoch}`);
    rule(deltas.length === this.shards.length, `epoch ${epoch} is committed without all of its deltas`);
    this.epoch = epoch;
    const gone: string[] = [];
    for (const { shard, rows, cells } of deltas) {
      const own = this.shards[shard];
      const apply = (key: Uint8Array, value: Uint8Array | undefined): void => {
        const text = keyText(key);
        const before = own.get(text);
        if (before !== undefined) this.#count(shard, before, -1, gone);
        if (value === undefined) own.delete(text);
        else this.#count(shard, own.set(text, key, value), 1, gone);
      };
      forEachRow(rows, apply);
      forEachRow(cells.rows, apply);
    }
    for (const text of gone) {
      const holders = this.#inflight.get(text) ?? 0;
      rule(holders <= 1, () => `a message in flight has rows in ${holders} shards`); // B2
    }
    this.#conserve();
  }

  /** B1 */
  #conserve(): void {
    let injected = 0;
    for (const [split, position] of this.#positions) injected += this.#workload.tokensUpTo(split, position);
    for (const [name, consumed] of this.#consumed) {
      const lane = this.lanes.get(name);
      rule(
        lane !== undefined && consumed < lane.tokens.length,
        () => `lane ${name} has consumed ${consumed}, more than was sent`,
      );
      injected += lane.tokens[consumed];
    }
    rule(
      this.#tokens === injected,
      () => `conservation at epoch ${this.epoch}: ${this.#tokens} tokens, ${injected} injected`,
    );
  }

  /** What recovery found; `moved` when the rows may be dealt to other shards than before. */
  recovered(epoch: number, shards: Rows[], moved: boolean): void {
    rule(epoch === this.epoch, () => `recovered epoch ${epoch}, but ${this.epoch} was committed`);
    const known = this.shards.map((rows) => rows.all);
    const before = moved ? [union(known)] : known;
    const after = moved ? [union(shards)] : shards;
    for (const [shard, rows] of after.entries()) {
      const difference = differenceOf(before[shard], rows, moved);
      rule(
        difference === undefined,
        () => `recovery at epoch ${epoch} finds other rows, shard ${shard}: ${difference}`,
      ); // B2
    }
    if (moved) {
      this.#checkClocks(shards); // B5
      this.shards = shards.map((rows) => CommittedRows.of(rows));
    }
    this.checkPairs();
    for (const [name, { acknowledged }] of this.lanes) {
      rule(
        (this.#consumed.get(name) ?? 0) >= acknowledged,
        () => `a send of ${name} was acknowledged and is not committed`,
      ); // B4
    }
  }

  /** B5 */
  #checkClocks(after: readonly Rows[]): void {
    const latest = Math.max(...this.shards.map(({ all }) => latestClock(all)));
    for (const [shard, rows] of after.entries()) {
      if (!this.#hasKeyGroups(shard, after.length)) continue;
      const clock = latestClock(rows);
      rule(clock === latest, () => `shard ${shard} of a new layout begins at ${clock}, the time was ${latest}`);
    }
  }

  #hasKeyGroups(shard: number, shards: number): boolean {
    const groups = Array.from({ length: this.#keyGroups }, (_, group) => group);
    return groups.some((group) => shardOfKeyGroup(group, this.#keyGroups, shards) === shard);
  }

  /** B3 */
  checkPairs(): void {
    const sent = new Map<string, number>();
    const seen = new Map<string, number>();
    const flying = new Map<string, number[]>();
    for (const row of this.#rowsOf(rowTable.INFLIGHT)) {
      const { type, id, payload } = this.#flying(row);
      if (!isBaseType(type)) continue;
      const { from, n } = payload as SimMessage;
      const pair = `${from} → ${type}@${id}`;
      flying.set(pair, [...(flying.get(pair) ?? []), n]);
    }
    for (const { at, name, value } of this.#baseStates()) {
      if (name === "sent")
        for (const [to, n] of Object.entries(value as Record<string, number>)) sent.set(`${at} → ${to}`, n);
      if (name === "seen")
        for (const [from, n] of Object.entries(value as Record<string, number>)) seen.set(`${from} → ${at}`, n);
    }
    for (const [pair, numbers] of flying) {
      const first = (seen.get(pair) ?? 0) + 1;
      numbers.sort((a, b) => a - b);
      rule(
        numbers.every((n, index) => n === first + index),
        () => `${pair}: ${numbers.join(",")} are in flight, ${first - 1} were seen`,
      );
    }
    for (const [pair, count] of sent) {
      const there = (seen.get(pair) ?? 0) + (flying.get(pair)?.length ?? 0);
      rule(count === there, () => `${pair}: ${count} sent, ${there} seen or in flight`);
    }
  }

  /** Every message in flight is for a quarantined address. */
  checkQuarantine(): void {
    const quarantined = new Set<string>();
    for (const { key } of this.#rowsOf(rowTable.QUARANTINE)) quarantined.add(`${columnOf(key)}@${idOf(key)}`);
    // the id of a type that a namespace makes has the name of the type in front
    for (const row of this.#rowsOf(rowTable.INFLIGHT)) {
      const { code, type, id, dynamicType } = this.#flying(row);
      const name = dynamicType === undefined ? id : `${dynamicType}\0${id}`;
      rule(quarantined.has(`${code}@${name}`), () => `a message for ${type}@${id} waits, though nothing keeps it`);
    }
  }

  /** Turns applied at each address, and the chain they made. */
  chains(): Map<string, { count: number; chain: number }> {
    const chains = new Map<string, { count: number; chain: number }>();
    for (const { at, name, value } of this.#baseStates()) {
      if (name !== "count" && name !== "chain") continue;
      const entry = chains.get(at) ?? { count: 0, chain: 0 };
      entry[name] = value as number;
      chains.set(at, entry);
    }
    return chains;
  }

  /** What features look at. */
  get view(): CommittedView {
    const rowsOf = (table: number) => this.#rowsOf(table);
    return {
      epoch: this.epoch,
      rows: rowsOf,
      state: (type, state, id) => {
        const hash = hashId(id);
        const stored = `${this.#prefixOf(type)}${id}`;
        const key = keyText(stateKey(hash % this.#keyGroups, columnCode(type, state), stored));
        for (const rows of this.shards) {
          const row = rows.get(key);
          if (row !== undefined) return this.#state(row);
        }
        return undefined;
      },
      states: (type, state) => this.#statesOf(columnCode(type, state), this.#prefixOf(type)),
      inFlight: (type) => this.#inFlightTo(type),
    };
  }

  *#rowsOf(table: number): Iterable<LedgerRow> {
    for (const rows of this.shards) yield* rows.ofTable(table);
  }

  *#statesOf(column: number, prefix: string): Iterable<readonly [string, unknown]> {
    for (const rows of this.shards) {
      for (const row of rows.ofColumn(column)) {
        row.id ??= idOf(row.key);
        if (row.id.startsWith(prefix)) yield [row.id.slice(prefix.length), this.#state(row)];
      }
    }
  }

  /** The states of the base workload's addresses. */
  *#baseStates(): Iterable<{ readonly at: string; readonly name: string; readonly value: unknown }> {
    for (const { name: type, states } of this.#workload.storedTypes) {
      if (!isBaseType(type)) continue;
      for (const { name, code } of states)
        for (const [id, value] of this.#statesOf(code, "")) yield { at: `${type}@${id}`, name, value };
    }
  }

  #state(row: LedgerRow): unknown {
    if (row.read === undefined) row.read = { value: decodeStateValue(this.#codec, row.value) };
    return (row.read as { readonly value: unknown }).value;
  }

  #flying(row: LedgerRow): Flying {
    if (row.read === undefined) {
      const reader = this.#reader;
      reader.read(row.value, 0, row.value.length);
      const { targetCode: code, targetId: id, targetType: dynamicType } = reader;
      const type = dynamicType ?? this.#typeOf(code);
      row.read = { code, type, id, dynamicType, payload: reader.payload() } satisfies Flying;
    }
    return row.read as Flying;
  }

  /** What is in front of the ids of a type in keys of its state: types of a namespace may have the same codes. */
  #prefixOf(type: string): string {
    return this.#workload.namespaces.includes(namespaceOf(type)) ? `${type}\0` : "";
  }

  *#inFlightTo(type: string): Iterable<{ id: string; payload: unknown }> {
    for (const row of this.#rowsOf(rowTable.INFLIGHT)) {
      const flying = this.#flying(row);
      if (flying.type === type) yield flying;
    }
  }

  /** What the outside has put in and is not consumed yet; nothing when all is. */
  unconsumed(sessions: ReadonlySet<number>): string | undefined {
    for (const { split } of this.#workload.splits) {
      const length = this.#workload.records.get(split)?.length ?? 0;
      if ((this.#positions.get(`in/${split}`) ?? 0) !== length) return `split ${split}`;
    }
    for (const [name, { tokens }] of this.lanes) {
      if (sessions.has(Number(name.split("/")[0])) && (this.#consumed.get(name) ?? 0) !== tokens.length - 1)
        return `lane ${name}`;
    }
    return undefined;
  }

  /** Items consumed of a split. */
  position(split: string): number {
    return this.#positions.get(`in/${split}`) ?? 0;
  }

  #count(shard: number, row: LedgerRow, sign: 1 | -1, touched: string[]): void {
    const { key, value, text } = row;
    if (keyGroupOf(key) === metaKeyGroup) {
      if (sign > 0) this.#countMeta(shard, key, value);
      return;
    }
    if (tableOf(key) === rowTable.INFLIGHT) {
      const { type, payload } = this.#flying(row);
      if (isBaseType(type)) this.#tokens += sign * (payload as SimMessage).tokens;
      const holders = (this.#inflight.get(text) ?? 0) + sign;
      if (holders === 0) this.#inflight.delete(text);
      else this.#inflight.set(text, holders);
      touched.push(text);
    } else if (tableOf(key) === rowTable.STATE && this.#workload.tokenColumns.has(columnOf(key))) {
      this.#tokens += sign * (this.#state(row) as number);
    }
  }

  /** B4 */
  #countMeta(shard: number, key: Uint8Array, value: Uint8Array): void {
    const decoded = decodeKey(key);
    const meta = decodeMeta(decoded.table === rowTable.META ? decoded.name : "", value);
    const advance = (counts: Map<string, number>, name: string, count: number): void => {
      rule(count >= (counts.get(name) ?? 0), () => `${name} moved back to ${count}`);
      counts.set(name, count);
    };
    if (meta.kind === "position") advance(this.#positions, meta.split, this.#codec.decode(meta.bytes) as number);
    else if (meta.kind === "gateway") advance(this.#consumed, `${meta.session}/${shard}`, meta.consumed);
  }

  #typeOf(code: number): string {
    return this.#registry.byCode.get(code)?.type ?? "?";
  }
}

function union(shards: readonly Rows[]): Rows {
  const all: Rows = new Map();
  for (const [shard, rows] of shards.entries()) {
    for (const [text, value] of rows) {
      const shared = all.get(text);
      rule(shared === undefined || text.charCodeAt(0) === 0xff, `a row is in two shards, one of them ${shard}`);
      all.set(text, value);
    }
  }
  return all;
}

/** The latest engine time among rows, 0 when there is none. */
function latestClock(rows: Rows): number {
  let latest = 0;
  for (const [text, value] of rows) if (isClock(text)) latest = Math.max(latest, decodeClock(value));
  return latest;
}

function isClock(text: string): boolean {
  const key = new Uint8Array(Buffer.from(text, "latin1"));
  return keyGroupOf(key) !== metaKeyGroup && tableOf(key) === rowTable.TIMER && isClockKey(key);
}

/** Gateway rows of old sessions do not move; clocks are given anew. */
function differenceOf(before: Rows, after: Rows, moved: boolean): string | undefined {
  const skips = (text: string): boolean => text === epochName || (moved && (text.endsWith("gateway") || isClock(text)));
  for (const [text, value] of before) {
    if (skips(text)) continue;
    const found = after.get(text);
    if (found === undefined) return `${hex(text)} is missing`;
    if (Buffer.compare(found, value) !== 0) return `${hex(text)} differs`;
  }
  for (const text of after.keys()) if (!skips(text) && !before.has(text)) return `${hex(text)} is not committed`;
  return undefined;
}

function hex(text: string): string {
  return Buffer.from(text, "latin1").toString("hex");
}
