/**
 * One shard's side of the epoch protocol: turns captured effects and the channel state into a delta.
 *
 * Owner and thread: the shard's.
 * C1. At most one capture is open. It ends when its delta is handed over, which needs every shard to have captured.
 * C2. What was captured is immutable, so it is encoded in slices while turns go on.
 * C3. Channel state of epoch n at this shard = older frames consumed while the capture is open (recorded) + frames that
 *     were in the rings up to the published tails when all shards had captured (copied in slices, not consumed). A frame
 *     is one or the other, never both.
 * C4. A frame that was copied has its row when it is consumed later.
 */
import { ByteWriter } from "../base/bytes.js";
import type { Clock } from "../base/clock.js";
import { invariant, unreachable } from "../base/invariant.js";
import { touchedTogether } from "../base/limits.js";
import { type ControlWords, isLater } from "../channel/control-words.js";
import type { Inbound, VisitMessage } from "../channel/inbound.js";
import { type FrameReader, isCompact } from "../codec/frame-codec.js";
import { MessageReader, writeMessageHead } from "../codec/message-codec.js";
import { PayloadCodec } from "../codec/payload-codec.js";
import { keyGroupOf, keyGroupOfHash } from "../partition/key-groups.js";
import { ABSENT } from "../shard/instance.js";
import type { OutboxEntry } from "../shard/outbox.js";
import type { CapturedEffects, CapturePort, ShardLimits } from "../shard/ports.js";
import { writeStateValue } from "../shard/state-value.js";
import { inflightKeyBytes, stateKeyBytesMax, writeInflightKey, writeStateKey } from "../store/row-key.js";
import { RowWriter } from "../store/row-writer.js";
import { type Delta, noCells, placeWidth } from "./delta.js";
import { gatewayRow, positionRow } from "./meta-rows.js";

export interface CaptureConfig {
  readonly index: number;
  readonly shards: number;
  readonly keyGroups: number;
  readonly generation: number;
  readonly limits: Pick<ShardLimits, "captureRowsPerStepMax">;
}

export interface CapturePorts {
  readonly clock: Clock;
  readonly control: ControlWords;
  readonly inbound: readonly (Inbound | undefined)[];
  /** Hands a delta to the coordinator. */
  handOver(delta: Delta): void;
}

type Stage = "closed" | "cells" | "messages" | "outboxes" | "peers" | "channels" | "copied";

export class Capture implements CapturePort {
  readonly #config: CaptureConfig;
  readonly #ports: CapturePorts;
  readonly #codec = new PayloadCodec();
  readonly #reader = new MessageReader(this.#codec);
  readonly #rows = new RowWriter();
  readonly #cells = new RowWriter();
  #places = noCells.places;
  #placed = 0;
  readonly #stored = new ByteWriter(1024);
  /** Per shard, the ordinal up to which its frames were copied (C4). */
  readonly #copiedUntil: number[];
  #frames: readonly (FrameReader | undefined)[] = [];
  #stage: Stage = "closed";
  #effects: CapturedEffects | undefined;
  #outboxEntries: readonly OutboxEntry[] = [];
  #cursor = 0;
  #channelMessages = 0;
  #workMs = 0;
  /** Nobody reads it; it keeps the compiler from leaving loads out. */
  #touched = 0;

  constructor(config: CaptureConfig, ports: CapturePorts) {
    this.#config = config;
    this.#ports = ports;
    this.#copiedUntil = new Array(config.shards).fill(0);
  }

  attach(frames: readonly (FrameReader | undefined)[]): void {
    this.#frames = frames;
  }

  get open(): boolean {
    return this.#stage !== "closed";
  }

  begin(effects: CapturedEffects): void {
    invariant(!this.open, "one capture at a time"); // C1
    this.#effects = effects;
    this.#outboxEntries = effects.outboxes.flat();
    this.#stage = "cells";
    this.#cursor = 0;
    this.#channelMessages = 0;
    this.#workMs = 0;
    this.#places = new Int32Array(placeWidth * effects.cells.length);
    this.#placed = 0;
    this.#encodeSmallParts(effects);
  }

  frameHasRow(from: number, channel: Inbound): boolean {
    const ordinal = channel.received + 1;
    if (ordinal <= this.#copiedUntil[from]) return true; // C4
    if (!this.open || !this.belongsToCut(channel.epoch)) return false;
    return this.record(from, ordinal, channel);
  }

  /** True for a frame that its sender sent before it captured the open epoch. */
  belongsToCut(frameEpoch: number): boolean {
    return isLater(this.#captured.epoch, frameEpoch);
  }

  /** C3: an older frame consumed while the capture is open. */
  record(from: number, ordinal: number, channel: Inbound): boolean {
    this.#putFrame(from, ordinal, channel.body, channel.offset, channel.length);
    return true;
  }

  step(): number {
    if (!this.open) return 0;
    const began = this.#ports.clock.now();
    const work = this.#advance();
    if (work > 0) this.#workMs += this.#ports.clock.now() - began;
    if (this.#stage === "copied") this.#finish(); // C1
    return work;
  }

  #advance(): number {
    const effects = this.#captured;
    switch (this.#stage) {
      case "cells":
        return this.#slice(effects.cells.length, this.#putCell, "messages");
      case "messages":
        return this.#slice(effects.messages.length, this.#putMessage, "outboxes");
      case "outboxes":
        return this.#slice(this.#outboxEntries.length, this.#putOutboxEntry, "peers");
      case "peers":
        if (!this.#allCaptured()) return 0;
        this.#stage = "channels";
        return 1 + this.#advance();
      case "channels":
        if (this.copyChannels()) this.#stage = "copied";
        return 1;
      case "copied":
      case "closed":
        return 0;
      default:
        return unreachable(this.#stage);
    }
  }

  /** C2: encodes one slice of a list; goes on to the next stage at its end. */
  #slice(length: number, put: (index: number) => void, next: Stage): number {
    const end = Math.min(length, this.#cursor + this.#config.limits.captureRowsPerStepMax);
    for (let i = this.#cursor; i < end; i++) put(i);
    this.#cursor = end;
    if (end < length) return end;
    this.#stage = next;
    this.#cursor = 0;
    return end + this.#advance();
  }

  #allCaptured(): boolean {
    const { epoch } = this.#captured;
    for (let shard = 0; shard < this.#config.shards; shard++) {
      if (isLater(epoch, this.#ports.control.epoch(shard))) return false;
    }
    return true;
  }

  /** C3: copies a slice of what lies in the rings up to the tails that the others published; true when nothing is left. */
  copyChannels(): boolean {
    const { control, inbound } = this.#ports;
    let budget = this.#config.limits.captureRowsPerStepMax;
    for (; this.#cursor < inbound.length; this.#cursor++) {
      const from = this.#cursor;
      const channel = inbound[from];
      if (channel === undefined) continue;
      const tail = control.tail(this.#captured.epoch, from, this.#config.index);
      const visit: VisitMessage = (body, offset, length, ordinal) => {
        this.#putFrame(from, ordinal, body, offset, length);
        this.#copiedUntil[from] = ordinal;
      };
      budget -= channel.copyPending(tail, visit, this.#copiedUntil[from], budget);
      if (budget === 0) return false;
    }
    return true;
  }

  #finish(): void {
    const effects = this.#captured;
    invariant(this.#placed === this.#places.length, "every dirty cell has a row");
    this.#stage = "closed";
    this.#effects = undefined;
    this.#outboxEntries = [];
    this.#ports.handOver({
      generation: this.#config.generation,
      shard: this.#config.index,
      epoch: effects.epoch,
      rows: this.#rows.take(),
      cells: { rows: this.#cells.take(), places: this.#places },
      output: effects.output.take(),
      gatewayConsumed: effects.gateway?.consumed,
      counts: effects.counts,
      inFlight: effects.inFlight + this.#channelMessages,
      workMs: this.#workMs,
    });
  }

  get #captured(): CapturedEffects {
    invariant(this.#effects !== undefined, "a capture is open");
    return this.#effects;
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  #encodeSmallParts(effects: CapturedEffects): void {
    this.#rows.rows(effects.rows);
    for (const { name, bytes } of effects.positions) {
      const row = positionRow(name, bytes);
      this.#rows.put(row.key, row.value);
    }
    if (effects.gateway !== undefined) {
      const row = gatewayRow(effects.gateway.session, effects.gateway.consumed);
      this.#rows.put(row.key, row.value);
    }
  }

  /** Loads what the next cells are made of: what lies far apart in memory is waited for at the same time. */
  #touchCells(first: number): void {
    const { cells } = this.#captured;
    const end = Math.min(cells.length, first + touchedTogether);
    let touched = 0;
    for (let i = first; i < end; i++) {
      const { handle, instance } = cells.at(i);
      touched ^= handle ^ instance.hash ^ instance.id.charCodeAt(0);
    }
    this.#touched ^= touched;
  }

  readonly #putCell = (index: number): void => {
    if (index % touchedTogether === 0) this.#touchCells(index);
    const cell = this.#captured.cells.take(index);
    const { instance, column, handle } = cell;
    invariant(handle > 0, "a dirty cell has a handle");
    const value = cell.dirtyEpoch === this.#captured.epoch - 1 ? cell.value : cell.captured;
    const key = this.#cells.beginKey();
    const id = instance.storedId;
    const keyGroup = keyGroupOfHash(instance.hash, this.#config.keyGroups);
    const at = key.reserve(stateKeyBytesMax(id));
    key.truncate(writeStateKey(key.memory, at, keyGroup, column.code, id));
    const writer = this.#cells.endKey();
    if (value === ABSENT) this.#cells.endDelete();
    else {
      writeStateValue(writer, this.#codec, value);
      this.#cells.endValue();
    }
    this.#place(handle, at, instance.hash ^ column.code);
  };

  #place(handle: number, keyAt: number, hash: number): void {
    const places = this.#places;
    places[this.#placed] = handle;
    places[this.#placed + 1] = keyAt;
    places[this.#placed + 2] = hash;
    this.#placed += placeWidth;
  }

  readonly #putMessage = (index: number): void => {
    const message = this.#captured.messages[index];
    const { entry, id, keyGroup, origin, idHi, idLo, caller, ask } = message;
    const writer = this.#beginInflight(keyGroup, origin.generation, origin.sender, message.sequence);
    const type = entry.dynamic ? entry.type : undefined;
    writeMessageHead(writer, entry.code, id, idHi, idLo, caller, ask, 0, type, message.extras);
    this.#codec.write(message.payload, writer);
    this.#rows.endValue();
  };

  readonly #putOutboxEntry = (index: number): void => {
    const { keyGroup, sequence, body } = this.#outboxEntries[index];
    this.#beginInflight(keyGroup, this.#config.generation, this.#config.index, sequence).bytes(body);
    this.#rows.endValue();
  };

  /** Rows hold messages in stored form, whatever their form in a ring. */
  #putFrame(from: number, ordinal: number, body: Uint8Array, offset: number, length: number): void {
    const stored = this.#stored;
    stored.reset();
    const targetId = this.#store(from, stored, body, offset, length);
    const keyGroup = keyGroupOf(targetId, this.#config.keyGroups);
    this.#beginInflight(keyGroup, this.#config.generation, from, ordinal).bytes(stored.memory, 0, stored.length);
    this.#rows.endValue();
    this.#channelMessages++;
  }

  /** Appends a frame in stored form; the id of its target. */
  #store(from: number, writer: ByteWriter, body: Uint8Array, offset: number, length: number): string {
    const frames = this.#frames[from];
    if (frames !== undefined && isCompact(body, offset)) {
      frames.store(writer, body, offset, length);
      return frames.targetId;
    }
    this.#reader.read(body, offset, length);
    writer.bytes(body, offset, length);
    return this.#reader.targetId;
  }

  #beginInflight(
    keyGroup: number,
    generation: number,
    sender: number,
    sequence: number,
  ): ReturnType<RowWriter["endKey"]> {
    const key = this.#rows.beginKey();
    const at = key.reserve(inflightKeyBytes);
    writeInflightKey(key.memory, at, keyGroup, generation, sender, sequence);
    return this.#rows.endKey();
  }
}
