/**
 * Puts rows into the order of their keys without making strings or views of them: a merge sorts up to millions.
 *
 * Owner and thread: the coordinator's.
 * O1. Key groups first, which keys begin with; then one group after the other, when its rows are wanted: sorting four
 *     million at once would hold the thread, and every commit, for a second.
 * O2. No two keys are equal.
 *
 * Within a group it is a radix sort: the next twelve bytes of each key are read once into words, which then are dealt out
 * byte by byte, the last one first, without another look at the keys; bytes in which no two keys of a range differ take no
 * pass. Where the twelve are equal the next twelve decide. Keys lie far apart in memory, so they are loaded many together.
 */
import { invariant } from "../base/invariant.js";
import { touchedTogether } from "../base/limits.js";
import type { RowPlaces } from "./row-places.js";

/** Rows in key order, as far as they were wanted. */
export class OrderedRows {
  readonly places: RowPlaces;
  /** Where each key group ends. */
  readonly #ends: readonly number[];
  /** Key groups, and rows, that are in order (O1). */
  #groups = 0;
  #rows = 0;

  /** Of the first `count` rows. */
  constructor(rows: RowPlaces, count: number) {
    const { places, ends } = byKeyGroup(rows.slice(0, count));
    this.places = places;
    this.#ends = ends;
  }

  get length(): number {
    return this.places.length;
  }

  /** Puts at least all rows before this one where they belong. */
  order(end: number): void {
    invariant(end <= this.length, "only rows that are there are put in order");
    const from = this.#rows;
    while (this.#rows < end) this.#rows = this.#ends[this.#groups++];
    if (this.#rows > from) new KeyRange(this.places, from, this.#rows).sort();
  }
}

/** Rows by their key groups, and where each group ends: dealt by the lower byte, then by the higher one. */
function byKeyGroup(rows: RowPlaces): { places: RowPlaces; ends: number[] } {
  const count = rows.length;
  let [source, target] = [rows, rows.slice(0, count)];
  let [groups, dealt] = [new Uint16Array(count), new Uint16Array(count)];
  for (let row = 0; row < count; row++) groups[row] = rows.four(row, 0) >>> 16;
  const starts = new Uint32Array(256);
  for (const shift of [0, 8]) {
    findStarts(starts, groups, shift, 0, count);
    for (let row = 0; row < count; row++) {
      const place = starts[(groups[row] >>> shift) & 0xff]++;
      target.take(place, source, row);
      dealt[place] = groups[row];
    }
    [source, target] = [target, source];
    [groups, dealt] = [dealt, groups];
  }
  const ends: number[] = [];
  for (let row = 1; row <= count; row++) if (groups[row] !== groups[row - 1]) ends.push(row);
  return { places: source, ends };
}

/** Where the first of each digit goes, when eight bits of these words, from `shift` on, are dealt into the same range. */
function findStarts(
  starts: Uint32Array,
  words: Uint32Array | Uint16Array | Uint8Array,
  shift: number,
  from: number,
  to: number,
): void {
  starts.fill(0);
  for (let at = from; at < to; at++) starts[(words[at] >>> shift) & 0xff]++;
  for (let digit = 0, start = from; digit < starts.length; digit++) {
    const count = starts[digit];
    starts[digit] = start;
    start += count;
  }
}

/** Bytes of a key that are read at once. */
const stride = 12;
/** In place of how many of them a key has: it goes on. */
const goesOn = stride + 1;
const insertionMax = 24;

/** Rows and what was read of their keys, in the same order. */
class Dealt {
  readonly rows: RowPlaces;
  /** Four bytes each. */
  readonly first: Uint32Array;
  readonly second: Uint32Array;
  readonly third: Uint32Array;
  /** How many bytes of these the key has. */
  readonly lengths: Uint8Array;

  constructor(rows: RowPlaces) {
    this.rows = rows;
    this.first = new Uint32Array(rows.length);
    this.second = new Uint32Array(rows.length);
    this.third = new Uint32Array(rows.length);
    this.lengths = new Uint8Array(rows.length);
  }

  /** Takes one row from another place, and from another list perhaps. */
  take(place: number, from: Dealt, at: number): void {
    this.rows.take(place, from.rows, at);
    this.first[place] = from.first[at];
    this.second[place] = from.second[at];
    this.third[place] = from.third[at];
    this.lengths[place] = from.lengths[at];
  }

  takeAll(from: Dealt, start: number, end: number): void {
    this.rows.takeAll(from.rows, start, end);
    this.first.set(from.first.subarray(start, end), start);
    this.second.set(from.second.subarray(start, end), start);
    this.third.set(from.third.subarray(start, end), start);
    this.lengths.set(from.lengths.subarray(start, end), start);
  }

  /** True when the same was read of two keys. */
  alike(one: number, other: number): boolean {
    return (
      this.third[one] === this.third[other] &&
      this.second[one] === this.second[other] &&
      this.first[one] === this.first[other] &&
      this.lengths[one] === this.lengths[other]
    );
  }

  /** True when what was read of one key sorts before what was read of another. A key sorts before those that it begins. */
  before(one: number, from: Dealt, other: number): boolean {
    if (this.first[one] !== from.first[other]) return this.first[one] < from.first[other];
    if (this.second[one] !== from.second[other]) return this.second[one] < from.second[other];
    if (this.third[one] !== from.third[other]) return this.third[one] < from.third[other];
    return this.lengths[one] < from.lengths[other];
  }
}

/** A range of rows while it is sorted. */
class KeyRange {
  readonly #rows: RowPlaces;
  readonly #from: number;
  readonly #dealt: Dealt;
  readonly #spare: Dealt;
  /** A row that is out of the list. */
  readonly #held: Dealt;
  readonly #starts = new Uint32Array(256);
  /** The bits in which what was read last differs: three words and the lengths. */
  readonly #bits = new Uint32Array(4);

  constructor(rows: RowPlaces, from: number, to: number) {
    this.#rows = rows;
    this.#from = from;
    this.#dealt = new Dealt(rows.slice(from, to));
    this.#spare = new Dealt(rows.slice(from, to));
    this.#held = new Dealt(rows.slice(from, from + 1));
  }

  sort(): void {
    const { rows } = this.#dealt;
    this.#sort(0, rows.length, 0);
    this.#rows.numbers.set(rows.numbers, this.#from);
    this.#rows.keysAt.set(rows.keysAt, this.#from);
  }

  /** Sorts a range whose keys have the first `depth` bytes in common. */
  #sort(from: number, to: number, depth: number): void {
    if (to - from < 2) return;
    const dealt = this.#dealt;
    let next = depth;
    do {
      this.#read(from, to, next);
      next += stride;
    } while (!this.#differ(from)); // a long prefix takes no depth of calls
    if (to - from <= insertionMax) this.#insert(from, to);
    else this.#deal(from, to);
    for (let at = from; at < to; ) {
      let end = at + 1;
      while (end < to && dealt.alike(at, end)) end++;
      if (end - at > 1) {
        invariant(dealt.lengths[at] === goesOn, "no two keys are equal"); // O2
        this.#sort(at, end, next);
      }
      at = end;
    }
  }

  #read(from: number, to: number, depth: number): void {
    const { rows, first, second, third, lengths } = this.#dealt;
    const bits = this.#bits.fill(0);
    for (let start = from; start < to; start += touchedTogether) {
      const end = Math.min(to, start + touchedTogether);
      rows.touch(start, end);
      for (let at = start; at < end; at++) {
        first[at] = rows.four(at, depth);
        second[at] = rows.four(at, depth + 4);
        third[at] = rows.four(at, depth + 8);
        lengths[at] = Math.min(goesOn, rows.keyLength(at) - depth);
        bits[0] |= first[at] ^ first[from];
        bits[1] |= second[at] ^ second[from];
        bits[2] |= third[at] ^ third[from];
        bits[3] |= lengths[at] ^ lengths[from];
      }
    }
  }

  #differ(from: number): boolean {
    if (this.#bits.some((bits) => bits !== 0)) return true;
    invariant(this.#dealt.lengths[from] === goesOn, "no two keys are equal"); // O2
    return false;
  }

  /** A pass for each byte that differs, the last one first. */
  #deal(from: number, to: number): void {
    let [source, target] = [this.#dealt, this.#spare];
    const pass = (words: Uint32Array | Uint8Array, shift: number): void => {
      this.#pass(words, shift, source, target, from, to);
      [source, target] = [target, source];
    };
    const differs = (word: number, shift: number): boolean => ((this.#bits[word] >>> shift) & 0xff) !== 0;
    if (differs(3, 0)) pass(source.lengths, 0);
    for (let shift = 0; shift < 32; shift += 8) if (differs(2, shift)) pass(source.third, shift);
    for (let shift = 0; shift < 32; shift += 8) if (differs(1, shift)) pass(source.second, shift);
    for (let shift = 0; shift < 32; shift += 8) if (differs(0, shift)) pass(source.first, shift);
    if (source !== this.#dealt) this.#dealt.takeAll(source, from, to);
  }

  #pass(words: Uint32Array | Uint8Array, shift: number, source: Dealt, target: Dealt, from: number, to: number): void {
    findStarts(this.#starts, words, shift, from, to);
    for (let at = from; at < to; at++) target.take(this.#starts[(words[at] >>> shift) & 0xff]++, source, at);
  }

  /** A few rows. */
  #insert(from: number, to: number): void {
    const dealt = this.#dealt;
    const held = this.#held;
    for (let next = from + 1; next < to; next++) {
      held.take(0, dealt, next);
      let at = next;
      for (; at > from && held.before(0, dealt, at - 1); at--) dealt.take(at, dealt, at - 1);
      dealt.take(at, held, 0);
    }
  }
}
