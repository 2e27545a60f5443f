/**
 * A disk for simulations: a page cache over a durable image, both in memory, both as the rules of POSIX allow them to
 * be and not as one kind file system makes them.
 *
 * S1. A read sees the cache. What is durable differs from it in the file's dirty sectors (512 bytes) and its size.
 * S2. `datasync` makes one file's sectors and size durable, and says nothing about its name.
 * S3. A name that was created, renamed or removed is durable after `syncDirectory` of its directory. Until then a
 *     crash of the system keeps some first part of the directory's pending operations: they never overtake each other.
 * S4. `crash("process")` loses nothing; `crash("os")` decides each dirty sector by itself: old, new, or torn, some
 *     first bytes new and the rest old.
 * S5. A datasync that fails leaves the sectors clean in the cache and old in the image: the next one does not write
 *     them again.
 * S6. After a crash the files that were open throw; so does every file after its `close`.
 */
import { HoldfastError } from "../../lib/base/errors.js";
import { invariant } from "../../lib/base/invariant.js";
import type { Random } from "../../lib/base/random.js";
import type { Disk, DiskFile } from "../../lib/log/disk.js";

export const sectorBytes = 512;

/** What a hook throws to stop the simulated process inside a call. */
export class SimulatedCrash extends Error {
  override readonly name = "SimulatedCrash";
}

/** Calls that reach the disk, as hooks and faults see them. */
export type DiskCall =
  | "mkdir"
  | "list"
  | "open"
  | "create"
  | "readFile"
  | "rename"
  | "remove"
  | "syncDirectory"
  | "size"
  | "read"
  | "write"
  | "datasync";

export type Fault = "EIO" | "ENOSPC";
export type FaultPredicate = (call: DiskCall, path: string) => boolean;

const needsSpace: ReadonlySet<DiskCall> = new Set(["mkdir", "create", "rename", "write"]);

/** The simulated disk. One per simulated machine; it outlives crashes. */
export class SimDisk implements Disk {
  /** Called before each call takes effect; may throw a `SimulatedCrash`. */
  onCall: ((call: DiskCall, path: string) => void) | undefined;
  /** While true nothing new finds space: files neither appear nor grow. */
  full = false;
  /** Counts of calls, for tests that bound them. */
  readonly calls = new Map<DiskCall, number>();
  readonly #random: Random;
  #root = new SimDirectory();
  /** Counts crashes: a handle of an earlier one is dead (S6). */
  #boot = 0;
  #faults: { readonly kind: Fault; readonly when: FaultPredicate }[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  get boot(): number {
    return this.#boot;
  }

  /** The next call that fits (by default: EIO any call, ENOSPC any that needs space) fails so, once. */
  failNext(kind: Fault, when: FaultPredicate = (call) => kind === "EIO" || needsSpace.has(call)): void {
    this.#faults.push({ kind, when });
  }

  /** Forgets faults that did not happen. */
  clearFaults(): void {
    this.#faults = [];
  }

  /** Stops the process, or the whole system with what was not durable. */
  crash(kind: "process" | "os"): void {
    this.#boot++; // S6
    if (kind === "os") this.#root.crash(this.#random, new Set());
  }

  /** Turns one bit of what is stored, in cache and image: rot. */
  flipBit(path: string, position: number, bit: number): void {
    this.file(path).flip(position, 1 << bit);
  }

  mkdir(path: string): void {
    this.enter("mkdir", path);
    let directory = this.#root;
    for (const name of split(path)) {
      let node = directory.names.get(name);
      if (node === undefined) {
        if (this.full) throw diskError("ENOSPC", "mkdir", path);
        node = new SimDirectory();
        directory.link(name, node);
      }
      if (!(node instanceof SimDirectory)) throw diskError("ENOTDIR", "mkdir", path);
      directory = node;
    }
  }

  list(path: string): string[] {
    this.enter("list", path);
    const node = this.find(path);
    if (node === undefined) return [];
    if (!(node instanceof SimDirectory)) throw diskError("ENOTDIR", "list", path);
    return [...node.names.keys()].sort();
  }

  exists(path: string): boolean {
    return this.find(path) !== undefined;
  }

  open(path: string, how: "existing" | "create"): DiskFile {
    this.enter(how === "create" ? "create" : "open", path);
    const [directory, name] = this.parent(path, "open");
    let node = directory.names.get(name);
    if (node === undefined) {
      if (how === "existing") throw diskError("ENOENT", "open", path);
      node = new SimInode();
      directory.link(name, node);
    } else if (!(node instanceof SimInode)) {
      throw diskError("EISDIR", "open", path);
    } else if (how === "create") {
      node.truncate();
    }
    return new SimFile(this, path, node);
  }

  readFile(path: string): Uint8Array {
    this.enter("readFile", path);
    return this.file(path).copy();
  }

  rename(from: string, to: string): void {
    this.enter("rename", from);
    const [source, oldName] = this.parent(from, "rename");
    const [target, newName] = this.parent(to, "rename");
    const node = source.names.get(oldName);
    if (node === undefined) throw diskError("ENOENT", "rename", from);
    const there = target.names.get(newName);
    if (there instanceof SimDirectory && there.names.size > 0) throw diskError("ENOTEMPTY", "rename", from);
    if (source === target) {
      source.move(oldName, newName);
    } else {
      target.link(newName, node);
      source.unlink(oldName);
    }
  }

  remove(path: string): void {
    this.enter("remove", path);
    const [directory, name] = this.parent(path, "remove");
    if (!directory.names.has(name)) throw diskError("ENOENT", "remove", path);
    directory.unlink(name);
  }

  syncDirectory(path: string): void {
    this.enter("syncDirectory", path);
    const node = this.find(path);
    if (!(node instanceof SimDirectory)) throw diskError("ENOENT", "sync directory", path);
    node.sync();
  }

  // --- for the files of this disk ---

  /** Counts, lets the hook see and fails the call if it is its turn. */
  enter(call: DiskCall, path: string): void {
    this.calls.set(call, (this.calls.get(call) ?? 0) + 1);
    this.onCall?.(call, path);
    if (this.full && call === "create" && !this.exists(path)) throw diskError("ENOSPC", call, path);
    const index = this.#faults.findIndex((fault) => fault.when(call, path));
    if (index < 0) return;
    const [fault] = this.#faults.splice(index, 1);
    throw diskError(fault!.kind, call, path);
  }

  /** How much of something of `bytes` gets done when it is interrupted. */
  part(bytes: number): number {
    return this.#random.below(bytes + 1);
  }

  find(path: string): SimNode | undefined {
    let node: SimNode | undefined = this.#root;
    for (const name of split(path)) {
      if (!(node instanceof SimDirectory)) return undefined;
      node = node.names.get(name);
    }
    return node;
  }

  file(path: string): SimInode {
    const node = this.find(path);
    if (node === undefined) throw diskError("ENOENT", "read", path);
    if (!(node instanceof SimInode)) throw diskError("EISDIR", "read", path);
    return node;
  }

  parent(path: string, doing: string): readonly [SimDirectory, string] {
    const slash = path.lastIndexOf("/");
    const directory = this.find(path.slice(0, Math.max(0, slash)));
    if (!(directory instanceof SimDirectory)) throw diskError("ENOENT", doing, path);
    return [directory, path.slice(slash + 1)];
  }
}

class SimFile implements DiskFile {
  readonly path: string;
  readonly #disk: SimDisk;
  readonly #inode: SimInode;
  readonly #boot: number;
  #closed = false;

  constructor(disk: SimDisk, path: string, inode: SimInode) {
    this.path = path;
    this.#disk = disk;
    this.#inode = inode;
    this.#boot = disk.boot;
  }

  size(): number {
    this.enter("size");
    return this.#inode.size;
  }

  read(into: Uint8Array, position: number): number {
    this.enter("read");
    return this.#inode.read(into, position);
  }

  write(bytes: Uint8Array, position: number): void {
    try {
      this.enter("write");
      if (this.#disk.full && position + bytes.length > this.#inode.size) throw diskError("ENOSPC", "write", this.path);
    } catch (error) {
      if (!this.isDead()) this.#inode.write(bytes.subarray(0, this.roomFor(bytes, position)), position);
      throw error;
    }
    this.#inode.write(bytes, position);
  }

  datasync(): void {
    try {
      this.enter("datasync");
    } catch (error) {
      if (error instanceof HoldfastError && !this.isDead()) this.#inode.forget(); // S5
      throw error;
    }
    this.#inode.sync();
  }

  close(): void {
    this.#closed = true;
  }

  enter(call: DiskCall): void {
    invariant(!this.isDead(), `${this.path} is open and its system has not crashed since`); // S6
    this.#disk.enter(call, this.path);
  }

  isDead(): boolean {
    return this.#closed || this.#boot !== this.#disk.boot;
  }

  /** A write that fails or is interrupted got some of its bytes done. */
  roomFor(bytes: Uint8Array, position: number): number {
    const room = this.#disk.full ? Math.min(bytes.length, Math.max(0, this.#inode.size - position)) : bytes.length;
    return this.#disk.part(room);
  }
}

type SimNode = SimDirectory | SimInode;

type NameChange =
  | { readonly kind: "link"; readonly name: string; readonly node: SimNode }
  | { readonly kind: "unlink"; readonly name: string }
  | { readonly kind: "move"; readonly from: string; readonly to: string };

class SimDirectory {
  names = new Map<string, SimNode>();
  readonly #durable = new Map<string, SimNode>();
  #pending: NameChange[] = [];

  link(name: string, node: SimNode): void {
    this.change({ kind: "link", name, node });
  }

  unlink(name: string): void {
    this.change({ kind: "unlink", name });
  }

  move(from: string, to: string): void {
    this.change({ kind: "move", from, to });
  }

  sync(): void {
    for (const change of this.#pending) apply(this.#durable, change);
    this.#pending = [];
  }

  /** S3. `seen` because a crash can leave one node under names in two directories. */
  crash(random: Random, seen: Set<SimNode>): void {
    if (seen.has(this)) return;
    seen.add(this);
    const kept = random.below(this.#pending.length + 1);
    for (const change of this.#pending.slice(0, kept)) apply(this.#durable, change);
    this.#pending = [];
    this.names = new Map(this.#durable);
    for (const node of this.names.values()) {
      if (node instanceof SimDirectory) node.crash(random, seen);
      else if (!seen.has(node)) {
        seen.add(node);
        node.crash(random);
      }
    }
  }

  change(change: NameChange): void {
    apply(this.names, change);
    this.#pending.push(change);
  }
}

function apply(names: Map<string, SimNode>, change: NameChange): void {
  switch (change.kind) {
    case "link":
      names.set(change.name, change.node);
      return;
    case "unlink":
      names.delete(change.name);
      return;
    case "move": {
      const node = names.get(change.from);
      if (node === undefined || change.from === change.to) return;
      names.delete(change.from);
      names.set(change.to, node);
    }
  }
}

class SimInode {
  #cache = new Uint8Array(0);
  #size = 0;
  /** The image: bytes behind its size are zero. */
  #image = new Uint8Array(0);
  #imageSize = 0;
  #dirty = new Set<number>();

  get size(): number {
    return this.#size;
  }

  copy(): Uint8Array {
    return this.#cache.slice(0, this.#size);
  }

  read(into: Uint8Array, position: number): number {
    const count = Math.max(0, Math.min(into.length, this.#size - position));
    into.set(this.#cache.subarray(position, position + count));
    return count;
  }

  write(bytes: Uint8Array, position: number): void {
    if (bytes.length === 0) return;
    const end = position + bytes.length;
    this.#cache = grown(this.#cache, end);
    this.#cache.set(bytes, position);
    this.#size = Math.max(this.#size, end);
    this.soil(position, end);
  }

  truncate(): void {
    this.soil(0, this.#size);
    this.#cache.fill(0, 0, this.#size);
    this.#size = 0;
  }

  sync(): void {
    this.#image = grown(this.#image, this.#size);
    for (const sector of this.#dirty) this.writeBack(sector, sectorBytes);
    this.#image.fill(0, this.#size);
    this.#imageSize = this.#size;
    this.#dirty.clear();
  }

  /** S5 */
  forget(): void {
    this.#dirty.clear();
  }

  /** S4 */
  crash(random: Random): void {
    this.#image = grown(this.#image, this.#size);
    const grew = this.#size !== this.#imageSize;
    if (grew && random.below(2) === 0) this.#imageSize = this.#size;
    for (const sector of this.#dirty) {
      const fate = random.below(5);
      if (fate < 2) continue;
      this.writeBack(sector, fate === 4 ? random.below(sectorBytes) : sectorBytes);
    }
    this.#image.fill(0, this.#imageSize);
    this.#dirty.clear();
    this.#size = this.#imageSize;
    this.#cache = this.#image.slice();
  }

  flip(position: number, mask: number): void {
    invariant(position < this.#size, "a flipped bit lies inside its file");
    this.#cache[position]! ^= mask;
    if (position < this.#imageSize) this.#image[position]! ^= mask;
  }

  soil(from: number, to: number): void {
    const last = Math.ceil(to / sectorBytes);
    for (let sector = Math.floor(from / sectorBytes); sector < last; sector++) this.#dirty.add(sector);
  }

  /** The first bytes of one cached sector reach the image; behind the cached size they are zeros. */
  writeBack(sector: number, bytes: number): void {
    const from = sector * sectorBytes;
    const end = Math.min(from + bytes, this.#image.length);
    if (end <= from) return;
    const cached = this.#cache.subarray(from, end);
    this.#image.set(cached, from);
    this.#image.fill(0, from + cached.length, end);
  }
}

/** `bytes`, or a larger copy that reaches `end`, zeros behind. */
function grown(bytes: Uint8Array<ArrayBuffer>, end: number): Uint8Array<ArrayBuffer> {
  if (bytes.length >= end) return bytes;
  const larger = new Uint8Array(Math.max(end, bytes.length * 2, sectorBytes));
  larger.set(bytes);
  return larger;
}

function split(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function diskError(code: string, doing: string, path: string): HoldfastError {
  const cause = Object.assign(new Error(`${code}: simulated`), { code });
  return code === "ENOSPC"
    ? new HoldfastError("HF_DISK_FULL", `no space left (${code}) to ${doing} ${path}: free some space`, { cause })
    : new HoldfastError("HF_IO", `cannot ${doing} ${path} (${code})`, { cause });
}
