/**
 * Entry of the storage thread: the only writer of log and bases. Never terminated while it may be in a transaction.
 *
 * Everything here is synchronous: nothing on the way of a commit waits for the thread pool of libuv.
 */
import { type MessagePort, workerData } from "node:worker_threads";
import { systemClock } from "../base/clock.js";
import { HoldfastError, toWire } from "../base/errors.js";
import { epochIdleIntervalMs } from "../base/limits.js";
import { ControlWords, logPressure, stopTurns } from "../channel/control-words.js";
import { Doorbell } from "../channel/doorbell.js";
import { NodeDisk } from "../log/node-disk.js";
import { DiskNotes } from "../log/notes.js";
import type { Suspect } from "../shard/ports.js";
import type { RecoveredOutput, RecoveryConfig } from "../snapshot/recovery.js";
import { packRestored } from "../snapshot/restored.js";
import { type GenerationOptions, Storage } from "../snapshot/storage.js";
import { type Ending, Suspects } from "../snapshot/suspects.js";
import { destroyBase, leaveLoaded, openBaseWriter } from "../store/lmdb-base.js";
import { expose } from "./control-plane.js";
import {
  type LogState,
  notesDirectory,
  type StorageGenerationPorts,
  type StorageThreadData,
  type StorageToMain,
  storageGate,
  type ToStorage,
} from "./thread-protocol.js";

/** What main learns of a recovery. */
export interface RecoveryReport {
  readonly generation: number;
  readonly session: number;
  readonly epoch: number;
  readonly keyGroups: number;
  readonly basePaths: readonly string[];
  /** Packed parts, by shard. */
  readonly restored: readonly Uint8Array[];
  readonly gatewayConsumed: readonly number[];
  readonly outputs: readonly RecoveredOutput[];
  readonly watermarks: readonly {
    readonly egressCode: number;
    readonly epoch: number;
    readonly position: Uint8Array;
  }[];
  /** Names of splits that have a committed position and are in no list. */
  readonly formerSplits: readonly string[];
  readonly warnings: readonly string[];
  /** Messages that threads may have died of, when there is such a suspicion. */
  readonly suspects: readonly Suspect[] | undefined;
  /** The last end said something about a message. */
  readonly learned: boolean;
}

/** The calls main makes. */
export type StorageControl = {
  recover(config: RecoveryConfig, ending: Ending): RecoveryReport;
  begin(ports: StorageGenerationPorts, options: GenerationOptions): void;
  /** Asks for an epoch that begins after this call, and returns it. */
  request(): number;
  acknowledge(egressCode: number, epoch: number, position: Uint8Array): void;
  /** Ends the generation; returns the committed epoch. */
  end(): number;
  /** Ends everything; `wanted` when nothing has failed but a function whose failure policy is to stop. */
  close(wanted: boolean): void;
};

class StorageThread {
  readonly #mainPort: MessagePort;
  readonly #storage: Storage;
  #shardPorts: readonly MessagePort[] = [];
  #bell: Doorbell | undefined;
  #control: ControlWords | undefined;
  #log: LogState = "fine";
  #timer: NodeJS.Timeout | undefined;
  #scheduled = false;
  #suspects: Suspects | undefined;

  constructor({ gates, mainPort }: StorageThreadData) {
    const gate = { words: new Int32Array(gates), index: storageGate };
    leaveLoaded(gate);
    this.#mainPort = mainPort;
    this.#storage = new Storage({
      clock: systemClock,
      disk: new NodeDisk(),
      openBase: (path) => openBaseWriter(path, { gate }),
      destroyBase,
    });
  }

  recover(config: RecoveryConfig, ending: Ending): RecoveryReport {
    const { manifest, session, shards, outputs, watermarks, formerSplits, warnings } = this.#storage.recover(config);
    this.#suspects ??= new Suspects(new DiskNotes(new NodeDisk(), notesDirectory(config.dataDir)));
    return {
      ...this.#suspects.begin(manifest.committed, shards.length, ending),
      generation: manifest.generation,
      session,
      epoch: manifest.committed,
      keyGroups: manifest.keyGroups,
      basePaths: shards.map((_, shard) => Storage.basePath(config.dataDir, manifest.layout, shard)),
      restored: shards.map(packRestored),
      gatewayConsumed: shards.map(({ gatewayConsumed }) => gatewayConsumed),
      outputs,
      watermarks: [...watermarks].map(([egressCode, { epoch, position }]) => ({ egressCode, epoch, position })),
      formerSplits,
      warnings,
    };
  }

  begin({ control: memory, shards, shardPorts }: StorageGenerationPorts, options: GenerationOptions): void {
    const control = new ControlWords(memory, shards);
    const bells = shardPorts.map((port, shard) => new Doorbell(control.words, control.parkedIndex(shard), port));
    this.#control = control;
    this.#shardPorts = shardPorts;
    this.#bell = new Doorbell(control.words, control.storageParkedIndex);
    for (const port of shardPorts) port.on("message", (message: ToStorage) => this.#receive(message));
    this.#storage.begin(
      {
        control,
        wakeShard: (shard) => bells[shard].ringIfParked(),
        committed: (notice) => this.#tell({ kind: "committed", notice }, notice.outputs),
      },
      options,
    );
    this.#drive();
  }

  request(): number {
    const { coordinator } = this.#storage;
    if (coordinator === undefined) throw new HoldfastError("HF_STOPPED", "no generation runs");
    const epoch = coordinator.request();
    this.#drive();
    return epoch;
  }

  acknowledge(egressCode: number, epoch: number, position: Uint8Array): void {
    this.#storage.acknowledge(egressCode, { epoch, position });
  }

  end(): number {
    clearTimeout(this.#timer);
    for (const port of this.#shardPorts) port.close();
    this.#shardPorts = [];
    return this.#storage.end();
  }

  close(wanted: boolean): void {
    this.end();
    if (wanted) this.#suspects?.stopped();
    this.#storage.close();
  }

  #receive(message: ToStorage): void {
    if (message !== 0) this.#guard(() => this.#storage.onDelta(message.delta));
    this.#drive();
  }

  /** Steps the coordinator until it has nothing to do for a while; deltas come in between. */
  readonly #drive = (): void => {
    this.#scheduled = false;
    clearTimeout(this.#timer);
    this.#bell?.unpark();
    const dueIn = this.#guard(() => this.#step()) ?? Number.POSITIVE_INFINITY;
    if (this.#storage.coordinator === undefined) return;
    this.#sayLog();
    if (dueIn <= 0) this.#soon();
    else this.#timer = setTimeout(this.#drive, Math.min(Math.max(1, dueIn), epochIdleIntervalMs));
  };

  /** Tells main when the log cannot grow any more, and when it can again. */
  #sayLog(): void {
    const pressure = this.#control?.pressure ?? 0;
    const state = (pressure & stopTurns) !== 0 ? "long" : (pressure & logPressure) !== 0 ? "full" : "fine";
    if (state === this.#log) return;
    this.#log = state;
    this.#tell({ kind: "log", state }, []);
  }

  #step(): number {
    const { coordinator } = this.#storage;
    if (coordinator === undefined) return Number.POSITIVE_INFINITY;
    const dueIn = coordinator.step();
    if (dueIn <= 0) return dueIn;
    this.#bell?.park();
    const again = coordinator.step(); // what was stored before the parked word was set
    if (again <= 0) this.#bell?.unpark();
    else if (again === Number.POSITIVE_INFINITY) coordinator.rest();
    return again;
  }

  #soon(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#drive);
  }

  /** After an error of disk or base this generation is over: nothing is tried again on what may be half written. */
  #guard<T>(work: () => T): T | undefined {
    try {
      return work();
    } catch (error) {
      this.#storage.coordinator?.close();
      this.#tell({ kind: "failed", error: toWire(error) }, []);
      return undefined;
    }
  }

  #tell(message: StorageToMain, outputs: readonly Uint8Array[]): void {
    this.#mainPort.postMessage(
      message,
      outputs.map((output) => output.buffer as ArrayBuffer),
    );
  }
}

const data = workerData as StorageThreadData;
const thread = new StorageThread(data);
const api: StorageControl = {
  recover: (config, ending) => thread.recover(config, ending),
  begin: (ports, options) => thread.begin(ports, options),
  request: () => thread.request(),
  acknowledge: (egressCode, epoch, position) => thread.acknowledge(egressCode, epoch, position),
  end: () => thread.end(),
  close: (wanted) => thread.close(wanted),
};
expose(api, data.controlPort);
