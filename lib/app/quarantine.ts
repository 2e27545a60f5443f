/** What a person can do about addresses whose turn failed for good. */
import { fromWire, HoldfastError } from "../base/errors.js";
import { quarantineListMax } from "../base/limits.js";
import { Address, type AnyAddress, checkId } from "../model/address.js";
import type { QuarantineReport } from "../shard/failures.js";

/** A quarantined address, as `app.quarantine.list` tells of it. */
export interface QuarantinedAddress {
  readonly address: AnyAddress;
  /** What the last attempt threw. */
  readonly error: Error;
  /** Attempts that were made. */
  readonly attempts: number;
  /** When the last attempt failed. */
  readonly since: Date;
  /** Messages that wait behind the one that failed. */
  readonly waiting: number;
  /** The message that failed. */
  readonly message: unknown;
  /** Its `ctx.messageId`. */
  readonly messageId: string;
}

/** How many a call gives. */
export interface QuarantineLimit {
  /** At most this many, an integer from 1; of addresses, per shard. Default 1,000. */
  readonly limit?: number;
}

type Command = (name: string, args: readonly unknown[], id?: string) => Promise<unknown[]>;

/** `app.quarantine`. What a call did is durable when it resolves. All throw `HF_STOPPED`. */
export class Quarantine {
  readonly #command: Command;

  /** @internal */
  constructor(command: Command) {
    this.#command = command;
  }

  /**
   * The quarantined addresses, those that wait longest first.
   *
   * @throws `HF_BAD_OPTIONS`
   */
  async list(options: QuarantineLimit = {}): Promise<QuarantinedAddress[]> {
    const reports = (await this.#command("quarantine.list", [limitOf(options)])).flat() as QuarantineReport[];
    reports.sort((a, b) => a.since - b.since);
    return reports.map(({ type, id, error, since, ...rest }) => ({
      ...rest,
      address: new Address(type, id),
      error: fromWire(error),
      since: new Date(since),
    }));
  }

  /**
   * The message that failed and those behind it, in order; none when the address is not quarantined.
   *
   * @throws `HF_BAD_ID`, `HF_BAD_OPTIONS`
   */
  async messages(address: AnyAddress, options: QuarantineLimit = {}): Promise<unknown[]> {
    const { type, id } = checked(address);
    return (await this.#command("quarantine.messages", [type, id, limitOf(options)], id)).flat();
  }

  /**
   * Tries the message that failed again, with all its attempts, and then those behind it. In a paused application they
   * run at the next start.
   *
   * @returns false when the address is not quarantined
   * @throws `HF_BAD_ID`
   */
  retry(address: AnyAddress): Promise<boolean> {
    return this.#at("quarantine.retry", address) as Promise<boolean>;
  }

  /**
   * Drops the message that failed, and nothing else; those behind it run.
   *
   * @returns false when the address is not quarantined
   * @throws `HF_BAD_ID`
   */
  skip(address: AnyAddress): Promise<boolean> {
    return this.#at("quarantine.skip", address) as Promise<boolean>;
  }

  /**
   * Drops the message that failed and all that wait behind it. Their `app.ask` rejects with `HF_FUNCTION_FAILED`. The
   * state of the address stays.
   *
   * @returns how many messages were dropped; 0 when the address is not quarantined
   * @throws `HF_BAD_ID`
   */
  purge(address: AnyAddress): Promise<number> {
    return this.#at("quarantine.purge", address) as Promise<number>;
  }

  async #at(name: string, address: AnyAddress): Promise<unknown> {
    const { type, id } = checked(address);
    const [result] = await this.#command(name, [type, id], id);
    return result;
  }
}

/** @internal */
export function checked(address: AnyAddress): { readonly type: string; readonly id: string } {
  const { type, id } = address ?? {};
  checkId(String(type), id);
  return { type: String(type), id };
}

function limitOf({ limit = quarantineListMax }: QuarantineLimit): number {
  if (Number.isSafeInteger(limit) && limit >= 1) return limit;
  throw new HoldfastError("HF_BAD_OPTIONS", `limit must be an integer from 1, not ${String(limit)}`);
}
