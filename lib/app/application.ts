/**
 * A running application.
 *
 * Thread: main.
 * N1. `drained` and `stop` learn from a committed cut that nothing is in flight: all shards report the same epoch, so
 *     no message can hide between two of them.
 */
import { EventEmitter } from "node:events";
import { fromWire, HoldfastError } from "../base/errors.js";
import { egressPressure } from "../channel/control-words.js";
import type { Address, AnyAddress } from "../model/address.js";
import type { AppDefinition } from "../model/app.js";
import type { EgressDefinition, EgressRecord } from "../model/egress.js";
import type { IngressDefinition } from "../model/ingress.js";
import { hashName32 } from "../partition/hash.js";
import { splitKey } from "../shard/ingress-feed.js";
import type { ShardCounts } from "../shard/ports.js";
import { egressCode, Registry } from "../shard/registry.js";
import type { CommitNotice } from "../snapshot/coordinator.js";
import type { RecoveryReport } from "../supervisor/storage-thread.js";
import { type EgressWatermark, Supervisor } from "../supervisor/supervisor.js";
import type { LogState } from "../supervisor/thread-protocol.js";
import { EgressDelivery } from "./egress-delivery.js";
import { type AskOptions, Gateway, type RequestOptions } from "./gateway.js";
import type { ResolvedOptions } from "./options.js";
import { checked, Quarantine } from "./quarantine.js";
import type { Subscribers } from "./subscribers.js";
import { type RunCommand, ScheduleBook, TimerList } from "./time.js";

/** How long `stop` works off what was accepted. */
const drainMs = 5_000;
/** How long `stop` waits for a commit. */
const lastCommitMs = 10_000;

/** What `app.status()` tells. Counts are of committed epochs since the start of this process. */
export interface Status {
  readonly state: "running" | "restarting" | "stopping" | "stopped" | "failed";
  readonly shards: number;
  /** The last committed epoch. */
  readonly committed: number;
  readonly turns: number;
  /** Ingress records read, rejected ones included. */
  readonly ingested: number;
  readonly rejected: number;
  /** Quarantined addresses: their turn failed for good, and their messages wait for `app.quarantine`. */
  readonly parked: number;
  /** Messages that wait for function types this version of the application does not define. */
  readonly orphans: number;
  /** Messages in flight and pending operations in the last commit, parked messages excepted. */
  readonly inFlight: number;
  /** How often the shards were restarted since the start. */
  readonly restarts: number;
  /** Every finite ingress was read to its end. */
  readonly exhausted: boolean;
}

/** Events of a running application. */
export interface ApplicationEvents {
  /** An address failed for good and is quarantined; its messages wait, see `app.quarantine`. */
  parked: [{ readonly address: string; readonly error: Error }];
  /** An ingress record could not be parsed or routed; it is in the reject file. */
  rejected: [{ readonly ingress: string; readonly split: string; readonly where: string; readonly error: Error }];
  /** All shards were restarted from the last commit. */
  restarted: [{ readonly reason: Error; readonly attempt: number }];
  /** Something a person should know. */
  warning: [{ readonly message: string }];
}

interface Waiter {
  readonly met: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A running application. Made by `start`. */
export class Application {
  /** Settles when the application has ended: resolves after `stop`, rejects with the cause when it failed. */
  readonly stopped: Promise<void>;
  /** Delayed messages that are pending. */
  readonly timers: TimerList;
  /** Cron and recurring messages. */
  readonly schedules: ScheduleBook;
  /** Addresses whose turn failed for good: look at them, try them again, drop what failed. */
  readonly quarantine = new Quarantine((name, args, id) => this.command(name, args, id));
  readonly #options: ResolvedOptions;
  readonly #ingresses: readonly IngressDefinition[];
  readonly #events = new EventEmitter<ApplicationEvents>();
  /** Events from before anybody could listen. */
  #early: (() => void)[] | undefined = [];
  readonly #supervisor: Supervisor;
  readonly #gateway: Gateway;
  readonly #delivery: EgressDelivery;
  #waiters: Waiter[] = [];
  /** Calls that wait for the commit after which nothing is left to do. */
  #awaitingEnd = 0;
  #committed = 0;
  /** The last epoch that each generation has committed. */
  readonly #committedBy = new Map<number, number>();
  #requestsAgain = 0;
  #inFlight = 0;
  #counts: readonly ShardCounts[] = [];
  /** By generation, as of its last commit, whose notice may come when its shards are gone already. */
  readonly #countsOf = new Map<number, readonly ShardCounts[]>();
  #failure: Error | undefined;
  #stopping: Promise<void> | undefined;
  #opened = false;
  #ended!: { resolve: () => void; reject: (error: Error) => void };

  /** @internal Use `start`. */
  constructor(app: AppDefinition, options: ResolvedOptions, splits: readonly { ingress: string; split: string }[]) {
    this.#options = options;
    this.#ingresses = app.ingresses;
    this.stopped = new Promise((resolve, reject) => {
      this.#ended = { resolve, reject };
    });
    this.stopped.catch(() => {}); // looking at it is optional
    const registry = new Registry(app);
    const run: RunCommand = (name, args, id) => this.command(name, args, id);
    this.timers = new TimerList(run);
    this.schedules = new ScheduleBook(run, (type, id) => {
      const entry = registry.named(type);
      entry?.checkId(id);
      return entry !== undefined;
    });
    this.#delivery = new EgressDelivery(app, {
      acknowledge: (code, epoch, position) => this.#supervisor.acknowledge(code, epoch, position).catch(() => {}), // told again with the next one
      replied: (session, number, failed, payload) => this.#gateway.replied(session, number, failed, payload),
      press: (raised) => this.#supervisor.press(egressPressure, raised),
      failed: (error) => void this.#fail(error),
    });
    this.#gateway = new Gateway(
      registry,
      {
        ring: (shard) => this.#supervisor.ring(shard),
        wantRoom: (shard, wanted) => this.#supervisor.wantRoom(shard, wanted),
      },
      options.shards,
      options.gatewayBytesMax,
    );
    const functions = [...registry.byName.values()].map(({ type, code, columns }) => ({
      name: type,
      code,
      states: columns.map((column) => ({ name: column.name, code: column.code })),
    }));
    const namespaces = app.namespaces.map(({ namespace }) => namespace);
    for (const namespace of namespaces) {
      const name = `${namespace}/*`; // tells whose data it is; the types themselves are in messages and keys
      functions.push({ name, code: hashName32(name), states: [] });
    }
    this.#supervisor = new Supervisor(
      {
        moduleUrl: options.moduleUrl,
        recovery: {
          dataDir: options.dataDir,
          application: app.name ?? "",
          functions,
          namespaces,
          egressCodes: [...app.egresses.keys()].map(egressCode),
          shards: options.shards,
          keyGroups: options.keyGroups,
          splits,
          ...(options.recoverTo === undefined ? {} : { recoverTo: options.recoverTo }),
        },
        limits: options.limits,
        generation: options.generation,
        watchdogTimeoutMs: options.watchdogTimeoutMs,
        paused: options.paused,
        shardHeapMb: options.shardHeapMb,
      },
      {
        recovered: (report) => this.#onRecovered(report),
        connected: (channels, report) => this.#onConnected(channels, report),
        disconnected: (reason, attempt) => this.#onDisconnected(reason, attempt),
        committed: (notice) => this.#onCommitted(notice),
        log: (state) => this.#onLog(state),
        shardSaid: (_, message) => {
          if (message.kind === "room") this.#gateway.room();
          else if (message.kind === "parked") this.#emit("parked", { ...message, error: fromWire(message.error) });
          else this.#emit("rejected", { ...message, error: fromWire(message.error) });
        },
        failed: (error) => void this.#fail(error),
      },
    );
  }

  /** @internal */
  async open(): Promise<void> {
    try {
      await this.#supervisor.start();
    } catch (error) {
      await this.#delivery.close().catch(() => {}); // why the start failed is what to report
      throw error;
    }
    setImmediate(() => {
      // after who called `start` could listen
      const early = this.#early ?? [];
      this.#early = undefined;
      for (const emit of early) emit();
    });
  }

  /**
   * Sends a message; resolves when it is durable. Waits while too much is on its way: await it, and memory stays flat.
   *
   * @throws `HF_BAD_VALUE`, `HF_SCHEMA`, `HF_UNKNOWN_FUNCTION`, `HF_TOO_LARGE`, `HF_OVERLOAD`, `HF_DISK_FULL`,
   *   `HF_STOPPED`, `HF_UNKNOWN_MESSAGE`, `HF_BAD_OPTIONS`
   */
  send<M>(to: Address<M, unknown>, message: NoInfer<M>, options: RequestOptions = {}): Promise<void> {
    return this.#gateway.send(to as AnyAddress, message, options);
  }

  /**
   * Sends a message and resolves with what its turn says to `ctx.reply`, once that is committed.
   *
   * @throws what `send` throws, `HF_ASK_TIMEOUT`, `HF_ASK_ABORTED`, `HF_FUNCTION_FAILED` when the turn failed for good
   */
  ask<M, R>(to: Address<M, R>, message: NoInfer<M>, options: AskOptions = {}): Promise<R> {
    return this.#gateway.ask(to as AnyAddress, message, options) as Promise<R>;
  }

  /**
   * The committed records of an egress from now on, in commit order; the first reader also gets what was committed
   * before, up to 10,000 records. Ends when the application stops. A record counts as taken when the next one is asked
   * for; of an egress without a sink, what nobody took comes again after a restart of the process.
   *
   * @throws `HF_UNKNOWN_EGRESS`
   */
  egress<T>(egress: EgressDefinition<T>): AsyncIterableIterator<EgressRecord<T>> {
    const subscribers: Subscribers | undefined = this.#delivery.subscribers(egress?.name);
    if (subscribers === undefined) {
      throw new HoldfastError(
        "HF_UNKNOWN_EGRESS",
        `the application defines no egress "${String(egress?.name)}": add it to defineApp({ egresses })`,
      );
    }
    return subscribers.read() as AsyncIterableIterator<EgressRecord<T>>;
  }

  /** Commits; resolves with the epoch when everything applied before this call is durable. */
  async checkpoint(): Promise<number> {
    const epoch = await this.#request();
    await this.#until(() => this.#committed >= epoch);
    return epoch;
  }

  /**
   * Resolves when every finite ingress was read to its end, every message has been applied (those of quarantined
   * addresses excepted), every operation has ended, and everything is committed and in the sinks. With an ingress that
   * never ends it never resolves.
   */
  async drained(): Promise<void> {
    await this.#untilEnd(() => this.#counts.every(({ exhausted }) => exhausted));
    await this.#delivery.acknowledge();
  }

  /**
   * Gives up the async turn that runs at an address: `ctx.signal` aborts with `HF_CANCELLED`, nothing of the turn applies,
   * and its message goes to the end of the function's failure policy without another attempt: a dead letter, or else
   * quarantine (also where the policy is `"fail"`). Resolves when that is durable.
   *
   * @returns false when no async turn runs there
   * @throws `HF_BAD_ID`, `HF_STOPPED`
   */
  async cancel(address: AnyAddress): Promise<boolean> {
    const { type, id } = checked(address);
    const [cancelled] = await this.command("turn.cancel", [type, id], id);
    return cancelled === true;
  }

  /** How the application is. */
  status(): Status {
    const sum = (pick: (counts: ShardCounts) => number, of = this.#counts): number =>
      of.reduce((total, counts) => total + pick(counts), 0);
    const everCounted = [...this.#countsOf.values()].flat();
    const { state } = this.#supervisor;
    return {
      state: this.#failure !== undefined ? "failed" : state === "new" ? "running" : state,
      shards: this.#options.shards,
      committed: this.#committed,
      turns: sum(({ turns }) => turns, everCounted),
      ingested: sum(({ ingested }) => ingested, everCounted),
      rejected: sum(({ rejected }) => rejected, everCounted),
      parked: sum(({ parked }) => parked),
      orphans: sum(({ orphans }) => orphans),
      inFlight: this.#inFlight,
      restarts: this.#supervisor.restartCount,
      exhausted: this.#counts.length > 0 && this.#counts.every(({ exhausted }) => exhausted),
    };
  }

  /** Listens to events; see `ApplicationEvents`. */
  on<K extends keyof ApplicationEvents>(event: K, listener: (...args: ApplicationEvents[K]) => void): this {
    this.#events.on(event, listener as never);
    return this;
  }

  /**
   * Takes nothing new, works off what was accepted (for at most five seconds; the rest is durable and goes on at the
   * next start), commits, closes. Calls after the first return the same promise.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** `stop`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #emit<K extends keyof ApplicationEvents>(event: K, about: ApplicationEvents[K][0]): void {
    const emit = (): boolean => this.#events.emit(event, ...([about] as never));
    if (this.#early === undefined) emit();
    else this.#early.push(emit);
  }

  // --- events of the supervisor -------------------------------------------------------------------------------------

  async #onRecovered(report: RecoveryReport): Promise<readonly EgressWatermark[]> {
    for (const split of report.formerSplits) refuseFormer(this.#ingresses, split);
    this.#gateway.recovered(report.session, report.keyGroups);
    for (const message of report.warnings) this.#emit("warning", { message });
    if (!this.#opened) {
      this.#opened = true;
      this.#committed = report.epoch;
      await this.#delivery.open(report.watermarks, report.epoch);
    }
    const { watermarks } = this.#delivery; // before anything is delivered
    for (const [epoch, outputs] of byEpoch(report)) this.#delivery.deliver(epoch, outputs);
    return watermarks;
  }

  #onConnected(channels: Parameters<Gateway["connect"]>[0], report: RecoveryReport): void {
    this.#gateway.connect(channels, report.gatewayConsumed);
    this.#requestsAgain = 2;
    this.#requestAgain();
  }

  /** What waiters asked for is lost with the generation that they asked. It was at most two epochs beyond the last one. */
  #requestAgain(): void {
    if (this.#requestsAgain === 0 || this.#waiters.length === 0) return;
    this.#requestsAgain--;
    void this.#supervisor.request().catch(() => {});
  }

  #onDisconnected(reason: Error, attempt: number): void {
    this.#gateway.disconnect();
    this.#counts = [];
    this.#emit("restarted", { reason, attempt });
  }

  #onCommitted(notice: CommitNotice): void {
    this.#committed = notice.epoch;
    this.#committedBy.set(notice.generation, notice.epoch);
    this.#inFlight = notice.inFlight;
    this.#counts = notice.counts;
    this.#countsOf.set(notice.generation, notice.counts);
    this.#delivery.deliver(notice.epoch, notice.outputs);
    for (const [shard, consumed] of notice.gatewayConsumed.entries()) {
      if (consumed !== undefined) this.#gateway.committed(shard, consumed);
    }
    this.#serveWaiters();
    this.#requestAgain();
  }

  #onLog(state: LogState): void {
    const { dataDir } = this.#options;
    const full = new HoldfastError(
      "HF_DISK_FULL",
      `no space left for ${dataDir}: make room, and the application goes on by itself`,
    );
    this.#gateway.refuse(state === "full" ? full : undefined);
    if (state === "long") this.#delivery.forgetUnread();
    const long = `the log of ${dataDir} is at its limit: records that no reader of app.egress had asked for were dropped; everything waits until sinks have taken more`;
    this.#emit("warning", { message: { fine: "the log can grow again", long, full: full.message }[state] });
  }

  // --- waiting ------------------------------------------------------------------------------------------------------

  /**
   * @internal Runs a command of the shards' parts, in the shard of an id or in all, and resolves with the results by shard when
   * what it did is durable. When its generation ends before that, nothing of it is left, and it is run again.
   */
  async command(name: string, args: readonly unknown[], id?: string): Promise<unknown[]> {
    for (;;) {
      const shard = id === undefined ? undefined : this.#gateway.shardOf(id);
      const { results, generation, epoch } = await this.#supervisor.command(name, args, shard);
      await this.#request();
      await this.#until(() => this.#committed >= epoch);
      if ((this.#committedBy.get(generation) ?? 0) >= epoch) return results;
    }
  }

  /** N1 */
  get #quiet(): boolean {
    return this.#inFlight === 0 && this.#counts.length > 0 && this.#gateway.empty;
  }

  /** Asks for an epoch that begins after this call. @throws why the application has ended */
  async #request(): Promise<number> {
    try {
      return await this.#supervisor.request();
    } catch (error) {
      throw this.#failure ?? error;
    }
  }

  #until(met: () => boolean): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (met()) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiters.push({ met, resolve, reject }));
  }

  /** Resolves with a commit after which nothing is left to do: it comes soon after that is so. */
  async #untilEnd(met = () => true): Promise<void> {
    this.#awaitingEnd++;
    this.#supervisor.awaitEnd(true);
    try {
      const epoch = await this.#request();
      await this.#until(() => this.#committed >= epoch && this.#quiet && met());
    } finally {
      this.#supervisor.awaitEnd(--this.#awaitingEnd > 0);
    }
  }

  #serveWaiters(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) {
      if (waiter.met()) waiter.resolve();
      else this.#waiters.push(waiter);
    }
  }

  // --- the end ------------------------------------------------------------------------------------------------------

  async #stop(): Promise<void> {
    if (this.#failure !== undefined) return; // it has ended already
    const stopped = new HoldfastError("HF_STOPPED", "the application is stopping: it takes no more messages");
    this.#gateway.closeDoor(stopped);
    try {
      await this.#supervisor.closeFeeds();
      if (!this.#options.paused) await atMost(drainMs, this.#untilEnd());
      await atMost(lastCommitMs, this.#commitLast());
    } finally {
      await this.#supervisor.stop();
      await this.#delivery.close();
      this.#end(stopped, undefined);
    }
  }

  /** One commit for what was done, one for how far the sinks have come. */
  async #commitLast(): Promise<void> {
    await this.checkpoint();
    await this.#delivery.acknowledge();
    await this.checkpoint();
  }

  async #fail(error: Error): Promise<void> {
    if (this.#failure !== undefined || this.#stopping !== undefined) return;
    this.#failure = error;
    await this.#supervisor.stop();
    await this.#delivery.close().catch(() => {}); // the failure that came first is the one to report
    this.#end(error, error);
  }

  #end(refusal: Error, failure: Error | undefined): void {
    this.#gateway.close(refusal);
    for (const { reject } of this.#waiters) reject(refusal);
    this.#waiters = [];
    if (failure === undefined) this.#ended.resolve();
    else this.#ended.reject(failure);
  }
}

/** Asks the ingress of a split that nobody lists any more. */
function refuseFormer(ingresses: readonly IngressDefinition[], key: string): void {
  for (const ingress of ingresses) {
    const prefix = splitKey(ingress.name, "");
    if (key.startsWith(prefix)) ingress.refuseFormer?.(key.slice(prefix.length));
  }
}

/** Recovered output, epoch by epoch. */
function byEpoch({ outputs }: RecoveryReport): Map<number, Uint8Array[]> {
  const epochs = new Map<number, Uint8Array[]>();
  for (const { epoch, shard, output } of outputs) {
    const list = epochs.get(epoch) ?? [];
    list[shard] = output;
    epochs.set(epoch, list);
  }
  return epochs;
}

/** Waits for a promise, but not for ever; what it would reject with after that is of no interest. */
async function atMost(ms: number, promise: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  promise.catch(() => {});
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
