/**
 * Errors. Each has a stable `code`, says what went wrong and the way out, names the address when there is one, and
 * crosses threads as data: `toWire` here, `fromWire` there (structured cloning would lose class and code).
 */

/** Every code that Holdfast throws. A code never changes its meaning. */
export type ErrorCode =
  | "HF_INVARIANT" // a bug in Holdfast: please report it
  | "HF_BAD_NAME" // a function type, egress, state or ingress name is not of the form it must have
  | "HF_BAD_ID" // an address id is not a string or too long
  | "HF_BAD_VALUE" // a message, state value or record is not plain data
  | "HF_TOO_LARGE" // an encoded value is over the size limit
  | "HF_BAD_SCHEMA" // a schema is not a synchronous Standard Schema
  | "HF_SCHEMA" // a value does not fit its schema
  | "HF_BAD_APP" // the application definition is wrong: duplicate names, unknown parts
  | "HF_BAD_MODULE" // the application module cannot be loaded or has no default export made by defineApp
  | "HF_BAD_OPTIONS" // start options or command-line arguments are wrong
  | "HF_UNKNOWN_FUNCTION" // a message is for a function type that the application does not define
  | "HF_UNKNOWN_EGRESS" // a record is for an egress that the application does not define
  | "HF_UNKNOWN_MESSAGE" // a function that dispatches by tag has no handler for a message
  | "HF_NO_CALLER" // ctx.reply in a turn whose message nobody waits for
  | "HF_TURN_ENDED" // a ctx was used after its turn
  | "HF_TURN_TIMEOUT" // an async turn took longer than its limit
  | "HF_OPERATION_TIMEOUT" // an operation took longer than its limit
  | "HF_FUNCTION_FAILED" // a function threw, retries included; its failure policy says what became of the message
  | "HF_KILLS_WORKER" // the thread or the process died each time this message ran: it is not run any more
  | "HF_CANCELLED" // app.cancel gave the turn up
  | "HF_ASK_TIMEOUT" // no reply arrived in time; the message itself stays accepted
  | "HF_ASK_CYCLE" // a ctx.ask to an address that waits for the asking one
  | "HF_NO_REPLY" // the turn that a ctx.ask waited for ended without ctx.reply
  | "HF_ASK_ABORTED" // the caller's AbortSignal fired
  | "HF_OVERLOAD" // a queue is over its cap
  | "HF_STOPPED" // the application is stopping or stopped
  | "HF_BAD_RECORD" // an ingress record cannot be parsed or routed
  | "HF_INGRESS_FAILED" // an ingress cannot read its source
  | "HF_EGRESS_FAILED" // an egress cannot write
  | "HF_EGRESS_DAMAGED" // an egress file is shorter than what was committed to it
  | "HF_LOCKED" // another process owns the data directory
  | "HF_FENCED" // a newer generation owns the data directory
  | "HF_OTHER_APP" // the data directory belongs to another application
  | "HF_DATA_DIR" // the data directory cannot be created, read or written
  | "HF_DISK_FULL" // no space left
  | "HF_IO" // reading or writing failed
  | "HF_LOG_DAMAGED" // the log is damaged below what is known durable
  | "HF_STATE_DAMAGED" // a base or manifest is damaged or does not fit the log
  | "HF_FORMAT" // written by a version of Holdfast that this one cannot read
  | "HF_WORKER_FAILED" // a worker thread died more often than the restart limit allows
  | "HF_STORAGE_FAILED"; // the storage thread died

/** What an error may say besides its message. */
export interface ErrorDetails {
  /** The address it happened at, as `namespace/name@id`. */
  readonly address?: string | undefined;
  readonly cause?: unknown;
}

/** The one error class of Holdfast. Branch on `code`. */
export class HoldfastError extends Error {
  override readonly name = "HoldfastError";
  readonly code: ErrorCode;
  /** The address it happened at, as `namespace/name@id`, when there is one. */
  readonly address: string | undefined;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(`${code}: ${message}`, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.address = details.address;
  }
}

/** An error as data. */
export interface WireError {
  readonly name: string;
  readonly code: string | undefined;
  readonly message: string;
  readonly stack: string | undefined;
  readonly address: string | undefined;
  readonly cause: WireError | undefined;
}

const causeDepthMax = 5;

/** Turns anything that was thrown into data. Never throws. */
export function toWire(thrown: unknown, depth = 0): WireError {
  if (!(thrown instanceof Error)) {
    return {
      name: "Error",
      code: undefined,
      message: describe(thrown),
      stack: undefined,
      address: undefined,
      cause: undefined,
    };
  }
  const { code, address } = thrown as { code?: unknown; address?: unknown };
  return {
    name: thrown.name,
    code: typeof code === "string" ? code : undefined,
    message: thrown.message,
    stack: thrown.stack,
    address: typeof address === "string" ? address : undefined,
    cause: thrown.cause === undefined || depth >= causeDepthMax ? undefined : toWire(thrown.cause, depth + 1),
  };
}

/** Rebuilds an error from data; one of ours becomes a `HoldfastError` again, stack and cause kept. */
export function fromWire(wire: WireError): Error {
  const cause = wire.cause === undefined ? undefined : fromWire(wire.cause);
  const error = wire.code?.startsWith("HF_")
    ? new HoldfastError(wire.code as ErrorCode, wire.message.slice(wire.code.length + 2), {
        address: wire.address,
        cause,
      })
    : Object.assign(new Error(wire.message, { cause }), { name: wire.name });
  if (wire.code !== undefined && !(error instanceof HoldfastError)) Object.assign(error, { code: wire.code });
  if (wire.stack !== undefined) error.stack = wire.stack;
  return error;
}

/** True for a Holdfast error, of the given code if one is given. */
export function isHoldfastError(thrown: unknown, code?: ErrorCode): thrown is HoldfastError {
  return thrown instanceof HoldfastError && (code === undefined || thrown.code === code);
}

function describe(thrown: unknown): string {
  try {
    return String(thrown);
  } catch {
    return "a value that cannot be printed was thrown";
  }
}
