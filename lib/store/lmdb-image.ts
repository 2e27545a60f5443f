/**
 * The file of an LMDB environment, inspected without LMDB: LMDB trusts every byte of it, so one flipped bit makes it lose
 * keys without a word or read outside of its map, which ends the process. What passes this inspection is sound for LMDB.
 *
 * Little-endian; pages of one size. A page that belongs to a tree:
 *
 *     0 page number u64 · 8 transaction u64 · 16 pad u16 · 18 flags u16 · 20 lower u16 · 22 upper u16
 *    24 offsets of the nodes, from 24, u16 each, in key order · free · nodes, packed to the end
 *     node: size of the value, or the child's page, u32 · flags u16 (child: high bits) · key length u16 · key · value
 *     value of a node with the flag "big": first page u64 · transaction u64 · pages u64; the pages have one header
 *
 * Pages 0 and 1 are meta pages, written in turn; the one of the later transaction counts. There are two trees: free pages by the
 * transaction that freed them, and rows.
 *
 * I1. Every page of a tree is reached once, says its own number, and is not of a later transaction than its meta page
 *     (LMDB would write into it in place).
 * I2. Nodes lie inside their page, beside each other; keys ascend, within what the pages above say.
 * I3. A free page is free once and in no tree: LMDB would hand it out again.
 * I4. Rows are those that the base's sums say (row-sums.ts): the pages of an older transaction would pass I1 to I3.
 * I5. The pages of rows are read in the order of the file, once: only inner pages are held in memory.
 *
 * Values are not read unless asked for: each carries a crc that is checked whenever it is read.
 */
import { isHoldfastError } from "../base/errors.js";
import { MiB } from "../base/limits.js";
import { keyChecksum, rowChecksum } from "./row-checksum.js";
import { decodeEpoch, epochKey, keyHex } from "./row-key.js";
import { isSumsKey, RowSums } from "./row-sums.js";

/** The file, by position. */
export interface ImageFile {
  readonly size: number;
  /** Reads up to `into.length` bytes; returns how many were there. */
  read(into: Uint8Array, position: number): number;
}

/** Something that is wrong. */
export interface ImageDamage {
  /** Offset in the file. */
  readonly position: number;
  readonly what: string;
}

/** What an inspection found. */
export interface ImageReport {
  /** At most `damageMax`; empty when all is well. */
  readonly damage: readonly ImageDamage[];
  readonly pages: number;
  readonly rows: number;
  readonly epoch: number;
  readonly sums: RowSums;
}

/** How to inspect. */
export interface InspectOptions {
  /** Read every value and check its crc. */
  readonly values?: boolean;
}

const damageMax = 16;
const headerBytes = 24;
const nodeHeaderBytes = 8;
const bigBytes = 24;
const keyBytesMax = 1_978;
const crcBytes = 4;
const chunkBytes = 4 * MiB;
/** Pages that the last page may lie behind the end of the file: free ones need not have been written. */
const pagesBehindMax = 1 << 20;

const flag = { branch: 1, leaf: 2, overflow: 4, meta: 8 } as const;
const bigNode = 1;
const magic = 0xbeefc0de;
const dataVersion = 2;
const integerKeys = 8;
const noPage = 2 ** 64;

/** What a page is used for. */
const use = { nothing: 0, tree: 1, rows: 2, value: 3, free: 4 } as const;

interface Tree {
  readonly flags: number;
  readonly depth: number;
  readonly branches: number;
  readonly leaves: number;
  readonly overflow: number;
  readonly entries: number;
  readonly root: number;
}

interface Meta {
  readonly pageBytes: number;
  readonly free: Tree;
  readonly rows: Tree;
  readonly lastPage: number;
  readonly transaction: number;
}

/** Keys of a subtree: `low <= key < high`. */
interface Bounds {
  readonly low: Uint8Array | undefined;
  readonly high: Uint8Array | undefined;
}

/** Thrown where nothing more can be learnt from a tree. */
class Damage extends Error {
  readonly position: number;

  constructor(position: number, what: string) {
    super(what);
    this.position = position;
  }
}

/** Inspects a file. Changes nothing; throws only what `file` throws. */
export function inspectImage(file: ImageFile, options: InspectOptions = {}): ImageReport {
  return new Inspection(file, options.values ?? false).run();
}

class Inspection {
  readonly #file: ImageFile;
  readonly #values: boolean;
  readonly #damage: ImageDamage[] = [];
  readonly #found = new RowSums();
  readonly #should = new RowSums();
  #meta!: Meta;
  #uses = new Uint8Array(0);
  /** By page of rows: which bounds it has, as an index of `#bounds`. */
  #boundsOf = new Int32Array(0);
  readonly #bounds: Bounds[] = [];
  #rows = 0;
  #epoch = 0;
  #counted = { branches: 0, leaves: 0, overflow: 0, entries: 0 };
  /** Values on pages of their own: page, key group and crc of the key of each. */
  readonly #big: {
    readonly page: number;
    /** More than it needs when a longer value was overwritten in the same transaction. */
    readonly pages: number;
    readonly bytes: number;
    readonly group: number;
    readonly keyCrc: number;
    readonly key: string;
  }[] = [];

  constructor(file: ImageFile, values: boolean) {
    this.#file = file;
    this.#values = values;
  }

  run(): ImageReport {
    try {
      this.#meta = this.readMeta();
      this.prepare();
      this.walkRows();
      this.walkFree();
      const difference = this.#should.difference(this.#found); // I4
      if (difference !== undefined && this.#damage.length === 0) this.note(0, difference);
    } catch (error) {
      if (!(error instanceof Damage)) throw error;
      this.note(error.position, error.message);
    }
    return {
      damage: this.#damage,
      pages: this.#uses.length,
      rows: this.#rows,
      epoch: this.#epoch,
      sums: this.#should,
    };
  }

  note(position: number, what: string): void {
    if (this.#damage.length < damageMax) this.#damage.push({ position, what });
  }

  // --- meta pages ---------------------------------------------------------------------------------------------------

  readMeta(): Meta {
    const first = this.readMetaPage(0);
    const second = this.readMetaPage(first.pageBytes);
    if (second.pageBytes !== first.pageBytes)
      throw new Damage(first.pageBytes, "the meta pages disagree on the page size");
    if (!areSuccessive(first.transaction, second.transaction)) {
      const what = `the meta pages are of transactions ${first.transaction} and ${second.transaction}`;
      throw new Damage(first.pageBytes + 152, what);
    }
    return first.transaction >= second.transaction ? first : second;
  }

  readMetaPage(position: number): Meta {
    const page = new Uint8Array(192);
    const view = new DataView(page.buffer);
    const length = this.#file.read(page, position);
    const number = position === 0 ? 0 : 1;
    if (
      length < page.length ||
      u64(view, 0) !== number ||
      (view.getUint16(18, true) & flag.meta) === 0 ||
      view.getUint32(24, true) !== magic
    ) {
      throw new Damage(position, "there is no LMDB header");
    }
    if ((view.getUint32(28, true) & 0xffff) !== dataVersion)
      throw new Damage(position + 28, "it has another LMDB version");
    if (u64(view, 32) !== 0) throw new Damage(position + 32, "it has a fixed address");
    const pageBytes = view.getUint32(48, true);
    if (pageBytes < 4096 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0) {
      throw new Damage(position + 48, `its page size is ${pageBytes}`);
    }
    const mapBytes = u64(view, 40);
    const meta = {
      pageBytes,
      free: readTree(view, 48),
      rows: readTree(view, 96),
      lastPage: u64(view, 144),
      transaction: u64(view, 152),
    };
    if (meta.free.flags !== integerKeys) throw new Damage(position + 52, "the flags of the free pages are wrong");
    if (meta.rows.flags !== 0) throw new Damage(position + 100, "the flags of the rows are wrong");
    const pagesMax = Math.ceil(this.#file.size / pageBytes) + pagesBehindMax;
    if (meta.lastPage < 1 || meta.lastPage >= pagesMax) {
      throw new Damage(position + 144, `its last page is ${meta.lastPage}`);
    }
    if ((meta.lastPage + 1) * pageBytes > mapBytes || mapBytes > 2 ** 47) {
      throw new Damage(position + 40, `its map has ${mapBytes} bytes`);
    }
    return meta;
  }

  prepare(): void {
    const pages = this.#meta.lastPage + 1;
    this.#uses = new Uint8Array(pages);
    this.#boundsOf = new Int32Array(pages);
    this.#uses.fill(use.tree, 0, 2);
  }

  // --- rows ---------------------------------------------------------------------------------------------------------

  walkRows(): void {
    const tree = this.#meta.rows;
    if (tree.root !== noPage) {
      this.descend(tree.root, 1, tree.depth, { low: undefined, high: undefined });
      this.readLeaves();
      this.readBigValues();
    }
    this.compareCounts(tree, "rows", 96);
  }

  /** Inner pages in key order; pages of rows are only marked (I5). */
  descend(page: number, level: number, depth: number, bounds: Bounds): void {
    this.take(page, level === depth ? use.rows : use.tree);
    if (level === depth) {
      this.#boundsOf[page] = this.#bounds.push(bounds) - 1;
      this.#counted.leaves++;
      return;
    }
    this.#counted.branches++;
    const at = page * this.#meta.pageBytes;
    const bytes = this.readPage(page);
    const nodes = this.nodesOf(bytes, 0, at, page, flag.branch);
    const keys = nodes.map((node) =>
      bytes.subarray(node + nodeHeaderBytes, node + nodeHeaderBytes + u16(bytes, node + 6)),
    );
    this.checkPacked(
      at,
      bytes,
      keys.map((key) => nodeHeaderBytes + key.length),
    );
    for (let index = 0; index < nodes.length; index++) {
      const node = nodes[index]!;
      const low = index === 0 ? bounds.low : keys[index];
      const high = index + 1 < nodes.length ? keys[index + 1] : bounds.high;
      if (index > 0 && !isWithin(low!, bounds))
        throw new Damage(at + node, "a key of an inner page is outside of its page");
      if (low !== undefined && high !== undefined && compare(low, high) >= 0) {
        throw new Damage(at + node, "the keys of an inner page do not ascend");
      }
      const child = u16(bytes, node) + u16(bytes, node + 2) * 2 ** 16 + u16(bytes, node + 4) * 2 ** 32;
      this.descend(child, level + 1, depth, { low, high });
    }
  }

  /** I5 */
  readLeaves(): void {
    const { pageBytes } = this.#meta;
    const chunk = new Uint8Array(Math.max(pageBytes, chunkBytes));
    const perChunk = chunk.length / pageBytes;
    for (let first = 0; first < this.#uses.length; first += perChunk) {
      const end = Math.min(this.#uses.length, first + perChunk);
      const from = this.#uses.indexOf(use.rows, first);
      if (from < 0) return;
      if (from >= end) continue;
      let last = end - 1;
      while (this.#uses[last] !== use.rows) last--;
      const length = this.#file.read(chunk.subarray(0, (last - from + 1) * pageBytes), from * pageBytes);
      for (let page = from; page <= last; page++) {
        if (this.#uses[page] !== use.rows) continue;
        const at = (page - from) * pageBytes;
        if (at + pageBytes > length) throw new Damage(page * pageBytes, "the file ends before this page");
        this.readLeaf(chunk.subarray(at, at + pageBytes), page);
      }
    }
  }

  readLeaf(bytes: Uint8Array, page: number): void {
    const at = page * this.#meta.pageBytes;
    const nodes = this.nodesOf(bytes, 0, at, page, flag.leaf);
    const { low, high } = this.#bounds[this.#boundsOf[page]!]!;
    let packed = 0;
    let keyFrom = 0;
    let keyTo = 0;
    for (let index = 0; index < nodes.length; index++) {
      const node = nodes[index]!;
      const from = node + nodeHeaderBytes;
      const to = from + u16(bytes, node + 6);
      const flags = u16(bytes, node + 4);
      const size = u16(bytes, node) + u16(bytes, node + 2) * 2 ** 16;
      const inPage = flags === bigNode ? bigBytes : size;
      if (flags > bigNode) throw new Damage(at + node + 4, "a row has flags that no row of a base has");
      if (to === from || to - from > keyBytesMax || to + inPage > bytes.length || size < crcBytes) {
        throw new Damage(at + node, "a row does not fit its page");
      }
      packed += (nodeHeaderBytes + (to - from) + inPage + 1) & ~1;
      const order =
        index === 0
          ? low === undefined
            ? -1
            : compareAt(low, 0, low.length, bytes, from, to) - 1
          : compareAt(bytes, keyFrom, keyTo, bytes, from, to);
      if (order >= 0) throw new Damage(at + node, "the keys of a page do not ascend");
      keyFrom = from;
      keyTo = to;
      this.readRow(bytes, at, from, to, size, flags === bigNode);
    }
    if (high !== undefined && compareAt(bytes, keyFrom, keyTo, high, 0, high.length) >= 0) {
      throw new Damage(at, "a key lies behind what the page above says");
    }
    if (packed !== bytes.length - headerBytes - u16(bytes, 22)) throw new Damage(at, "the rows of a page overlap");
  }

  readRow(bytes: Uint8Array, at: number, from: number, to: number, size: number, big: boolean): void {
    this.#rows++;
    if (isSumsKey(bytes, from, to)) this.readSums(bytes, at, from, to, size, big);
    else this.readSummedRow(bytes, at, from, to, size, big);
  }

  readSummedRow(bytes: Uint8Array, at: number, from: number, to: number, size: number, big: boolean): void {
    const group = (bytes[from]! << 8) | (to - from > 1 ? bytes[from + 1]! : 0);
    const keyCrc = keyChecksum(bytes, from, to);
    if (big) {
      this.takeBig(bytes, at, from, to, size, group, keyCrc);
      return;
    }
    const rowCrc = u32(bytes, to);
    this.#found.add(group, keyCrc, rowCrc);
    const isEpoch = to - from === epochKey.length && compareAt(bytes, from, to, epochKey, 0, epochKey.length) === 0;
    if (!isEpoch && !this.#values) return;
    const value = bytes.subarray(to + crcBytes, to + size);
    if (rowChecksum(keyCrc, value) !== rowCrc) {
      this.note(at + to, `the row ${keyHex(bytes.subarray(from, to))} does not fit its crc`);
    } else if (isEpoch) this.#epoch = decodeEpoch(value);
  }

  readSums(bytes: Uint8Array, at: number, from: number, to: number, size: number, big: boolean): void {
    const key = bytes.slice(from, to);
    const value = bytes.subarray(to + crcBytes, to + size);
    if (big || rowChecksum(keyChecksum(key), value) !== u32(bytes, to))
      throw new Damage(at + from, "a row of sums does not fit its crc");
    try {
      this.#should.load(key, value);
    } catch (error) {
      if (!isHoldfastError(error)) throw error;
      throw new Damage(at + from, error.message);
    }
  }

  /** A value on pages of its own; they are looked at in the order of the file. */
  takeBig(bytes: Uint8Array, at: number, from: number, to: number, size: number, group: number, keyCrc: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset + to, bigBytes);
    const page = u64(view, 0);
    const pages = u64(view, 16);
    if (u64(view, 8) > this.#meta.transaction || pages < pagesFor(size, this.#meta.pageBytes)) {
      throw new Damage(at + to, "the pages of a value are not those it must have");
    }
    this.takeRun(page, pages, at + to);
    this.#counted.overflow += pages;
    this.#big.push({ page, pages, bytes: size, group, keyCrc, key: keyHex(bytes.subarray(from, to)) });
  }

  readBigValues(): void {
    this.#big.sort((a, b) => a.page - b.page);
    const head = new Uint8Array(headerBytes + crcBytes);
    for (const { page, pages, bytes: size, group, keyCrc, key } of this.#big) {
      const at = page * this.#meta.pageBytes;
      const bytes = this.#values ? new Uint8Array(headerBytes + size) : head;
      if (this.#file.read(bytes, at) < bytes.length) throw new Damage(at, "the file ends before this page");
      this.checkOverflow(bytes, at, page, pages);
      const rowCrc = u32(bytes, headerBytes);
      this.#found.add(group, keyCrc, rowCrc);
      if (!this.#values) {
        if (at + headerBytes + size > this.#file.size) throw new Damage(at, "the file ends within this value");
      } else if (rowChecksum(keyCrc, bytes.subarray(headerBytes + crcBytes)) !== rowCrc) {
        this.note(at, `the row ${key} does not fit its crc`);
      }
    }
  }

  checkOverflow(bytes: Uint8Array, at: number, page: number, pages: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, headerBytes);
    this.checkHeader(view, at, page, flag.overflow);
    if (view.getUint32(20, true) !== pages) throw new Damage(at + 20, "a value has another number of pages");
  }

  // --- free pages ---------------------------------------------------------------------------------------------------

  walkFree(): void {
    const tree = this.#meta.free;
    this.#counted = { branches: 0, leaves: 0, overflow: 0, entries: 0 };
    const lists: { readonly at: number; readonly ids: Uint8Array }[] = [];
    if (tree.root !== noPage) this.descendFree(tree.root, 1, tree.depth, { last: -1 }, lists);
    this.compareCounts(tree, "free pages", 48);
    for (const { at, ids } of lists) this.takeFree(ids, at); // after all pages of trees are known
  }

  descendFree(
    page: number,
    level: number,
    depth: number,
    order: { last: number },
    lists: { at: number; ids: Uint8Array }[],
  ): void {
    this.take(page, use.tree);
    const at = page * this.#meta.pageBytes;
    const bytes = this.readPage(page);
    const isLeaf = level === depth;
    const nodes = this.nodesOf(bytes, 0, at, page, isLeaf ? flag.leaf : flag.branch);
    this.#counted[isLeaf ? "leaves" : "branches"]++;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    const sizes: number[] = [];
    for (const [index, node] of nodes.entries()) {
      const keyLength = u16(bytes, node + 6);
      const value = node + nodeHeaderBytes + keyLength;
      if (!isLeaf) {
        sizes.push(nodeHeaderBytes + keyLength);
        if (keyLength !== 8 && (index > 0 || keyLength !== 0))
          throw new Damage(at + node, "a key of the free pages is no transaction");
        const child = u16(bytes, node) + u16(bytes, node + 2) * 2 ** 16 + u16(bytes, node + 4) * 2 ** 32;
        const least = index === 0 ? -1 : u64(view, node + nodeHeaderBytes);
        if (index > 0 && order.last >= least)
          throw new Damage(at + node, "the transactions of free pages do not ascend");
        const before = order.last;
        this.descendFree(child, level + 1, depth, order, lists);
        if (index > 0 && order.last < least)
          throw new Damage(at + node, "the transactions of free pages do not ascend");
        if (order.last === before) throw new Damage(at + node, "a page of free pages is empty");
        continue;
      }
      const size = u16(bytes, node) + u16(bytes, node + 2) * 2 ** 16;
      const flags = u16(bytes, node + 4);
      const inPage = flags === bigNode ? bigBytes : size;
      if (keyLength !== 8 || flags > bigNode || value + inPage > bytes.length || size < 8 || size % 8 !== 0) {
        throw new Damage(at + node, "a list of free pages has not the form it must have");
      }
      sizes.push(nodeHeaderBytes + keyLength + inPage);
      const transaction = u64(view, node + nodeHeaderBytes);
      if (transaction <= order.last || transaction > this.#meta.transaction) {
        throw new Damage(at + node, "the transactions of free pages do not ascend");
      }
      order.last = transaction;
      this.#counted.entries++;
      lists.push({
        at: at + value,
        ids: flags === bigNode ? this.readFreeList(view, value, at, size) : bytes.slice(value, value + size),
      });
    }
    this.checkPacked(at, bytes, sizes);
  }

  readFreeList(view: DataView, value: number, at: number, size: number): Uint8Array {
    const first = u64(view, value);
    const pages = u64(view, value + 16);
    if (pages < pagesFor(size, this.#meta.pageBytes))
      throw new Damage(at + value, "a list of free pages has another number of pages");
    this.takeRun(first, pages, at + value);
    this.#counted.overflow += pages;
    const bytes = new Uint8Array(headerBytes + size);
    const position = first * this.#meta.pageBytes;
    if (this.#file.read(bytes, position) < bytes.length)
      throw new Damage(position, "the file ends within a list of free pages");
    this.checkOverflow(bytes, position, first, pages);
    return bytes.subarray(headerBytes);
  }

  /** A count, then that many entries: a page, nothing (0), or the negative length of the run that the next entry begins. */
  takeFree(list: Uint8Array, at: number): void {
    const view = new DataView(list.buffer, list.byteOffset, list.length);
    const count = u64(view, 0);
    if ((count + 1) * 8 > list.length) throw new Damage(at, "a list of free pages is longer than its value");
    let run = 1;
    for (let index = 1; index <= count; index++) {
      const entry = Number(view.getBigInt64(index * 8, true));
      if (entry === 0) continue;
      if (entry < 0) {
        run = -entry;
        continue;
      }
      if (entry + run > this.#uses.length) throw new Damage(at + index * 8, `page ${entry} is free and does not exist`);
      for (let page = entry; page < entry + run; page++) {
        if (this.#uses[page] !== use.nothing) throw new Damage(at + index * 8, `page ${page} is free and in use`); // I3
        this.#uses[page] = use.free;
      }
      run = 1;
    }
  }

  // --- pages --------------------------------------------------------------------------------------------------------

  /** I1 */
  take(page: number, how: number): void {
    if (page < 2 || page >= this.#uses.length) throw new Damage(0, `there is no page ${page}, which a tree names`);
    if (this.#uses[page] !== use.nothing) throw new Damage(page * this.#meta.pageBytes, "a page is in use twice");
    this.#uses[page] = how;
  }

  takeRun(first: number, pages: number, at: number): void {
    if (first < 2 || first + pages > this.#uses.length) throw new Damage(at, "the pages of a value do not exist");
    for (let page = first; page < first + pages; page++) this.take(page, use.value);
  }

  readPage(page: number): Uint8Array {
    const { pageBytes } = this.#meta;
    const bytes = new Uint8Array(pageBytes);
    if (this.#file.read(bytes, page * pageBytes) < pageBytes)
      throw new Damage(page * pageBytes, "the file ends before this page");
    return bytes;
  }

  checkHeader(view: DataView, at: number, page: number, flags: number): void {
    if (u64(view, 0) !== page) throw new Damage(at, "a page says another number than its own");
    if (u64(view, 8) > this.#meta.transaction) throw new Damage(at + 8, "a page is of a transaction that has not been");
    if (view.getUint16(18, true) !== flags) throw new Damage(at + 18, "a page is of another kind than its tree says");
  }

  /** Where the nodes of a page begin, in key order; each has room for its header and its key (I2). */
  nodesOf(bytes: Uint8Array, from: number, at: number, page: number, flags: number): number[] {
    const view = new DataView(bytes.buffer, bytes.byteOffset + from, headerBytes);
    this.checkHeader(view, at, page, flags);
    const lower = u16(bytes, 20);
    const upper = u16(bytes, 22);
    if (lower === 0 || lower % 2 !== 0 || lower > upper || upper > bytes.length - headerBytes) {
      throw new Damage(at + 20, "a page has bounds that no page has");
    }
    const nodes: number[] = [];
    for (let index = 0; index < lower; index += 2) {
      const offset = u16(bytes, headerBytes + index);
      const node = headerBytes + offset;
      if (offset < upper || offset % 2 !== 0 || node + nodeHeaderBytes > bytes.length) {
        throw new Damage(at + headerBytes + index, "a node lies outside of its page");
      }
      if (node + nodeHeaderBytes + u16(bytes, node + 6) > bytes.length)
        throw new Damage(at + node, "a key lies outside of its page");
      nodes.push(node);
    }
    return nodes;
  }

  /** I2: nodes leave no gaps, so two that share bytes leave too few. */
  checkPacked(at: number, bytes: Uint8Array, sizes: readonly number[]): void {
    let packed = 0;
    for (const size of sizes) packed += (size + 1) & ~1;
    if (packed !== bytes.length - headerBytes - u16(bytes, 22)) throw new Damage(at, "the nodes of a page overlap");
  }

  compareCounts(tree: Tree, name: string, metaAt: number): void {
    const { branches, leaves, overflow } = this.#counted;
    const entries = name === "rows" ? this.#rows : this.#counted.entries;
    if (
      tree.branches !== branches ||
      tree.leaves !== leaves ||
      tree.overflow !== overflow ||
      tree.entries !== entries
    ) {
      throw new Damage(
        metaAt,
        `the tree of ${name} has ${entries} entries, its meta page says ${tree.entries}; or pages are missing`,
      );
    }
  }
}

/** Transactions write the meta pages in turn, the even ones page 0; a new file has 0 in both. */
function areSuccessive(first: number, second: number): boolean {
  if (first === 0 && second === 0) return true;
  return first % 2 === 0 && second % 2 === 1 && Math.abs(first - second) === 1;
}

function readTree(view: DataView, at: number): Tree {
  return {
    flags: view.getUint16(at + 4, true),
    depth: view.getUint16(at + 6, true),
    branches: u64(view, at + 8),
    leaves: u64(view, at + 16),
    overflow: u64(view, at + 24),
    entries: u64(view, at + 32),
    root: u64(view, at + 40),
  };
}

function pagesFor(bytes: number, pageBytes: number): number {
  return Math.floor((headerBytes - 1 + bytes) / pageBytes) + 1;
}

function isWithin(key: Uint8Array, { low, high }: Bounds): boolean {
  return (low === undefined || compare(low, key) < 0) && (high === undefined || compare(key, high) < 0);
}

function compare(a: Uint8Array, b: Uint8Array): number {
  return compareAt(a, 0, a.length, b, 0, b.length);
}

/** As memcmp, then by length. */
function compareAt(a: Uint8Array, aFrom: number, aTo: number, b: Uint8Array, bFrom: number, bTo: number): number {
  const length = Math.min(aTo - aFrom, bTo - bFrom);
  for (let index = 0; index < length; index++) {
    const difference = a[aFrom + index]! - b[bFrom + index]!;
    if (difference !== 0) return difference;
  }
  return aTo - aFrom - (bTo - bFrom);
}

function u16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

/** Above 2^53 not exact, and then larger than anything it is compared with. */
function u64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
