/**
 * `holdfast quarantine`: opens a data directory without running anything, looks at quarantined addresses or says what
 * becomes of them, and ends.
 *
 * Owner and thread: main.
 */
import { HoldfastError } from "../base/errors.js";
import type { AnyAddress } from "../model/address.js";

/** What the command uses of an application. */
export interface QuarantinePort {
  readonly quarantine: {
    list(): Promise<
      readonly {
        readonly address: AnyAddress;
        readonly error: Error;
        readonly attempts: number;
        readonly since: Date;
        readonly waiting: number;
        readonly messageId: string;
      }[]
    >;
    retry(address: AnyAddress): Promise<boolean>;
    skip(address: AnyAddress): Promise<boolean>;
    purge(address: AnyAddress): Promise<number>;
  };
}

/** What can be done. */
export const quarantineActions = ["list", "retry", "skip", "purge"] as const;
export type QuarantineAction = (typeof quarantineActions)[number];

/** Does it; resolves with the lines to print. @throws `HF_BAD_OPTIONS` */
export async function runQuarantine(
  app: QuarantinePort,
  action: QuarantineAction,
  target: AnyAddress | undefined,
  json: boolean,
): Promise<string[]> {
  if (action === "list") return listed(app, json);
  if (target === undefined) throw new HoldfastError("HF_BAD_OPTIONS", `${action} needs an address, namespace/name@id`);
  const done = await app.quarantine[action](target);
  const address = `${target.type}@${target.id}`;
  if (json) return [JSON.stringify({ address, action, done })];
  if (done === false || done === 0) return [`${address} is not quarantined`];
  const said = { retry: "is tried again at the next start", skip: "goes on without the message that failed" };
  return [action === "purge" ? `${address}: ${done} messages dropped` : `${address} ${said[action]}`];
}

async function listed(app: QuarantinePort, json: boolean): Promise<string[]> {
  const found = await app.quarantine.list();
  if (!json && found.length === 0) return ["nothing is quarantined"];
  return found.map(({ address, error, attempts, since, waiting, messageId }) => {
    const name = `${address.type}@${address.id}`;
    if (json) return JSON.stringify({ address: name, error: error.message, attempts, since, waiting, messageId });
    return `${name}  since ${since.toISOString()}, ${attempts} attempts, ${waiting} more messages wait: ${oneLine(error.message)}`;
  });
}

/** The address that `namespace/name@id` names. @throws `HF_BAD_OPTIONS` */
export function parseAddress(text: string): { readonly type: string; readonly id: string } {
  const at = text.indexOf("@");
  if (at < 1) throw new HoldfastError("HF_BAD_OPTIONS", `an address is namespace/name@id, not ${text}`);
  return { type: text.slice(0, at), id: text.slice(at + 1) };
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, " ").slice(0, 500);
}
