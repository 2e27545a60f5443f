/** Cron expressions: the only file that knows the library which reads them. */
import { Cron } from "croner";

/** A parsed expression in its time zone. */
export class CronExpression {
  readonly #cron: Cron;

  /** @throws when the expression or the time zone is not known; time zones may only fail in `after` */
  constructor(expression: string, timeZone: string) {
    if (expression.includes(":")) throw new TypeError("a date is not a cron expression"); // the library takes dates, too
    this.#cron = new Cron(expression, { timezone: timeZone, paused: true });
  }

  /** The first instant after one, both in milliseconds since 1970; undefined when there is none any more. */
  after(instant: number): number | undefined {
    return this.#cron.nextRun(new Date(instant))?.getTime();
  }
}
