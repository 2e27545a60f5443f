/**
 * The cells that were written in one epoch, in the order of their first writes. The shard adds them, its capture takes
 * them out one by one. Then the list is used again: as a new array for each epoch it grew to hundreds of thousands in the
 * young generation, was copied there, walked by collections and promoted.
 *
 * Owner and thread: the shard.
 * E1. Places that were taken, or were not filled yet, hold undefined: no cell is kept in memory by an earlier epoch.
 * E2. A list is filled again when all of it was taken.
 */
import { invariant } from "../base/invariant.js";
import type { StateCell } from "./instance.js";

export class CellList {
  readonly #cells: (StateCell | undefined)[] = [];
  #length = 0;
  #taken = 0;

  /** Cells that were added, taken or not. */
  get length(): number {
    return this.#length;
  }

  add(cell: StateCell): void {
    if (this.#length === this.#cells.length) this.#cells.push(cell);
    else this.#cells[this.#length] = cell;
    this.#length++;
  }

  /** A cell that was not taken. */
  at(index: number): StateCell {
    const cell = this.#cells[index];
    invariant(cell !== undefined, "a cell that is looked at is in the list");
    return cell;
  }

  take(index: number): StateCell {
    const cell = this.at(index);
    this.#cells[index] = undefined; // E1
    this.#taken++;
    return cell;
  }

  /** Empties the list for another epoch. */
  begin(): void {
    invariant(this.#taken === this.#length, "all cells of an epoch were taken"); // E2
    this.#length = 0;
    this.#taken = 0;
  }
}
