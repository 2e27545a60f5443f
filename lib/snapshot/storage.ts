/**
 * One data directory and its generations: recovers, runs a coordinator, closes it, recovers again.
 *
 * Owner and thread: the storage thread's (the simulator's scheduler in tests). It outlives generations, and keeps every
 * base open, as shards open theirs only beside it.
 * D1. `begin` of a generation comes after `end` of the one before; deltas that arrive late find it closed.
 */
import type { Clock } from "../base/clock.js";
import { invariant } from "../base/invariant.js";
import type { ControlWords } from "../channel/control-words.js";
import type { Disk } from "../log/disk.js";
import { readManifest, writeManifest } from "../log/manifest.js";
import type { BaseWriter } from "../store/base.js";
import type { EncodedWatermark } from "./commit-record.js";
import { type CommitNotice, Coordinator } from "./coordinator.js";
import type { Delta } from "./delta.js";
import type { PaceOptions } from "./pace.js";
import { type Recovered, Recovery, type RecoveryConfig } from "./recovery.js";

export interface StoragePorts {
  readonly clock: Clock;
  readonly disk: Disk;
  openBase(path: string): BaseWriter;
  destroyBase(path: string): void;
}

/** What a running generation needs. */
export interface GenerationPorts {
  readonly control: ControlWords;
  wakeShard(shard: number): void;
  committed(notice: CommitNotice): void;
}

export interface GenerationOptions {
  readonly pace: PaceOptions;
  readonly mergeIntervalMs: number;
  readonly mergeSliceRowsMax: number;
}

export class Storage {
  readonly #ports: StoragePorts;
  readonly #bases = new Map<string, BaseWriter>();
  #recovered: Recovered | undefined;
  #config: RecoveryConfig | undefined;
  #coordinator: Coordinator | undefined;

  constructor(ports: StoragePorts) {
    this.#ports = ports;
  }

  /** The coordinator of the running generation. */
  get coordinator(): Coordinator | undefined {
    return this.#coordinator;
  }

  /** Where the base of a shard is. */
  static basePath(dataDir: string, layout: number, shard: number): string {
    return `${dataDir}/state/${layout}/${shard}`;
  }

  /** Recovers the data directory under a new generation. */
  recover(config: RecoveryConfig): Recovered {
    invariant(this.#coordinator === undefined, "the generation before has ended"); // D1
    this.#config = config;
    this.#ports.disk.mkdir(config.dataDir);
    this.#recovered = this.recovery(config).run();
    return this.#recovered;
  }

  /** Starts the coordinator of the recovered generation. */
  begin(ports: GenerationPorts, options: GenerationOptions): Coordinator {
    const recovered = this.#recovered;
    const config = this.#config;
    invariant(recovered !== undefined && config !== undefined, "a generation was recovered");
    const { disk, clock } = this.#ports;
    let { manifest } = recovered;
    this.#coordinator = new Coordinator(
      { generation: manifest.generation, epoch: manifest.committed, egressCodes: config.egressCodes, ...options },
      {
        clock,
        ...ports,
        control: ports.control,
        wakeShard: (shard) => ports.wakeShard(shard),
        committed: (notice) => ports.committed(notice),
        firstSegmentMoves: (firstSegment) => {
          const coordinator = this.#coordinator;
          invariant(coordinator !== undefined, "a running generation trims");
          manifest = { ...manifest, firstSegment, committed: coordinator.committed };
          writeManifest(disk, config.dataDir, manifest);
        },
      },
      recovered,
    );
    return this.#coordinator;
  }

  onDelta(delta: Delta): void {
    this.#coordinator?.onDelta(delta);
  }

  acknowledge(egressCode: number, watermark: EncodedWatermark): void {
    this.#coordinator?.acknowledge(egressCode, watermark);
  }

  /** Ends the running generation: nothing of it is committed any more. Returns the last committed epoch. */
  end(): number {
    const coordinator = this.#coordinator;
    coordinator?.close();
    this.#recovered?.log.close();
    this.#coordinator = undefined;
    return coordinator?.committed ?? 0;
  }

  /** Ends the generation and closes every base. */
  close(): void {
    this.end();
    for (const base of this.#bases.values()) base.close();
    this.#bases.clear();
  }

  recovery(config: RecoveryConfig): Recovery {
    return new Recovery(config, {
      disk: this.#ports.disk,
      openBase: (layout, shard) => this.#openBase(Storage.basePath(config.dataDir, layout, shard)),
      keepOnlyLayout: (layout) => this.#keepOnlyLayout(config.dataDir, layout),
    });
  }

  #openBase(path: string): BaseWriter {
    let base = this.#bases.get(path);
    if (base === undefined) {
      base = this.#ports.openBase(path);
      this.#bases.set(path, base);
    }
    return base;
  }

  #keepOnlyLayout(dataDir: string, layout: number): void {
    const kept = `${dataDir}/state/${layout}/`;
    for (const [path, base] of this.#bases) {
      if (path.startsWith(kept)) continue;
      base.close();
      this.#bases.delete(path);
    }
    for (const name of this.#ports.disk.list(`${dataDir}/state`)) {
      if (name === String(layout)) continue;
      for (const shard of this.#ports.disk.list(`${dataDir}/state/${name}`)) {
        this.#ports.destroyBase(`${dataDir}/state/${name}/${shard}`);
      }
      this.#ports.disk.remove(`${dataDir}/state/${name}`);
    }
  }
}

/** The shard count that a data directory was last used with; undefined for a new one. */
export function shardsOf(disk: Disk, dataDir: string): number | undefined {
  return readManifest(disk, dataDir)?.shards;
}
