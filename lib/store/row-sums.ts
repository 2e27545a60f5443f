/**
 * What a base should hold, by key group: how many rows, the XOR of the crcs of their keys, the XOR of the crcs that are
 * stored with them. A row that is lost, came back, or is an older one shows in its group's sums.
 *
 * Owner: a base's writer, or who inspects a base.
 * S1. The sums of a transaction's rows are written in that transaction; when it fails, `rollback` undoes them here.
 * S2. Rows of sums are not summed.
 *
 * A row of sums has the META name `sums/<block>` and holds 64 key groups, so that a merge, which goes in the order of
 * key groups, writes one or two with each slice:
 *
 *     64 × (count u64 · keys u32 · rows u32)
 */
import { HoldfastError } from "../base/errors.js";
import { invariant } from "../base/invariant.js";
import { metaKey, metaKeyGroup, rowTable } from "./row-key.js";

const groupsPerBlock = 64;
const sumBytes = 16;
const namePrefix = "sums/";
const twoTo32 = 2 ** 32;

class Block {
  readonly counts = new Float64Array(groupsPerBlock);
  readonly keys = new Int32Array(groupsPerBlock);
  readonly rows = new Int32Array(groupsPerBlock);

  copy(): Block {
    const copy = new Block();
    copy.counts.set(this.counts);
    copy.keys.set(this.keys);
    copy.rows.set(this.rows);
    return copy;
  }
}

/** A row of sums. */
export interface SumsRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

export class RowSums {
  #blocks = new Map<number, Block>();
  /** Blocks that changed since `begin`, as they were: undefined for new ones. */
  readonly #before = new Map<number, Block | undefined>();
  /** The block of the last row: rows come in the order of their groups. */
  #lastNumber = -1;
  #last = new Block();

  /** A row is there that was not. */
  add(group: number, keyCrc: number, rowCrc: number): void {
    const block = this.#touch(group);
    const at = group % groupsPerBlock;
    block.counts[at]!++;
    block.keys[at]! ^= keyCrc;
    block.rows[at]! ^= rowCrc;
  }

  /** A row is gone. */
  remove(group: number, keyCrc: number, rowCrc: number): void {
    const block = this.#touch(group);
    const at = group % groupsPerBlock;
    block.counts[at]!--;
    block.keys[at]! ^= keyCrc;
    block.rows[at]! ^= rowCrc;
  }

  /** A row has another value. */
  replace(group: number, oldRowCrc: number, rowCrc: number): void {
    this.#touch(group).rows[group % groupsPerBlock]! ^= oldRowCrc ^ rowCrc;
  }

  /** Forgets what `changed` and `rollback` are about. */
  begin(): void {
    this.#before.clear();
    this.#lastNumber = -1;
  }

  /** Rows of what changed since `begin`. */
  changed(): SumsRow[] {
    return [...this.#before.keys()].map((number) => {
      return { key: metaKey(`${namePrefix}${number}`), value: encode(this.#blocks.get(number)!) };
    });
  }

  /** Undoes everything since `begin`. */
  rollback(): void {
    for (const [number, block] of this.#before) {
      if (block === undefined) this.#blocks.delete(number);
      else this.#blocks.set(number, block);
    }
    this.begin();
  }

  /** Takes in a row of sums. */
  load(key: Uint8Array, value: Uint8Array): void {
    const number = Number(
      Buffer.from(key.buffer, key.byteOffset + 3 + namePrefix.length, key.length - 3 - namePrefix.length).toString(
        "latin1",
      ),
    );
    if (!Number.isInteger(number) || value.length !== groupsPerBlock * sumBytes) {
      throw new HoldfastError("HF_STATE_DAMAGED", "a row of sums of a base has not the form it must have");
    }
    this.#blocks.set(number, decode(value));
    this.#lastNumber = -1;
  }

  /** The first difference between what rows there are (`found`) and what there should be, in words. */
  difference(found: RowSums): string | undefined {
    for (const number of new Set([...this.#blocks.keys(), ...found.#blocks.keys()])) {
      const [should, is] = [this.#blocks.get(number) ?? new Block(), found.#blocks.get(number) ?? new Block()];
      for (let at = 0; at < groupsPerBlock; at++) {
        const group = number * groupsPerBlock + at;
        const where = group === metaKeyGroup ? "the META rows" : `key group ${group}`;
        if (is.counts[at] !== should.counts[at])
          return `${where}: ${is.counts[at]} rows instead of ${should.counts[at]}`;
        if (is.keys[at] !== should.keys[at]) return `${where}: a row has another key than was written`;
        if (is.rows[at] !== should.rows[at]) return `${where}: a row is not the one that was written last`;
      }
    }
    return undefined;
  }

  #touch(group: number): Block {
    const number = Math.floor(group / groupsPerBlock);
    if (number === this.#lastNumber) return this.#last;
    const known = this.#blocks.get(number);
    const block = known ?? new Block();
    if (!this.#before.has(number)) this.#before.set(number, known?.copy());
    if (known === undefined) this.#blocks.set(number, block);
    this.#lastNumber = number;
    this.#last = block;
    return block;
  }
}

/** True for the key of a row of sums, in `bytes` from `from` to `to`. */
export function isSumsKey(bytes: Uint8Array, from = 0, to = bytes.length): boolean {
  if (to - from <= 3 + namePrefix.length) return false;
  if (((bytes[from]! << 8) | bytes[from + 1]!) !== metaKeyGroup || bytes[from + 2] !== rowTable.META) return false;
  for (let index = 0; index < namePrefix.length; index++) {
    if (bytes[from + 3 + index] !== namePrefix.charCodeAt(index)) return false;
  }
  return true;
}

function encode(block: Block): Uint8Array {
  const bytes = new Uint8Array(groupsPerBlock * sumBytes);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < groupsPerBlock; at++) {
    const count = block.counts[at]!;
    invariant(count >= 0, "a key group has no less than no rows");
    view.setUint32(at * sumBytes, count % twoTo32, true);
    view.setUint32(at * sumBytes + 4, Math.floor(count / twoTo32), true);
    view.setInt32(at * sumBytes + 8, block.keys[at]!, true);
    view.setInt32(at * sumBytes + 12, block.rows[at]!, true);
  }
  return bytes;
}

function decode(bytes: Uint8Array): Block {
  const block = new Block();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; at < groupsPerBlock; at++) {
    block.counts[at] = view.getUint32(at * sumBytes, true) + twoTo32 * view.getUint32(at * sumBytes + 4, true);
    block.keys[at] = view.getInt32(at * sumBytes + 8, true);
    block.rows[at] = view.getInt32(at * sumBytes + 12, true);
  }
  return block;
}
