/**
 * Committed output on its way out: to sinks, to in-process readers, to callers that wait for a reply.
 *
 * Owner and thread: main.
 * E1. Only committed epochs arrive here, each once and in order; what was delivered before a restart inside the process
 *     is skipped.
 * E2. A sink gets its epochs in order, one write at a time; a watermark is told to storage only after the sink has made
 *     everything up to it durable.
 * E3. An egress without a sink is acknowledged by its readers.
 * E4. A sink has a watermark from the moment it is opened, so that storage can commit it before the first write.
 */
import { HoldfastError } from "../base/errors.js";
import { egressSyncIntervalMs, MiB } from "../base/limits.js";
import { PayloadCodec } from "../codec/payload-codec.js";
import type { AppDefinition } from "../model/app.js";
import type { EgressBinding, EgressRecord, EgressSink, SinkWatermark } from "../model/egress.js";
import { type OutputEntry, readOutput } from "../shard/output.js";
import { egressCode } from "../shard/registry.js";
import type { EgressWatermark } from "../supervisor/supervisor.js";
import { Subscribers } from "./subscribers.js";

/** Decoded bytes that may wait for sinks and readers before ingress and gateway close. */
const backlogBytesMax = 32 * MiB;
const backlogRecordsMax = 100_000;

export interface DeliveryPorts {
  acknowledge(egressCode: number, epoch: number, position: Uint8Array): Promise<void>;
  replied(session: number, number: number, failed: boolean, payload: Uint8Array): void;
  /** Egresses lag behind, or have caught up. */
  press(raised: boolean): void;
  failed(error: Error): void;
}

/** One egress with its sink and readers. */
interface Outlet {
  readonly name: string;
  readonly code: number;
  readonly binding: EgressBinding | undefined;
  readonly subscribers: Subscribers;
  sink: EgressSink | undefined;
  /** What the sink had taken when it was opened. */
  opened: number;
  acknowledged: number;
  /** Encoded; of `acknowledged`. */
  position: Uint8Array;
  /** Writes and syncs one after the other (E2). */
  chain: Promise<void>;
}

/** The records of one egress in one epoch. */
interface Batch {
  readonly records: EgressRecord[];
  bytes: number;
}

export class EgressDelivery {
  readonly #ports: DeliveryPorts;
  readonly #codec = new PayloadCodec();
  readonly #outlets: readonly Outlet[];
  readonly #byCode: ReadonlyMap<number, Outlet>;
  readonly #byName: ReadonlyMap<string, Outlet>;
  #delivered = 0;
  #waitingBytes = 0;
  #pressed = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(app: AppDefinition, ports: DeliveryPorts) {
    this.#ports = ports;
    this.#outlets = [...app.egresses].map(([name, { binding }]) => ({
      name,
      code: egressCode(name),
      binding,
      subscribers: new Subscribers(),
      sink: undefined,
      opened: 0,
      acknowledged: 0,
      position: new Uint8Array(0),
      chain: Promise.resolve(),
    }));
    this.#byCode = new Map(this.#outlets.map((outlet) => [outlet.code, outlet]));
    this.#byName = new Map(this.#outlets.map((outlet) => [outlet.name, outlet]));
  }

  /** Opens every sink where the recovered watermarks say. */
  async open(watermarks: readonly EgressWatermark[], committed: number): Promise<void> {
    for (const outlet of this.#outlets) {
      const found = watermarks.find((watermark) => watermark.egressCode === outlet.code);
      const position = found && this.#codec.decode(found.position);
      const isNew = outlet.binding !== undefined && (position ?? null) === null; // bound only now: it begins here
      outlet.opened = isNew ? committed : (found?.epoch ?? 0);
      outlet.acknowledged = outlet.opened;
      if (outlet.binding === undefined) continue;
      outlet.sink = await outlet.binding.open(isNew ? undefined : { epoch: outlet.opened, position });
      outlet.position =
        isNew || found === undefined ? this.#encode((await outlet.sink.sync()).position) : found.position; // E4
    }
    this.#delivered = Math.min(committed, ...this.#outlets.map(({ opened }) => opened));
    this.#timer = setInterval(() => void this.acknowledge(), egressSyncIntervalMs);
    this.#timer.unref();
  }

  /** Where every sink is known to be. */
  get watermarks(): EgressWatermark[] {
    return this.#outlets
      .filter(({ sink }) => sink !== undefined)
      .map(({ code, acknowledged, position }) => ({
        egressCode: code,
        epoch: acknowledged,
        position: position.slice(),
      }));
  }

  /** Readers of an egress; undefined when the application has no such egress. */
  subscribers(name: string): Subscribers | undefined {
    return this.#byName.get(name)?.subscribers;
  }

  /** Takes the output of a committed epoch, by shard. */
  deliver(epoch: number, outputs: readonly Uint8Array[]): void {
    if (epoch <= this.#delivered) return; // E1
    const records = new Map<Outlet, Batch>();
    for (const [shard, output] of outputs.entries()) {
      for (const entry of readOutput(output)) this.#sort(epoch, shard, entry, records);
    }
    this.#delivered = epoch;
    for (const [outlet, batch] of records) this.#hand(outlet, epoch, batch);
    this.#press();
  }

  /** Makes what was delivered durable and tells storage. Resolves when it is told. */
  async acknowledge(): Promise<void> {
    this.#press();
    await Promise.all(this.#outlets.map((outlet) => this.#acknowledge(outlet)));
  }

  /** Gives up what is kept for readers that never came: it must not hold the log for ever. */
  forgetUnread(): void {
    for (const { subscribers } of this.#outlets) subscribers.forgetTail();
    void this.acknowledge();
  }

  /** Ends readers and closes sinks, after what they were given. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    for (const { subscribers } of this.#outlets) subscribers.end();
    for (const outlet of this.#outlets) {
      await outlet.chain;
      const { sink } = outlet;
      outlet.sink = undefined;
      await sink?.close();
    }
  }

  #sort(epoch: number, shard: number, entry: OutputEntry, batches: Map<Outlet, Batch>): void {
    if (entry.kind !== "record") {
      this.#ports.replied(entry.session, entry.number, entry.kind === "failure", entry.payload);
      return;
    }
    const outlet = this.#byCode.get(entry.egressCode);
    if (outlet === undefined || epoch <= outlet.opened) return; // not of this application any more, or taken before
    const batch = batches.get(outlet) ?? { records: [], bytes: 0 };
    batch.records.push({ id: `${epoch}-${shard}-${entry.sequence}`, record: this.#codec.decode(entry.payload) });
    batch.bytes += entry.payload.length;
    batches.set(outlet, batch);
  }

  #hand(outlet: Outlet, epoch: number, { records, bytes }: Batch): void {
    outlet.subscribers.deliver(epoch, records);
    if (outlet.sink === undefined) return;
    this.#waitingBytes += bytes;
    void this.#enqueue(outlet, async (sink) => {
      await sink.write(epoch, records);
      this.#waitingBytes -= bytes;
      this.#press();
    });
  }

  #acknowledge(outlet: Outlet): Promise<void> {
    const delivered = this.#delivered;
    if (outlet.binding === undefined)
      return this.#tell(outlet, { epoch: outlet.subscribers.takenUpTo(delivered), position: null });
    if (outlet.acknowledged >= delivered) return outlet.chain;
    return this.#enqueue(outlet, async (sink) => {
      const { position } = await sink.sync();
      await this.#tell(outlet, { epoch: delivered, position });
    });
  }

  async #tell(outlet: Outlet, { epoch, position }: SinkWatermark): Promise<void> {
    if (epoch <= outlet.acknowledged) return;
    outlet.acknowledged = epoch;
    outlet.position = this.#encode(position);
    await this.#ports.acknowledge(outlet.code, epoch, outlet.position.slice()); // the call takes its bytes away
  }

  #encode(position: unknown): Uint8Array {
    return this.#codec.encode(position).slice();
  }

  #enqueue(outlet: Outlet, work: (sink: EgressSink) => Promise<void>): Promise<void> {
    outlet.chain = outlet.chain.then(async () => {
      if (outlet.sink !== undefined) await work(outlet.sink);
    });
    outlet.chain = outlet.chain.catch((error: unknown) => {
      outlet.sink = undefined;
      this.#ports.failed(error instanceof HoldfastError ? error : egressFailed(outlet.name, error));
    });
    return outlet.chain;
  }

  #press(): void {
    const backlog = Math.max(0, ...this.#outlets.map(({ subscribers }) => subscribers.backlog));
    const pressed = this.#waitingBytes > backlogBytesMax || backlog > backlogRecordsMax;
    if (pressed === this.#pressed) return;
    this.#pressed = pressed;
    this.#ports.press(pressed);
  }
}

function egressFailed(name: string, cause: unknown): HoldfastError {
  const said = cause instanceof Error ? cause.message : String(cause);
  return new HoldfastError(
    "HF_EGRESS_FAILED",
    `egress ${name}: ${said}. Nothing is lost: what it lacks comes again at the next start`,
    { cause },
  );
}
