/** Checks of what a turn says about delayed messages. */
import { HoldfastError } from "../base/errors.js";
import { instantMax, timerTokenLengthMax } from "../base/limits.js";
import type { Instance } from "./instance.js";

/** The instant that is `delayMs` away, rounded up to a millisecond. @throws `HF_BAD_VALUE` */
export function checkDelay(delayMs: unknown, now: number, sender: Instance): number {
  if (typeof delayMs !== "number" || !(delayMs >= 0)) {
    throw bad(`a delay is a number of milliseconds, 0 or more, not ${describe(delayMs)}`, sender);
  }
  const due = Math.ceil(now + delayMs);
  if (due > instantMax) throw bad(`a delay of ${delayMs} ms ends after the last date there is`, sender);
  return due;
}

/** The instant of a date. @throws `HF_BAD_VALUE` */
export function checkDate(date: unknown, sender: Instance): number {
  const due = date instanceof Date ? date.getTime() : Number.NaN;
  if (Number.isNaN(due)) throw bad(`sendAt takes a valid Date, not ${describe(date)}`, sender);
  return Math.max(0, due);
}

/** @throws `HF_BAD_VALUE` */
export function checkToken(token: unknown, sender: Instance): asserts token is string {
  if (typeof token !== "string") throw bad(`a token is a string, not ${describe(token)}`, sender);
  if (token.length > timerTokenLengthMax) {
    throw bad(
      `a token has at most ${timerTokenLengthMax} code units, not ${token.length}: hash it, or keep the long part in the message`,
      sender,
    );
  }
}

function bad(what: string, sender: Instance): HoldfastError {
  const address = sender.toString();
  return new HoldfastError("HF_BAD_VALUE", `${address}: ${what}`, { address });
}

function describe(value: unknown): string {
  return typeof value === "number" || value instanceof Date ? String(value) : value === null ? "null" : typeof value;
}
