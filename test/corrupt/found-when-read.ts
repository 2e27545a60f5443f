/**
 * A start reads pages, and of values only those that it needs. A damaged value of state, of a delayed message or of an
 * idempotency key is found when it is read (docs/damage.md), so a start may say nothing of it.
 */
import { rowTable, tableOf } from "../../lib/store/row-key.js";

const readByTurns: readonly number[] = [rowTable.STATE, rowTable.ENTRY, rowTable.TIMER, rowTable.REQUEST];

/** Whether this refusal, of who read everything, is of a value that a start need not have read. */
export function isFoundWhenRead(refusal: string | undefined): boolean {
  const [, key] = /^HF_STATE_DAMAGED: base .* holds a damaged row at key ([0-9a-f]+)/.exec(refusal ?? "") ?? [];
  return key !== undefined && readByTurns.includes(tableOf(Buffer.from(key, "hex")));
}
