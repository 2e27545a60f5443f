/**
 * What messages, state values and records may be: plain data. `copyPlain` and `freezePlain` copy and check in one
 * pass; a refusal is found again by the slow `find`, which knows the path. Thread: any, one copy at a time.
 *
 * P1. A copy shares no mutable part with its source.
 * P2. What is refused throws before anything of it is used; nothing is silently changed, except by P3, that a
 *     Buffer becomes a Uint8Array, and that a typed array over shared memory becomes one over its own.
 * P3. Properties that a plain read cannot tell from data (accessors, symbol keys, non-enumerable ones) cost ten times
 *     the copy to look for. They are looked for in every object until `trustAfter` objects with the same list of keys
 *     were clean; after that an object with that list is read like `{ a: value.a, b: value.b }`.
 * P4. What a codec makes of a copy is within `payloadBytesMax`. Nearly always a bound that is cheap to keep says so;
 *     only above it the copy is measured.
 */
import { types } from "node:util";
import { HoldfastError } from "../base/errors.js";
import { payloadBytesMax, payloadContainersMax, payloadDepthMax } from "../base/limits.js";
import { shapes } from "./flat-codec.js";
import { encodedBytes } from "./payload-size.js";
import type { RecordCopier, Shape } from "./shape.js";

const longStringUnits = 64;
const trustAfter = 100;
const trustedKeysMax = 32;
/** A scalar other than a long string, encoded, at most: a head and three bytes for each unit. */
const scalarBytesMax = 5 + 3 * longStringUnits;
/** What an object has in any case: the head, a mark, the bytes of a Date. */
const objectBytesMax = 16;
const keyListSlots = 512;
const guessSlots = 64;
const bigIntSmallMax = 1n << 64n;

/** A list of keys in the order they were set, and how many objects with it were found clean (P3). */
interface KeyList {
  readonly keys: readonly string[];
  clean: number;
  /** Set when the list is trusted. */
  copier: RecordCopier | undefined;
  /** The shape with these keys, once the list is trusted and if there is one. */
  shape: Shape | undefined;
  /** P4: at most so many bytes a record with these keys takes beside its long strings and objects. */
  readonly room: number;
}

/** Every typed array that plain data may hold. The order is frozen: the codec writes the position. */
export const typedArrayKinds = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Uint16Array,
  Int16Array,
  Uint32Array,
  Int32Array,
  Float32Array,
  Float64Array,
  BigUint64Array,
  BigInt64Array,
] as const;

type TypedArrayKind = (typeof typedArrayKinds)[number];

/** What a typed array with this prototype is copied with. */
const typedArrayPrototypes = new Map<unknown, TypedArrayKind>([
  ...typedArrayKinds.map((kind) => [kind.prototype, kind] as const),
  [Buffer.prototype, Uint8Array],
]);

/** Thrown inside the fast pass only; has no stack to collect. */
const refused = Symbol("refused");
const tooLarge = Symbol("too large");

/** Stands for "no list". */
const nobody: KeyList = { keys: [], clean: 0, copier: undefined, shape: undefined, room: 0 };
const noKeys: KeyList = { keys: [], clean: 0, copier: undefined, shape: undefined, room: 0 };
/** All known lists, by a hash of the keys; a newer list takes the slot. */
const keyLists: KeyList[] = new Array(keyListSlots).fill(nobody);
/** The list seen last, by the first key: finds the right one without a hash in nearly every case. */
const guesses: KeyList[] = new Array(guessSlots).fill(nobody);

let bytes = 0;
let containers = 0;
/** P4: at most so many bytes are there beside the long strings and what objects have in any case. */
let room = 0;
let mutable = false;
let shape: Shape | undefined;

/** A frozen copy. */
export interface Frozen<T> {
  readonly value: T;
  /** True when it has parts that cannot be frozen (Date, Map, Set, typed array): hand out a `copyPlain` of it. */
  readonly mutable: boolean;
}

/**
 * A deep copy of plain data.
 *
 * @param root what the value is, for the path in the error: `message`, `state visits`.
 * @throws `HF_BAD_VALUE` naming the path of what is not plain data; `HF_TOO_LARGE` when it cannot fit a payload.
 */
export function copyPlain<T>(value: T, root: string): T {
  bytes = 0;
  shape = undefined;
  if (typeof value === "number" || typeof value === "boolean") return value;
  containers = 0;
  room = 0;
  try {
    const copied = copy(value, 1, false) as T;
    checkSize(copied);
    return copied;
  } catch (thrown) {
    throw refusal(value, root, thrown);
  }
}

/**
 * `copyPlain` of a record that was copied or decoded before, with the shape that it was found to have: the keys are not
 * looked at again.
 */
export function copyAgain(record: unknown, known: Shape | undefined, root: string): unknown {
  const copier = known?.copier;
  if (copier === undefined) return copyPlain(record, root);
  bytes = 0;
  containers = 1;
  return copier(record as Record<string, unknown>, 1, false);
}

/** The shape of the record that this thread copied last; undefined when it was no record of a shape known by then. */
export function copiedShape(): Shape | undefined {
  return shape;
}

/**
 * A deep copy of plain data, frozen as far as it can be.
 *
 * @throws as `copyPlain` does.
 */
export function freezePlain<T>(value: T, root: string): Frozen<T> {
  bytes = 0;
  mutable = false;
  if (typeof value === "number" || typeof value === "boolean") return { value, mutable };
  containers = 0;
  room = 0;
  try {
    const copied = copy(value, 1, true) as T;
    checkSize(copied);
    return { value: copied, mutable };
  } catch (thrown) {
    throw refusal(value, root, thrown);
  }
}

/**
 * Roughly the bytes of long strings, typed arrays and big bigints in the value that this thread copied or froze last:
 * what a caller adds to its flat estimate of a message.
 */
export function estimateBytes(): number {
  return bytes;
}

function copy(value: unknown, depth: number, freeze: boolean): unknown {
  switch (typeof value) {
    case "number":
    case "boolean":
    case "undefined":
      return value;
    case "string":
      if (value.length > longStringUnits) weigh(value.length);
      return value;
    case "object":
      return value === null ? null : copyObject(value, depth, freeze);
    case "bigint":
      if (value > bigIntSmallMax || value < -bigIntSmallMax) weigh(value.toString(16).length >>> 1);
      return value;
    default:
      throw refused;
  }
}

function weigh(count: number): void {
  bytes += count;
  if (bytes > payloadBytesMax) throw tooLarge;
}

/** P4 */
function checkSize(copied: unknown): void {
  if (3 * bytes + room + objectBytesMax * containers <= payloadBytesMax) return;
  if (encodedBytes(copied) > payloadBytesMax) throw tooLarge;
}

function copyObject(value: object, depth: number, freeze: boolean): unknown {
  if (depth > payloadDepthMax) throw refused;
  if (++containers > payloadContainersMax) throw tooLarge;
  if (value.constructor === Object) return copyRecord(value as Record<string, unknown>, depth, freeze);
  if (Array.isArray(value)) return copyArray(value, depth, freeze);
  return copyOther(value, depth, freeze);
}

function copyRecord(source: Record<string, unknown>, depth: number, freeze: boolean): unknown {
  let list = noKeys;
  let count = 0;
  for (const key in source) {
    if (count === 0) list = guesses[guessSlot(key)]!;
    if (list.keys[count] !== key) {
      list = nobody;
      break;
    }
    count++;
  }
  const trusted = list.copier !== undefined && list.keys.length === count;
  const target = trusted ? list.copier!(source, depth, freeze) : copyUnknownRecord(source, depth, freeze);
  if (freeze) Object.freeze(target);
  if (trusted) room += list.room;
  if (trusted && depth === 1) shape = list.shape;
  return target;
}

function guessSlot(key: string): number {
  return key.length === 0 ? 0 : (key.charCodeAt(0) + key.length * 7) & (guessSlots - 1);
}

/** P3: a record whose list of keys is not trusted, or is not the one guessed. */
function copyUnknownRecord(source: Record<string, unknown>, depth: number, freeze: boolean): object {
  const keys = Object.keys(source);
  const list = keys.length > trustedKeysMax ? nobody : keyListOf(keys);
  if (list.copier !== undefined) {
    room += list.room;
    return list.copier(source, depth, freeze);
  }
  if (!isPlainRecord(source, keys)) throw refused;
  if (list !== nobody && ++list.clean >= trustAfter) trust(list);
  return copyKeys(source, keys, {}, depth, freeze);
}

function trust(list: KeyList): void {
  list.copier = makeCopier(list.keys);
  list.shape = shapes.withKeys(list.keys);
  if (list.shape !== undefined) list.shape.copier = list.copier;
}

function copyKeys(
  source: Record<string, unknown>,
  keys: readonly string[],
  target: Record<string, unknown>,
  depth: number,
  freeze: boolean,
): object {
  room += roomOf(keys);
  for (const key of keys) {
    const part = copy(source[key], depth + 1, freeze);
    // Assigning `__proto__` would set the prototype instead.
    if (key === "__proto__") {
      Object.defineProperty(target, key, { value: part, writable: true, enumerable: true, configurable: true });
    } else target[key] = part;
  }
  return target;
}

/** P4: a head and the key, and a value, for each. */
function roomOf(keys: readonly string[]): number {
  let most = (5 + scalarBytesMax) * keys.length;
  for (const key of keys) most += 3 * key.length;
  return most;
}

function keyListOf(keys: readonly string[]): KeyList {
  if (keys.length === 0) return noKeys;
  const slot = keyListSlot(keys);
  let list = keyLists[slot]!;
  if (!sameKeys(list.keys, keys)) {
    list = { keys, clean: 0, copier: undefined, shape: undefined, room: roomOf(keys) };
    keyLists[slot] = list;
  }
  guesses[guessSlot(keys[0]!)] = list;
  return list;
}

/**
 * A copier for records with just these keys. Compiled, because only an object made by a literal is both cheap to make
 * and cheap to freeze (measured against a loop: 27 to 74 ns, frozen 60 to 120; against a frozen spread: 60 to 400).
 */
function makeCopier(keys: readonly string[]): RecordCopier {
  const generic: RecordCopier = (source, depth, freeze) => copyKeys(source, keys, {}, depth, freeze);
  if (keys.includes("__proto__")) return generic;
  const names = keys.map((key) => JSON.stringify(key));
  const reads = names.map(
    (name, i) =>
      `let p${i} = source[${name}]; ` +
      `if (typeof p${i} !== "number" && (typeof p${i} !== "string" || p${i}.length > ${longStringUnits})) ` +
      `p${i} = copy(p${i}, depth + 1, freeze);`,
  );
  const literal = names.map((name, i) => `${name}: p${i}`).join(", ");
  try {
    const make = new Function(
      "copy",
      `return (source, depth, freeze) => { ${reads.join("\n")}\n return { ${literal} }; };`,
    );
    return make(copy) as RecordCopier;
  } catch {
    return generic; // the process forbids code from strings
  }
}

function keyListSlot(keys: readonly string[]): number {
  let h = keys.length;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]!;
    h =
      (Math.imul(h, 31) +
        key.length * 7 +
        (key.length === 0 ? 0 : key.charCodeAt(0) + key.charCodeAt(key.length - 1))) |
      0;
  }
  return (h ^ (h >>> 9)) & (keyListSlots - 1);
}

function sameKeys(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** True for an object with a plain prototype and nothing but enumerable data properties under `keys`. */
function isPlainRecord(source: object, keys: readonly string[]): boolean {
  const prototype = Object.getPrototypeOf(source);
  if (prototype !== Object.prototype && prototype !== null) return false;
  if (Object.getOwnPropertyNames(source).length !== keys.length) return false;
  if (Object.getOwnPropertySymbols(source).length !== 0) return false;
  for (const key of keys) {
    const property = Object.getOwnPropertyDescriptor(source, key);
    if (property === undefined || property.get !== undefined || property.set !== undefined) return false;
  }
  return true;
}

function copyArray(source: unknown[], depth: number, freeze: boolean): unknown {
  const { length } = source;
  if (length > payloadBytesMax) throw tooLarge;
  if (!isPlainArray(source)) throw refused; // also: no holes, so the copy below is dense
  room += scalarBytesMax * length;
  const target = source.slice();
  for (let i = 0; i < length; i++) {
    const part = target[i];
    if (typeof part === "number") continue;
    const copied = copy(part, depth + 1, freeze);
    if (copied !== part) target[i] = copied;
  }
  if (freeze) Object.freeze(target);
  return target;
}

/** True for an Array (no subclass) without holes and without properties beside its elements. */
function isPlainArray(source: unknown[]): boolean {
  return (
    Object.getPrototypeOf(source) === Array.prototype &&
    Object.keys(source).length === source.length &&
    Object.getOwnPropertySymbols(source).length === 0
  );
}

function copyOther(value: object, depth: number, freeze: boolean): unknown {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === null) return copyBareRecord(value as Record<string, unknown>, depth, freeze);
  if (prototype === Object.prototype) return copyRecord(value as Record<string, unknown>, depth, freeze); // own `constructor`
  const kind = typedArrayPrototypes.get(prototype);
  if (kind !== undefined && types.isTypedArray(value)) return copyTypedArray(value, kind);
  if (Reflect.ownKeys(value).length !== 0) throw refused;
  mutable = true;
  if (prototype === Date.prototype && types.isDate(value)) return new Date(value.getTime());
  if (prototype === Map.prototype && types.isMap(value)) return copyMap(value, depth);
  if (prototype === Set.prototype && types.isSet(value)) return copySet(value, depth);
  throw refused;
}

function copyBareRecord(source: Record<string, unknown>, depth: number, freeze: boolean): unknown {
  const keys = Object.keys(source);
  if (!isPlainRecord(source, keys)) throw refused;
  const target = copyKeys(source, keys, Object.create(null), depth, freeze);
  if (freeze) Object.freeze(target);
  return target;
}

function copyTypedArray(source: NodeJS.TypedArray, kind: TypedArrayKind): unknown {
  weigh(source.byteLength);
  mutable = true;
  return new kind(source as never);
}

/** What is inside a Map or Set is never frozen: it is handed out as a copy anyway. */
function copyMap(source: ReadonlyMap<unknown, unknown>, depth: number): unknown {
  const target = new Map<unknown, unknown>();
  room += 2 * scalarBytesMax * source.size;
  Map.prototype.forEach.call(source, (part, key) => {
    target.set(copy(key, depth + 1, false), copy(part, depth + 1, false));
  });
  return target;
}

function copySet(source: ReadonlySet<unknown>, depth: number): unknown {
  const target = new Set<unknown>();
  room += scalarBytesMax * source.size;
  Set.prototype.forEach.call(source, (part) => {
    target.add(copy(part, depth + 1, false));
  });
  return target;
}

/** Where a walk for the reason of a refusal is. */
interface Place {
  readonly value: object;
  readonly outer: Place | undefined;
  readonly depth: number;
}

interface Finding {
  readonly path: string;
  readonly what: string;
}

/** The error for a value that the fast pass refused. */
function refusal(value: unknown, root: string, thrown: unknown): HoldfastError {
  if (thrown === tooLarge) {
    return new HoldfastError(
      "HF_TOO_LARGE",
      `${root} is too large: at most ${payloadBytesMax} bytes and ${payloadContainersMax} objects; split it, or keep it elsewhere and send a reference`,
    );
  }
  let found: Finding | undefined;
  let cause = thrown === refused ? undefined : thrown;
  try {
    found = find(value, root, undefined);
  } catch (again) {
    cause ??= again;
  }
  const { path, what } = found ?? {
    path: root,
    what: cause === undefined ? "not plain data" : "a value that throws when it is read",
  };
  return new HoldfastError(
    "HF_BAD_VALUE",
    `${path} is ${what}: only plain data can be sent and stored (numbers, strings, booleans, null, undefined, bigint, ` +
      "Date, Map, Set, typed arrays, arrays and plain objects)",
    { cause },
  );
}

/** The first part of a value that is not plain data. Slow: runs only when the fast pass has refused. */
function find(value: unknown, path: string, outer: Place | undefined): Finding | undefined {
  if (typeof value === "function") return { path, what: `a function${value.name === "" ? "" : ` (${value.name})`}` };
  if (typeof value === "symbol") return { path, what: "a symbol" };
  if (typeof value !== "object" || value === null) return undefined;
  for (let at = outer; at !== undefined; at = at.outer) {
    if (at.value === value) return { path, what: "a reference back to an object that holds it (a cycle)" };
  }
  const place: Place = { value, outer, depth: (outer?.depth ?? 0) + 1 };
  if (place.depth > payloadDepthMax) return { path, what: `nested deeper than ${payloadDepthMax}` };
  if (types.isProxy(value) && !Array.isArray(value) && !isRecord(value)) return { path, what: "a Proxy" };
  if (Array.isArray(value)) return findInArray(value, path, place);
  if (isRecord(value)) return findInRecord(value, path, place);
  return findInOther(value, path, place);
}

function isRecord(value: object): value is Record<string, unknown> {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function findInArray(source: unknown[], path: string, place: Place): Finding | undefined {
  if (Object.getPrototypeOf(source) !== Array.prototype) return { path, what: `an instance of ${className(source)}` };
  const keys = Object.keys(source);
  for (let i = 0; i < source.length; i++) {
    if (keys[i] !== String(i)) return { path: `${path}[${i}]`, what: "a hole in a sparse array" };
    const found = find(source[i], `${path}[${i}]`, place);
    if (found !== undefined) return found;
  }
  const extra = keys[source.length] ?? Object.getOwnPropertySymbols(source)[0];
  return extra === undefined ? undefined : { path: member(path, extra), what: "an extra property of an array" };
}

function findInRecord(source: object, path: string, place: Place): Finding | undefined {
  for (const key of Reflect.ownKeys(source)) {
    const property = Object.getOwnPropertyDescriptor(source, key);
    const at = member(path, key);
    if (typeof key === "symbol") return { path: at, what: "a property with a symbol as its key" };
    if (property === undefined) continue;
    if (!("value" in property)) return { path: at, what: "an accessor (get or set)" };
    if (!property.enumerable) return { path: at, what: "a property that is not enumerable" };
    const found = find(property.value, at, place);
    if (found !== undefined) return found;
  }
  return undefined;
}

function findInOther(source: object, path: string, place: Place): Finding | undefined {
  const prototype = Object.getPrototypeOf(source);
  if (types.isTypedArray(source) && typedArrayPrototypes.has(prototype)) return undefined;
  const isMap = prototype === Map.prototype && types.isMap(source);
  const isSet = prototype === Set.prototype && types.isSet(source);
  if (!isMap && !isSet && !(prototype === Date.prototype && types.isDate(source))) {
    return { path, what: `an instance of ${className(source)}` };
  }
  const extra = Reflect.ownKeys(source)[0];
  if (extra !== undefined) return { path: member(path, extra), what: `an extra property of a ${className(source)}` };
  if (isMap) return findInMap(source as Map<unknown, unknown>, path, place);
  return isSet ? findInSet(source as Set<unknown>, path, place) : undefined;
}

function findInMap(source: Map<unknown, unknown>, path: string, place: Place): Finding | undefined {
  let index = 0;
  for (const [key, part] of source) {
    const name = typeof key === "string" || typeof key === "number" ? JSON.stringify(key) : `key ${index}`;
    const found = find(key, `${path}.key(${index})`, place) ?? find(part, `${path}.get(${name})`, place);
    if (found !== undefined) return found;
    index++;
  }
  return undefined;
}

function findInSet(source: Set<unknown>, path: string, place: Place): Finding | undefined {
  let index = 0;
  for (const part of source) {
    const found = find(part, `${path}.item(${index})`, place);
    if (found !== undefined) return found;
    index++;
  }
  return undefined;
}

function member(path: string, key: string | symbol): string {
  if (typeof key === "symbol") return `${path}[${String(key)}]`;
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
}

function className(value: object): string {
  const name: unknown = (value.constructor as { name?: unknown } | undefined)?.name;
  return typeof name === "string" && name !== "" ? name : "an unnamed class";
}
