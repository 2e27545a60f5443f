/**
 * Delayed messages: the part of a shard that keeps them and sends them when they are due.
 *
 * Owner and thread: the shard.
 * D1. A timer is a row of its sender's key group from the turn that sets it until it is cancelled or fires. Firing
 *     deletes the row and dispatches the message in the same epoch.
 * D2. Every timer of a key group below its frontier is in the heap (or held, D4); those at or above it are rows only. Without
 *     a frontier all are in the heap. A timer fires when no frontier is before it, so the order is kept; a frontier that
 *     comes near is moved on, one key group after the other. So memory is bounded whatever is pending, and no step is long.
 * D3. The heap only says where to look: a key whose row is gone is passed over, a key that is there twice fires once.
 * D4. A timer that an unfinished turn has cancelled is held: it does not fire. The turn's end deletes it, or releases it
 *     when the turn fails. One turn runs at an address, so a timer is held once.
 * D5. Each timer has one row that leads to it from its sender: under its token, or else under its own order. It goes when
 *     the timer does. So a token is found, and everything of one sender, without a look at the timers of others.
 */
import { Heap } from "../base/heap.js";
import { invariant } from "../base/invariant.js";
import { timerListMax, timersAheadMs, timersPerStepMax } from "../base/limits.js";
import type { Peer } from "../codec/message-codec.js";
import { childHi, childLo, formatMessageId } from "../model/message-id.js";
import { hashId32, hashName32 } from "../partition/hash.js";
import type { EngineTime } from "./engine-time.js";
import type { Part, PartPort } from "./part.js";
import type { FunctionEntry } from "./registry.js";
import { keyBytes, keyText } from "./rows.js";
import {
  compareTimers,
  decodeSent,
  decodeTimer,
  decodeTimerKey,
  encodeSentValue,
  encodeTimer,
  sentBounds,
  sentBucket,
  type Timer,
  type TimerKey,
  timerBucket,
  timerKey,
  timersEnd,
  tokenKey,
  untokenedKey,
} from "./timer-rows.js";

/** Rows of an address that are looked at together. */
const pageRows = 1_000;

/** An address by name. */
export interface TimerSender {
  readonly type: string;
  readonly id: string;
}

/** A pending delayed message, as it is listed. */
export interface ListedTimer {
  /** When it is due, in milliseconds since 1970. */
  readonly due: number;
  readonly from: string;
  readonly to: string;
  readonly token: string | undefined;
  readonly messageId: string;
}

export class Timers implements Part {
  readonly time: EngineTime;
  readonly #port: PartPort;
  readonly #keyGroups: readonly number[];
  readonly #residentMax: number;
  readonly #heap = new Heap<TimerKey>((a, b) => compareTimers(a, b) < 0);
  /** By key text; true once it came due while it was held. */
  readonly #held = new Map<string, boolean>();
  readonly #frontiers = new Map<number, TimerKey>();
  /** The first of the frontiers. */
  #nearest: TimerKey | undefined;
  #sequence = 0;

  constructor(port: PartPort, time: EngineTime, keyGroups: readonly number[]) {
    this.#port = port;
    this.time = time;
    this.#keyGroups = keyGroups;
    this.#residentMax = port.config.limits.timersResidentMax;
  }

  restore(): void {
    for (const keyGroup of this.#keyGroups) {
      this.#frontiers.set(keyGroup, { keyGroup, due: 0, generation: 0, sequence: 0 });
    }
    this.#findNearest();
  }

  step(): number {
    if (!this.#port.admissionOpen || (this.#heap.length === 0 && this.#nearest === undefined)) return 0;
    let work = 0;
    const now = this.time.now();
    const load = this.#toLoad;
    if (load !== undefined && load.due <= now + timersAheadMs) work += this.#load(load);
    for (let budget = timersPerStepMax; budget > 0; budget--) {
      const next = this.#heap.peek();
      if (this.#nearest !== undefined && this.#nearest.due <= now && isBefore(this.#nearest, next)) {
        work += this.#load(this.#nearest);
        continue;
      }
      if (next === undefined || !this.isDue(next, now)) break;
      this.#heap.pop();
      this.fire(next, now);
      work++;
    }
    return work;
  }

  get nextDue(): number {
    if (!this.#port.admissionOpen) return Number.POSITIVE_INFINITY; // what opens it is a step's work
    const due = this.#heap.peek()?.due ?? Number.POSITIVE_INFINITY;
    const load = this.#toLoad;
    const next = Math.min(due, load === undefined ? due : load.due - timersAheadMs);
    return next === Number.POSITIVE_INFINITY ? next : this.time.wakeAt(next);
  }

  readonly commands = {
    "timers.list": (limit: number, address: TimerSender | undefined) => this.#list(limit, address),
  };

  /** Never early. */
  isDue(timer: TimerKey, now: number): boolean {
    return timer.due <= now;
  }

  /** The pending timer of a token. */
  find(keyGroup: number, sender: Peer, token: string): TimerKey | undefined {
    const key = tokenKey(keyGroup, sender, token);
    const value = this.#port.rows.get(sentBucket(keyGroup, sender.id), key);
    return value === undefined ? undefined : decodeSent(key, value);
  }

  /** D4 */
  hold(timer: TimerKey): void {
    this.#held.set(keyText(timerKey(timer)), false);
  }

  /** D4 */
  release(timer: TimerKey): void {
    const text = keyText(timerKey(timer));
    const cameDue = this.#held.get(text) === true;
    this.#held.delete(text);
    if (cameDue) this.#keep(timer);
  }

  /** Deletes a timer that was held. */
  remove(timer: TimerKey, sender: Peer, token: string): void {
    this.#held.delete(keyText(timerKey(timer)));
    this.deleteRows(timer, sender, token);
  }

  /** Keeps a message until it is due. */
  add(keyGroup: number, due: number, timer: Timer): void {
    const { rows, epoch, config } = this.#port;
    const key = { keyGroup, due, generation: config.generation, sequence: ++this.#sequence };
    const { sender, token } = timer;
    rows.put(timerBucket(keyGroup), timerKey(key), encodeTimer(timer), epoch);
    rows.put(sentBucket(keyGroup, sender.id), sentKey(key, sender, token), encodeSentValue(key, token), epoch); // D5
    this.#keep(key);
    this.time.store(this.time.now());
  }

  /** D1 */
  fire(key: TimerKey, now: number): void {
    const { rows, registry, codec } = this.#port;
    const bytes = timerKey(key);
    const text = keyText(bytes);
    if (this.#held.has(text)) {
      this.#held.set(text, true); // D4
      return;
    }
    const value = rows.get(timerBucket(key.keyGroup), bytes);
    if (value === undefined) return; // D3
    const timer = decodeTimer(value);
    const entry = registry.peer(timer.target);
    if (entry === undefined) return; // its function is not defined any more: it waits for a start that defines it
    this.deleteRows(key, timer.sender, timer.token);
    const { idHi, idLo, payload, target, sender } = timer;
    this.#port.dispatch(entry, target.id, codec.decode(payload), payload.length, idHi, idLo, 0, sender);
    this.time.store(now);
    this.#port.touch();
  }

  deleteRows(key: TimerKey, sender: Peer, token: string | undefined): void {
    const { rows, epoch } = this.#port;
    rows.delete(timerBucket(key.keyGroup), timerKey(key), epoch);
    rows.delete(sentBucket(key.keyGroup, sender.id), sentKey(key, sender, token), epoch); // D5
  }

  /** What the address has set goes; the heap passes over it (D3). What others have set for it stays. */
  destroy({ type }: FunctionEntry, id: string): void {
    this.removeAll({ type, id });
  }

  /** Deletes every timer of a sender. */
  removeAll(sender: TimerSender): void {
    for (const { key, timer } of this.#sentBy(sender)) this.deleteRows(key, timer.sender, timer.token);
  }

  /** D5: the timers of one sender, in no order that means anything. */
  *#sentBy(
    sender: TimerSender,
  ): Generator<{ readonly key: TimerKey; readonly timer: Timer; readonly value: Uint8Array }> {
    const { rows } = this.#port;
    const keyGroup = this.#port.keyGroupOf(sender.id);
    const bucket = sentBucket(keyGroup, sender.id);
    let { from, to } = sentBounds(keyGroup, hashName32(sender.type), sender.id);
    for (let more = true; more; ) {
      const page = rows.scan(bucket, from, to, pageRows);
      for (const row of page) {
        const key = decodeSent(row.key, row.value);
        const value = rows.get(timerBucket(keyGroup), timerKey(key));
        invariant(value !== undefined, "a row of a sender leads to a timer");
        const timer = decodeTimer(value);
        if (this.#isFrom(timer, sender)) yield { key, timer, value };
      }
      more = page.length === pageRows;
      if (more) from = keyBytes(`${keyText(page[page.length - 1].key)}\0`);
    }
  }

  /** D2 */
  #keep(key: TimerKey): void {
    const frontier = this.#frontiers.get(key.keyGroup);
    if (frontier !== undefined && compareTimers(key, frontier) >= 0) return;
    this.#heap.push(key);
    if (this.#heap.length > this.#residentMax) this.#shrink();
  }

  /** D2: what is furthest away is rows only from now on. */
  #shrink(): void {
    const cut = this.#heap.shrink(this.#residentMax >>> 1);
    for (const keyGroup of this.#keyGroups) {
      const frontier = this.#frontiers.get(keyGroup);
      if (frontier === undefined || compareTimers(cut, frontier) < 0)
        this.#frontiers.set(keyGroup, { ...cut, keyGroup });
    }
    this.#findNearest();
  }

  /** The frontier that is moved on next; when there is hardly room, only once its timer is due. */
  get #toLoad(): TimerKey | undefined {
    return this.#heap.length < this.#residentMax / 2 ? this.#nearest : undefined;
  }

  /** D2: takes up the next timers of the key group of a frontier. */
  #load(frontier: TimerKey): number {
    const { keyGroup } = frontier;
    const limit = Math.max(1, Math.floor(this.#residentMax / 2 / this.#keyGroups.length));
    const rows = this.#scan(keyGroup, frontier, limit);
    const found = rows.map(({ key }) => decodeTimerKey(key));
    if (rows.length < limit) this.#frontiers.delete(keyGroup);
    else this.#frontiers.set(keyGroup, following(found[found.length - 1]));
    this.#findNearest();
    for (const key of found) this.#keep(key);
    return 1;
  }

  #findNearest(): void {
    this.#nearest = undefined;
    for (const frontier of this.#frontiers.values()) if (isBefore(frontier, this.#nearest)) this.#nearest = frontier;
  }

  #scan(keyGroup: number, from: TimerKey | undefined, limit: number): ReturnType<PartPort["rows"]["scan"]> {
    const first = timerKey({ ...(from ?? { due: 0, generation: 0, sequence: 0 }), keyGroup });
    return this.#port.rows.scan(timerBucket(keyGroup), first, timersEnd(keyGroup), limit);
  }

  /** Pending timers, soonest first. */
  #list(limit: number, address: TimerSender | undefined): ListedTimer[] {
    const found = address === undefined ? this.#soonest(limit) : this.#owns(address) ? [...this.#sentBy(address)] : [];
    found.sort((a, b) => compareTimers(a.key, b.key));
    return found.slice(0, Math.min(limit, timerListMax)).map(({ key, value }) => this.#listed(key, value));
  }

  #owns({ id }: TimerSender): boolean {
    return this.#port.owns(this.#port.keyGroupOf(id));
  }

  #soonest(limit: number): { readonly key: TimerKey; readonly value: Uint8Array }[] {
    return this.#keyGroups.flatMap((group) =>
      this.#scan(group, undefined, limit).map(({ key, value }) => ({ key: decodeTimerKey(key), value })),
    );
  }

  #listed({ due }: TimerKey, value: Uint8Array): ListedTimer {
    const { sender, target, token, idHi, idLo } = decodeTimer(value);
    const messageId = formatMessageId(childHi(idHi, childLo(idLo, 0), 0), childLo(idLo, 0), hashId32(target.id));
    return { due, from: this.#nameOf(sender), to: this.#nameOf(target), token, messageId };
  }

  #isFrom({ sender }: Timer, { type, id }: TimerSender): boolean {
    if (sender.id !== id || sender.code !== hashName32(type)) return false;
    return (this.#typeOf(sender) ?? type) === type; // of a function that is not defined any more there is only the code
  }

  #typeOf({ code, dynamicType }: Peer): string | undefined {
    return dynamicType ?? this.#port.registry.coded(code)?.type;
  }

  #nameOf(peer: Peer): string {
    const { code, id } = peer;
    const type = this.#typeOf(peer);
    return `${type ?? `(function ${code.toString(16).padStart(8, "0")}, not defined)`}@${id}`;
  }
}

/** True when there is no other, too. */
function isBefore(timer: TimerKey, other: TimerKey | undefined): boolean {
  return other === undefined || compareTimers(timer, other) < 0;
}

function sentKey(key: TimerKey, sender: Peer, token: string | undefined): Uint8Array {
  return token === undefined ? untokenedKey(key, sender) : tokenKey(key.keyGroup, sender, token);
}

/** The place right behind a timer. */
function following(timer: TimerKey): TimerKey {
  return { ...timer, sequence: timer.sequence + 1 };
}
