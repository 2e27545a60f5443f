/**
 * Puts keys in order without making strings or views of them: a merge sorts up to a million.
 *
 * Quicksort on words: the next six bytes of each key are read once into a number, which then is compared and moved
 * without another look at the keys; where these are equal the next six bytes decide.
 */

import { invariant } from "../base/invariant.js";

/** Where the bytes of a key are. */
export interface KeyPlaces {
  /** Reads six bytes of the key of a row from `depth`, zeros behind its end, as an integer. */
  six(row: number, depth: number): number;
  length(row: number): number;
}

const wordBytes = 6;
const insertionMax = 12;

/** The rows 0 to `count` - 1 in the order of their keys, of which no two are equal. */
export function inKeyOrder(count: number, keys: KeyPlaces): Uint32Array {
  const rows = Uint32Array.from({ length: count }, (_, row) => row);
  sortFrom(rows, new Float64Array(count), 0, count, 0, keys);
  return rows;
}

/** Sorts a range whose keys have the first `depth` bytes in common. */
function sortFrom(
  rows: Uint32Array,
  words: Float64Array,
  from: number,
  to: number,
  depth: number,
  keys: KeyPlaces,
): void {
  let shared = depth - wordBytes;
  do {
    shared += wordBytes;
    for (let at = from; at < to; at++) words[at] = word(rows[at], shared, keys);
  } while (areEqual(words, from, to)); // a long prefix takes no depth of calls
  sortWords(rows, words, from, to);
  for (let at = from; at < to; ) {
    let end = at + 1;
    while (end < to && words[end] === words[at]) end++;
    invariant(end - at === 1 || goesOn(words[at]), "no two keys are equal");
    if (end - at > 1) sortFrom(rows, words, at, end, shared + wordBytes, keys);
    at = end;
  }
}

function areEqual(words: Float64Array, from: number, to: number): boolean {
  if (to - from < 2) return false;
  for (let at = from + 1; at < to; at++) if (words[at] !== words[from]) return false;
  invariant(goesOn(words[from]), "no two keys are equal");
  return true;
}

/** Six bytes, and how many of them the key has, 7 for more: a key sorts before those that it begins. */
function word(row: number, depth: number, keys: KeyPlaces): number {
  return keys.six(row, depth) * 8 + Math.min(wordBytes + 1, keys.length(row) - depth);
}

/** The key has bytes behind those of a word. */
function goesOn(word: number): boolean {
  return word % 8 === wordBytes + 1;
}

/** Quicksort in three parts; equal words stay equal neighbours. */
function sortWords(rows: Uint32Array, words: Float64Array, first: number, end: number): void {
  let [from, to] = [first, end];
  while (to - from > insertionMax) {
    const pivot = middleOf(words[from], words[(from + to) >>> 1], words[to - 1]);
    let [below, at, above] = [from, from, to];
    while (at < above) {
      if (words[at] < pivot) swap(rows, words, below++, at++);
      else if (words[at] > pivot) swap(rows, words, at, --above);
      else at++;
    }
    if (below - from < to - above) {
      sortWords(rows, words, from, below);
      from = above;
    } else {
      sortWords(rows, words, above, to);
      to = below;
    }
  }
  insertionSort(rows, words, from, to);
}

function insertionSort(rows: Uint32Array, words: Float64Array, from: number, to: number): void {
  for (let next = from + 1; next < to; next++) {
    const [row, word] = [rows[next], words[next]];
    let at = next;
    for (; at > from && words[at - 1] > word; at--) {
      rows[at] = rows[at - 1];
      words[at] = words[at - 1];
    }
    rows[at] = row;
    words[at] = word;
  }
}

function swap(rows: Uint32Array, words: Float64Array, a: number, b: number): void {
  const [row, word] = [rows[a], words[a]];
  rows[a] = rows[b];
  words[a] = words[b];
  rows[b] = row;
  words[b] = word;
}

function middleOf(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
