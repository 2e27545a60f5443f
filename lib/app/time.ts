/** Delayed messages and schedules of a running application, seen from outside. */
import { HoldfastError } from "../base/errors.js";
import { timerListMax } from "../base/limits.js";
import { copyPlain } from "../codec/plain-data.js";
import { type AnyAddress, checkId } from "../model/address.js";
import type { MisfireRule, ScheduleDefinition } from "../model/schedule.js";
import { plainSchedule, type StoredSchedule } from "../shard/schedules.js";
import type { ListedTimer, TimerSender } from "../shard/timers.js";

/** Runs a command in the shard of an id, or in all; resolves with the results when what it did is durable. */
export type RunCommand = (name: string, args: readonly unknown[], id?: string) => Promise<unknown[]>;

/** A delayed message that is pending. */
export interface PendingTimer {
  /** When it will be sent. */
  readonly due: Date;
  /** The address that sent it, as `namespace/name@id`. */
  readonly from: string;
  readonly to: string;
  readonly token: string | undefined;
  /** The `ctx.messageId` of the turn that will get it. */
  readonly messageId: string;
}

/** A schedule and where it stands. */
export interface ScheduleStatus {
  readonly name: string;
  readonly when: ScheduleDefinition["when"];
  readonly misfire: MisfireRule;
  /** The target, as `namespace/name@id`. */
  readonly to: string;
  readonly message: unknown;
  /** In `defineApp`, and not added while the application ran. */
  readonly declared: boolean;
  readonly paused: boolean;
  /** The next instant; undefined when there is none any more. */
  readonly next: Date | undefined;
  /** The instant of the last message. */
  readonly last: Date | undefined;
  /** Messages sent so far. */
  readonly sent: number;
}

/** `app.timers`: delayed messages that are pending. */
export class TimerList {
  readonly #run: RunCommand;

  /** @internal */
  constructor(run: RunCommand) {
    this.#run = run;
  }

  /**
   * Pending messages, the next ones first.
   *
   * @param options `limit`: at most this many, default 100, up to 10,000; `address`: only those this address has sent
   * @throws `HF_BAD_OPTIONS`, `HF_STOPPED`
   */
  async list(options: { readonly limit?: number; readonly address?: AnyAddress } = {}): Promise<PendingTimer[]> {
    const { limit = 100, address } = options;
    if (!Number.isSafeInteger(limit) || limit < 1 || limit > timerListMax) {
      throw new HoldfastError(
        "HF_BAD_OPTIONS",
        `limit must be an integer from 1 to ${timerListMax}, not ${String(limit)}`,
      );
    }
    if (address !== undefined) checkId(address.type, address.id);
    const sender: TimerSender | undefined = address && { type: address.type, id: address.id };
    const found = (await this.#run("timers.list", [limit, sender], sender?.id)).flat() as ListedTimer[];
    return found
      .sort((a, b) => a.due - b.due)
      .slice(0, limit)
      .map((timer) => ({ ...timer, due: new Date(timer.due) }));
  }
}

/** `app.schedules`: cron and recurring messages. */
export class ScheduleBook {
  readonly #run: RunCommand;
  readonly #defines: (type: string, id: string) => boolean;
  /** One change after the other: a name belongs to one schedule in all shards. */
  #changes: Promise<unknown> = Promise.resolve();

  /** @internal */
  constructor(run: RunCommand, defines: (type: string, id: string) => boolean) {
    this.#run = run;
    this.#defines = defines;
  }

  /** All schedules by name, declared ones and those added since. @throws `HF_STOPPED` */
  async list(): Promise<ScheduleStatus[]> {
    const stored = (await this.#run("schedules.list", [])).flat() as StoredSchedule[];
    return stored.map(statusOf).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /**
   * Adds a schedule, or replaces one of this name that was added before; it then begins anew. It stays over restarts.
   * Resolves when that is durable.
   *
   * @throws `HF_BAD_OPTIONS` for what was not made by `cron` or `every` and for the name of a declared schedule,
   *   `HF_BAD_VALUE`, `HF_BAD_ID`, `HF_UNKNOWN_FUNCTION`, `HF_OVERLOAD` (there are 10,000 in one shard), `HF_STOPPED`
   */
  add(schedule: ScheduleDefinition): Promise<void> {
    return this.#change(async () => {
      if (typeof schedule?.when?.kind !== "string")
        throw new HoldfastError("HF_BAD_OPTIONS", "a schedule is made by cron or every");
      const { name, to, message } = schedule;
      if (!this.#defines(to.type, to.id)) {
        throw new HoldfastError(
          "HF_UNKNOWN_FUNCTION",
          `schedule ${name} is for ${to.type}, which the application does not define`,
        );
      }
      const plain = plainSchedule({ ...schedule, message: copyPlain(message, `message of schedule ${name}`) });
      const other = (await this.list()).find((known) => known.name === name);
      if (other !== undefined && other.to !== `${to.type}@${to.id}`) await this.#run("schedules.remove", [name]);
      await this.#run("schedules.add", [plain], to.id);
    });
  }

  /**
   * Removes a schedule that was added; false when there is none of this name. Messages sent already stay sent.
   *
   * @throws `HF_BAD_OPTIONS` for a declared schedule, `HF_STOPPED`
   */
  remove(name: string): Promise<boolean> {
    return this.#named("schedules.remove", name);
  }

  /** Sends nothing until `resume`, over restarts too; false when there is no schedule of this name. @throws `HF_STOPPED` */
  pause(name: string): Promise<boolean> {
    return this.#named("schedules.pause", name);
  }

  /**
   * Goes on with the next instant to come: what passed during a pause does not count as missed. False when there is no
   * schedule of this name.
   *
   * @throws `HF_STOPPED`
   */
  resume(name: string): Promise<boolean> {
    return this.#named("schedules.resume", name);
  }

  #named(command: string, name: string): Promise<boolean> {
    return this.#change(async () => (await this.#run(command, [name])).includes(true));
  }

  #change<T>(change: () => Promise<T>): Promise<T> {
    const done = this.#changes.then(change);
    this.#changes = done.catch(() => {}); // the caller has it
    return done;
  }
}

function statusOf({
  name,
  when,
  misfire,
  type,
  id,
  message,
  declared,
  paused,
  next,
  last,
  sent,
}: StoredSchedule): ScheduleStatus {
  const date = (instant: number | undefined): Date | undefined =>
    instant === undefined ? undefined : new Date(instant);
  const to = `${type}@${id}`;
  return { name, when, misfire, to, message, declared, paused, next: date(next), last: date(last), sent };
}
