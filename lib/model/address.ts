/** The identity messages are sent to. */
import { HoldfastError } from "../base/errors.js";
import { idLengthMax } from "../base/limits.js";

declare const messageOf: unique symbol;
declare const replyOf: unique symbol;

/**
 * A logical address: function type and id. Made by `fn.at(id)`; plain data, free to keep and compare by its parts.
 *
 * `M` is the message type its function takes, `R` the type it replies with; both exist for the compiler only.
 */
export class Address<in M = never, out R = unknown> {
  declare readonly [messageOf]: (message: M) => void;
  declare readonly [replyOf]: R;
  /** The function type, `namespace/name`. */
  readonly type: string;
  /** The id within the type. */
  readonly id: string;

  /** @internal Use `fn.at(id)`. */
  constructor(type: string, id: string) {
    this.type = type;
    this.id = id;
  }

  /** `namespace/name@id`, for people and error messages. */
  toString(): string {
    return `${this.type}@${this.id}`;
  }
}

/** An address whose message type is not known, such as `ctx.caller`. */
export type AnyAddress = Address<never, unknown>;

/**
 * Checks an id: any string of at most 900 UTF-16 code units; empty, NUL, slashes, `__proto__`, lone surrogates are all
 * ids of their own.
 *
 * @throws `HF_BAD_ID`
 */
export function checkId(type: string, id: unknown): asserts id is string {
  if (typeof id !== "string") {
    throw new HoldfastError(
      "HF_BAD_ID",
      `the id of a ${type} must be a string, not ${id === null ? "null" : typeof id}`,
    );
  }
  if (id.length > idLengthMax) {
    throw new HoldfastError(
      "HF_BAD_ID",
      `the id of a ${type} has ${id.length} code units, at most ${idLengthMax} are allowed: hash it, or keep the long part in the message`,
    );
  }
}
