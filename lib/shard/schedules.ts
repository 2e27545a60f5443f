/**
 * Cron and recurring messages: the part of a shard that sends them to the addresses it owns.
 *
 * Owner and thread: the shard. There are few schedules, all in memory.
 * S1. The row of a schedule says its next instant. Sending moves it and dispatches the message in the same epoch, so
 *     each instant is sent once.
 * S2. Declared schedules and rows are brought together in the first step that may run: a paused start changes nothing.
 *     A row whose declaration is gone goes; one whose times changed begins anew; the rest goes on where it was.
 * S3. An instant that is later than `misfireGraceMs` was missed: the misfire rule says what becomes of it.
 */
import { HoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { misfireAllMax, misfireGraceMs, schedulesMax } from "../base/limits.js";
import { instantAfter, type MisfireRule, type ScheduleDefinition } from "../model/schedule.js";
import { hashId32 } from "../partition/hash.js";
import type { EngineTime } from "./engine-time.js";
import type { Part, PartPort } from "./part.js";
import { scheduleBounds, scheduleKey, timerBucket } from "./timer-rows.js";

/** A schedule as data, on its way to the shard of its target. */
export interface PlainSchedule {
  readonly name: string;
  readonly when: ScheduleDefinition["when"];
  readonly misfire: MisfireRule;
  readonly type: string;
  readonly id: string;
  readonly message: unknown;
}

/** A schedule with where it stands, as it is stored and listed. */
export interface StoredSchedule extends PlainSchedule {
  /** In `defineApp`, and not added at run time. */
  readonly declared: boolean;
  readonly paused: boolean;
  /** The next instant in milliseconds since 1970; undefined when there is none any more. */
  readonly next: number | undefined;
  /** The instant sent last. */
  readonly last: number | undefined;
  /** Messages sent. */
  readonly sent: number;
  /** Missed instants made up for since one was in time. */
  readonly late: number;
}

export class Schedules implements Part {
  readonly #port: PartPort;
  readonly #time: EngineTime;
  readonly #keyGroups: readonly number[];
  readonly #schedules = new Map<string, StoredSchedule>();
  #joined = false;
  /** The earliest instant of all. */
  #next = Number.POSITIVE_INFINITY;

  constructor(port: PartPort, time: EngineTime, keyGroups: readonly number[]) {
    this.#port = port;
    this.#time = time;
    this.#keyGroups = keyGroups;
  }

  restore(): void {
    const { rows, codec } = this.#port;
    for (const group of this.#keyGroups) {
      const { from, to } = scheduleBounds(group);
      for (const { value } of rows.scan(timerBucket(group), from, to)) {
        const stored = codec.decode(value) as StoredSchedule;
        this.#schedules.set(stored.name, stored);
      }
    }
  }

  step(): number {
    let work = this.#joined ? 0 : this.#join();
    if (this.#next === Number.POSITIVE_INFINITY || !this.#port.admissionOpen) return work;
    const now = this.#time.now();
    if (this.#next > now) return work;
    for (const schedule of this.#schedules.values()) {
      if (!this.#runs(schedule) || (schedule.next as number) > now) continue;
      this.advance(schedule, now);
      work++;
    }
    this.#findNext();
    return work;
  }

  get nextDue(): number {
    if (!this.#joined) return 0;
    if (this.#next === Number.POSITIVE_INFINITY || !this.#port.admissionOpen) return Number.POSITIVE_INFINITY;
    return this.#time.wakeAt(this.#next);
  }

  readonly commands = {
    "schedules.list": () => [...this.#schedules.values()],
    "schedules.add": (schedule: PlainSchedule) => this.#add(schedule),
    "schedules.remove": (name: string) => this.#remove(name),
    "schedules.pause": (name: string) => this.#pause(name, true),
    "schedules.resume": (name: string) => this.#pause(name, false),
  };

  /** S1, S3 */
  advance(schedule: StoredSchedule, now: number): void {
    const { when, misfire, late } = schedule;
    const instant = schedule.next as number;
    const inTime = now - misfireGraceMs;
    const missed = instant < inTime;
    if (missed && (misfire === "skip" || (misfire === "all" && late >= misfireAllMax))) {
      this.#store({ ...schedule, next: instantAfter(when, instant, inTime), late: 0 });
      return;
    }
    const next = instantAfter(when, instant, missed && misfire === "once" ? inTime : instant);
    this.#store({ ...schedule, next, last: instant, sent: schedule.sent + 1, late: missed ? late + 1 : 0 });
    this.#time.store(now);
    this.#send(schedule, instant);
  }

  #send({ name, type, id, message }: StoredSchedule, instant: number): void {
    const entry = this.#port.registry.restored(type);
    invariant(entry !== undefined, "a schedule that runs has a function");
    const root = `${instant} ${name}`;
    this.#port.dispatch(entry, id, message, 0, hashId32(`${root}#`), hashId32(root), 0, undefined);
  }

  /** S2 */
  #join(): number {
    this.#joined = true;
    const { schedules } = this.#port.config.app;
    const declared = new Map(schedules.map((schedule) => [schedule.name, schedule]));
    for (const stored of [...this.#schedules.values()]) {
      const to = declared.get(stored.name)?.to;
      if (to === undefined ? stored.declared : to.type !== stored.type || to.id !== stored.id) this.#delete(stored);
    }
    for (const definition of schedules) {
      if (this.#port.owns(this.#port.keyGroupOf(definition.to.id))) this.#declare(plainSchedule(definition));
    }
    this.#findNext();
    return 1;
  }

  #declare(schedule: PlainSchedule): void {
    const stored = this.#schedules.get(schedule.name);
    if (stored === undefined || !sameTimes(stored.when, schedule.when)) {
      this.#begin(schedule, true, stored?.paused ?? false);
      return;
    }
    const next = { ...stored, ...schedule, declared: true };
    const { codec } = this.#port;
    if (Buffer.compare(codec.encode(next).slice(), codec.encode(stored)) !== 0) this.#store(next);
  }

  #begin(schedule: PlainSchedule, declared: boolean, paused: boolean): void {
    const now = Math.floor(this.#time.now());
    const next = instantAfter(schedule.when, now, now);
    this.#store({ ...schedule, declared, paused, next, last: undefined, sent: 0, late: 0 });
  }

  #add(schedule: PlainSchedule): void {
    if (this.#schedules.get(schedule.name)?.declared === true) throw isDeclared(schedule.name, "replaced");
    if (this.#schedules.size >= schedulesMax)
      throw new HoldfastError("HF_OVERLOAD", `there are ${schedulesMax} schedules: remove some`);
    this.#begin(schedule, false, false);
    this.#findNext();
  }

  #remove(name: string): boolean {
    const stored = this.#schedules.get(name);
    if (stored === undefined) return false;
    if (stored.declared) throw isDeclared(name, "removed");
    this.#delete(stored);
    this.#findNext();
    return true;
  }

  #pause(name: string, paused: boolean): boolean {
    const stored = this.#schedules.get(name);
    if (stored === undefined) return false;
    if (stored.paused === paused) return true;
    const now = Math.floor(this.#time.now());
    // instants that passed during a pause were not missed, they were not wanted
    const next = paused || stored.next === undefined ? stored.next : later(stored, now);
    this.#store({ ...stored, paused, next, late: 0 });
    this.#findNext();
    return true;
  }

  #store(schedule: StoredSchedule): void {
    const group = this.#port.keyGroupOf(schedule.id);
    this.#schedules.set(schedule.name, schedule);
    const value = this.#port.encode(schedule, `schedule ${schedule.name}`);
    this.#port.rows.put(timerBucket(group), scheduleKey(group, schedule.name), value, this.#port.epoch);
    this.#port.touch();
  }

  #delete(schedule: StoredSchedule): void {
    this.#schedules.delete(schedule.name);
    this.deleteRow(schedule);
  }

  deleteRow({ name, id }: StoredSchedule): void {
    const group = this.#port.keyGroupOf(id);
    this.#port.rows.delete(timerBucket(group), scheduleKey(group, name), this.#port.epoch);
    this.#port.touch();
  }

  #findNext(): void {
    this.#next = Number.POSITIVE_INFINITY;
    for (const schedule of this.#schedules.values()) {
      if (this.#runs(schedule)) this.#next = Math.min(this.#next, schedule.next as number);
    }
  }

  /** A schedule for a function that is not defined any more waits for a start that defines it. */
  #runs({ paused, next, type }: StoredSchedule): boolean {
    return !paused && next !== undefined && this.#port.registry.restored(type) !== undefined;
  }
}

/** A schedule as plain data. */
export function plainSchedule({ name, when, misfire, to, message }: ScheduleDefinition): PlainSchedule {
  return { name, when, misfire, type: to.type, id: to.id, message };
}

function later({ when, next }: StoredSchedule, now: number): number | undefined {
  return next === undefined || next > now ? next : instantAfter(when, next, now);
}

function sameTimes(a: ScheduleDefinition["when"], b: ScheduleDefinition["when"]): boolean {
  if (a.kind === "every") return b.kind === "every" && a.intervalMs === b.intervalMs;
  return b.kind === "cron" && a.expression === b.expression && a.timeZone === b.timeZone;
}

function isDeclared(name: string, what: string): HoldfastError {
  return new HoldfastError(
    "HF_BAD_OPTIONS",
    `schedule ${name} is declared in defineApp and cannot be ${what} at run time: change it there, or pause it`,
  );
}
