/** Messages that are sent again and again: by a cron expression, or every so many milliseconds. */
import { HoldfastError } from "../base/errors.js";
import { scheduleIntervalMinMs, scheduleNameBytesMax } from "../base/limits.js";
import { Address, type AnyAddress, checkId } from "./address.js";
import { CronExpression } from "./cron-expression.js";

/**
 * What becomes of instants that were missed, because the application did not run or was more than a second late:
 * `skip` passes over them, `once` sends one message for all of them, `all` sends one for each, oldest first, at most
 * 1,000 and then goes on with the next instant to come.
 */
export type MisfireRule = "skip" | "once" | "all";

/** What `cron` takes. */
export interface CronOptions<M> {
  /**
   * Five fields (minute, hour, day of month, month, day of week), six with seconds in front, or a nickname such as
   * `@daily`.
   */
  readonly expression: string;
  /** An IANA time zone such as `Europe/Berlin`; default `UTC`. */
  readonly timeZone?: string;
  /** Default `once`. */
  readonly misfire?: MisfireRule;
  readonly to: Address<M, unknown>;
  readonly message: NoInfer<M>;
}

/** What `every` takes. */
export interface EveryOptions<M> {
  /** Milliseconds between two messages, a whole number from 1 on. The first is sent one interval after the first start. */
  readonly intervalMs: number;
  /** Default `once`. */
  readonly misfire?: MisfireRule;
  readonly to: Address<M, unknown>;
  readonly message: NoInfer<M>;
}

/** A schedule. Made by `cron` and `every`; plain data. */
export interface ScheduleDefinition {
  readonly name: string;
  readonly when:
    | { readonly kind: "cron"; readonly expression: string; readonly timeZone: string }
    | { readonly kind: "every"; readonly intervalMs: number };
  readonly misfire: MisfireRule;
  readonly to: AnyAddress;
  readonly message: unknown;
}

/**
 * A message by a cron expression, for `defineApp({ schedules })` or `app.schedules.add`.
 *
 * @param name 1 to 256 bytes of UTF-8, unique in the application; part of the stored data
 * @throws `HF_BAD_APP` for a name, expression, time zone or misfire rule that is none, `HF_BAD_ID`
 */
export function cron<M>(name: string, options: CronOptions<M>): ScheduleDefinition {
  const { expression, timeZone = "UTC" } = options ?? {};
  checkName(name);
  if (typeof expression !== "string" || typeof timeZone !== "string")
    throw badSchedule(name, "expression and timeZone are strings");
  try {
    if (new CronExpression(expression, timeZone).after(0) === undefined) throw new TypeError("no instant ever fits");
  } catch (error) {
    throw badSchedule(
      name,
      `${JSON.stringify(expression.slice(0, 100))} in ${timeZone.slice(0, 100)}: ${(error as Error).message}`,
      error,
    );
  }
  return define(name, { kind: "cron", expression, timeZone }, options);
}

/**
 * A message every `intervalMs` milliseconds, for `defineApp({ schedules })` or `app.schedules.add`.
 *
 * @param name 1 to 256 bytes of UTF-8, unique in the application; part of the stored data
 * @throws `HF_BAD_APP` for a name, interval or misfire rule that is none, `HF_BAD_ID`
 */
export function every<M>(name: string, options: EveryOptions<M>): ScheduleDefinition {
  const { intervalMs } = options ?? {};
  checkName(name);
  if (!Number.isSafeInteger(intervalMs) || intervalMs < scheduleIntervalMinMs)
    throw badSchedule(name, `intervalMs is a whole number of milliseconds from ${scheduleIntervalMinMs} on`);
  return define(name, { kind: "every", intervalMs }, options);
}

/** The first instant of a schedule after `instant`; `from` is one of its instants, or the time of its beginning. */
export function instantAfter(when: ScheduleDefinition["when"], from: number, instant: number): number | undefined {
  if (when.kind === "every") {
    return from + (Math.floor(Math.max(0, instant - from) / when.intervalMs) + 1) * when.intervalMs;
  }
  return new CronExpression(when.expression, when.timeZone).after(Math.max(from, instant));
}

function define<M>(
  name: string,
  when: ScheduleDefinition["when"],
  options: CronOptions<M> | EveryOptions<M>,
): ScheduleDefinition {
  const { misfire = "once", to, message } = options;
  if (misfire !== "skip" && misfire !== "once" && misfire !== "all")
    throw badSchedule(name, 'misfire is "skip", "once" or "all"');
  if (typeof to?.type !== "string") throw badSchedule(name, "to is an address, such as fn.at(id)");
  checkId(to.type, to.id);
  return { name, when, misfire, to: new Address(to.type, to.id), message };
}

function checkName(name: unknown): asserts name is string {
  if (typeof name !== "string" || name === "" || Buffer.byteLength(name) > scheduleNameBytesMax)
    throw new HoldfastError("HF_BAD_APP", `the name of a schedule is a string of 1 to ${scheduleNameBytesMax} bytes`);
}

function badSchedule(name: string, what: string, cause?: unknown): HoldfastError {
  return new HoldfastError("HF_BAD_APP", `schedule ${name}: ${what}`, { cause });
}
