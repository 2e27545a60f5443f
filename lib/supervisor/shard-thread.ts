/**
 * Entry of a shard's worker thread: builds one shard when its generation begins, drives it, tells main when it fails.
 *
 * A compiled file, so that it starts on every supported Node; the application module is loaded from here.
 */
import { randomInt } from "node:crypto";
import { type MessagePort, workerData } from "node:worker_threads";
import { systemClock } from "../base/clock.js";
import { toWire } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { seededRandom } from "../base/random.js";
import { ControlWords } from "../channel/control-words.js";
import { Doorbell } from "../channel/doorbell.js";
import { Inbound } from "../channel/inbound.js";
import { Outbound } from "../channel/outbound.js";
import { NodeDisk } from "../log/node-disk.js";
import { DiskNotes } from "../log/notes.js";
import type { AppDefinition } from "../model/app.js";
import { RingConsumer } from "../ring/ring-consumer.js";
import { RingProducer } from "../ring/ring-producer.js";
import type { ShardEvent } from "../shard/ports.js";
import { Shard } from "../shard/shard.js";
import { Capture } from "../snapshot/capture.js";
import type { Delta } from "../snapshot/delta.js";
import { unpackRestored } from "../snapshot/restored.js";
import { turnsNoteName } from "../snapshot/suspects.js";
import type { BaseReader } from "../store/base.js";
import { type Gate, leaveLoaded, openBaseReader } from "../store/lmdb-base.js";
import { gatewaySender } from "../store/row-key.js";
import { loadApp } from "./app-module.js";
import { expose } from "./control-plane.js";
import { HeapRoom } from "./heap-room.js";
import { OffloadClient } from "./offload-client.js";
import { StepLoop } from "./step-loop.js";
import {
  type ShardGeneration,
  type ShardThreadData,
  type ShardToMain,
  shardGate,
  type ToStorage,
} from "./thread-protocol.js";

/** The calls main makes. */
export type ShardControl = {
  /** Loads the application and starts the loop. */
  start(generation: ShardGeneration): Promise<void>;
  closeFeeds(): void;
  /** Runs a command of one of the shard's parts; what it does is part of the epoch. */
  command(name: string, args: readonly unknown[]): { readonly result: unknown; readonly epoch: number };
  /** Ends the loop and lets go of the base; the thread then ends by itself. */
  close(): void;
};

class ShardThread {
  readonly #data: ShardThreadData;
  readonly #gate: Gate;
  readonly #offload: OffloadClient;
  #bellPorts: readonly MessagePort[] = [];
  #notes: DiskNotes | undefined;
  #shard: Shard | undefined;
  #base: BaseReader | undefined;
  #loop: StepLoop | undefined;

  constructor(data: ShardThreadData) {
    this.#data = data;
    this.#gate = { words: new Int32Array(data.gates), index: shardGate(data.index) };
    leaveLoaded(this.#gate);
    this.#tell({ kind: "loaded" });
    this.#offload = new OffloadClient(data.offloadPort);
  }

  async start(generation: ShardGeneration): Promise<void> {
    invariant(this.#shard === undefined, "a shard thread sees one generation");
    const { index } = this.#data;
    const { storagePort, shardPorts } = generation;
    this.#bellPorts = [this.#data.mainPort, storagePort, ...shardPorts.filter((port) => port !== undefined)];
    const app = await loadApp(generation.moduleUrl);
    this.#base = openBaseReader(generation.basePath, { gate: this.#gate });
    const control = new ControlWords(generation.control, generation.shards);
    const shard = this.#build(generation, control, app, this.#base);
    this.#shard = shard;
    const bell = new Doorbell(control.words, control.parkedIndex(index));
    this.#loop = new StepLoop(
      {
        step: () => shard.step(),
        mayWork: () => {
          control.setRoomWanted(index, shard.wantsRoom);
          return shard.mayWork();
        },
        dueIn: () => shard.dueIn(),
        beat: () => control.beat(index),
        rests: (resting) => {
          control.setIdle(index, resting);
          if (resting) shard.press();
        },
      },
      bell,
      (error) => this.#fail(error),
    );
    for (const port of this.#bellPorts) port.on("message", () => this.#loop?.wake());
    this.#loop.wake();
  }

  closeFeeds(): void {
    this.#shard?.closeFeeds();
  }

  command(name: string, args: readonly unknown[]): { readonly result: unknown; readonly epoch: number } {
    invariant(this.#shard !== undefined, "commands are for shards that run");
    const result = this.#shard.command(name, args);
    this.#loop?.wake();
    return { result, epoch: this.#shard.epoch + 1 };
  }

  close(): void {
    this.#loop?.end();
    this.#shard?.close();
    this.#offload.close();
    this.#base?.close();
    this.#notes?.close();
    for (const port of this.#bellPorts) port.close();
    setImmediate(() => this.#data.controlPort.close()); // after the answer to this call
  }

  #build(generation: ShardGeneration, control: ControlWords, app: AppDefinition, base: BaseReader): Shard {
    const { index } = this.#data;
    const { storagePort } = generation;
    const inbound = generation.inboundRings.map((ring) => ring && new Inbound(new RingConsumer(ring)));
    const outbound = generation.outboundRings.map((ring) => ring && new Outbound(new RingProducer(ring)));
    const gateway = new Inbound(new RingConsumer(generation.gatewayRing));
    const capture = new Capture(
      { ...generation, index },
      { clock: systemClock, control, inbound, handOver: (delta) => handOver(delta, storagePort) },
    );
    const notes = new DiskNotes(new NodeDisk(), generation.notesDirectory);
    this.#notes = notes;
    const bells = generation.shardPorts.map(
      (port, shard) => port && new Doorbell(control.words, control.parkedIndex(shard), port),
    );
    const storageBell = new Doorbell(control.words, control.storageParkedIndex, storagePort);
    const room = new HeapRoom(generation.shards);
    return new Shard(
      { ...generation, index, app },
      {
        clock: systemClock,
        random: seededRandom(randomInt(2 ** 32)),
        control,
        inbound,
        outbound,
        gateway,
        base,
        capture,
        wakeShard: (shard) => bells[shard]?.ringIfParked(),
        wakeStorage: () => storageBell.ringIfParked(),
        wakeForRoom: (from) => {
          if (from === gatewaySender) {
            if (control.gatewayRoomWanted(index)) this.#tell({ kind: "room" });
          } else if (control.roomWanted(from)) bells[from]?.ringIfParked();
        },
        wakeSelf: () => this.#loop?.wake(),
        roomFor: (resident) => room.for(resident),
        offload: (module, name, input, signal) => this.#offload.run(module, name, input, signal),
        noteTurns: (note) => notes.write(turnsNoteName(index), note),
        report: (event) => this.#report(event),
      },
      unpackRestored(generation.restored),
    );
  }

  #report(event: ShardEvent): void {
    this.#tell({ ...event, error: toWire(event.error) });
  }

  #tell(message: ShardToMain): void {
    this.#data.mainPort.postMessage(message);
  }

  /** The shard cannot go on: main decides what follows. */
  #fail(error: unknown): void {
    this.#tell({ kind: "failed", error: toWire(error) });
  }
}

function handOver(delta: Delta, storagePort: MessagePort): void {
  const message: ToStorage = { kind: "delta", delta };
  const parts = [delta.rows, delta.cells.rows, delta.cells.places, delta.output];
  storagePort.postMessage(
    message,
    parts.map(({ buffer }) => buffer as ArrayBuffer),
  );
}

const data = workerData as ShardThreadData;
invariant(data.controlPort !== undefined, "a shard thread is started by the supervisor");
const thread = new ShardThread(data);
const api: ShardControl = {
  start: (generation) => thread.start(generation),
  closeFeeds: () => thread.closeFeeds(),
  command: (name, args) => thread.command(name, args),
  close: () => thread.close(),
};
expose(api, data.controlPort as MessagePort);
