/**
 * Shapes: the lists of keys of small flat records, learned from the records themselves. A record of a known shape is
 * read and written by code made for it.
 *
 * Owner: one thread.
 * S1. A shape is for 1 to 15 keys of 1 to 31 ASCII characters, none of them `__proto__`.
 * S2. Shapes are numbered from 1 in the order they were learned; a number never changes its meaning on its thread.
 * S3. At most `shapesMax` are learned: records with keys made of data must not fill the memory.
 */

/** Highest number of a shape, so that it fits a byte. */
export const shapesMax = 255;

const keysMax = 15;
const keyUnitsMax = 31;

/** Writes a value at an offset; returns the end, or a negative number to decline. */
export type WriteValue = (value: unknown, bytes: Uint8Array, at: number) => number;
/** Reads the next value. */
export type ReadValue = (bytes: Uint8Array) => unknown;

export class Shape {
  readonly number: number;
  readonly keys: readonly string[];
  /** Per key: its MessagePack head and its bytes. */
  readonly keyBytes: readonly Uint8Array[];
  /** Writes the values of a record of this shape in the order of the keys; returns the end, or a negative number. */
  readonly writeValues: (record: object, bytes: Uint8Array, at: number) => number;
  /** A record with values read one by one in the order of the keys. */
  readonly readValues: (bytes: Uint8Array) => object;
  readonly make: (values: readonly unknown[]) => object;

  constructor(number: number, keys: readonly string[], write: WriteValue, read: ReadValue) {
    this.number = number;
    this.keys = keys;
    this.keyBytes = keys.map((key) => Uint8Array.of(0xa0 | key.length, ...Buffer.from(key, "latin1")));
    const { writeValues, readValues, make } = compiled(keys, write, read) ?? interpreted(keys, write, read);
    this.writeValues = writeValues;
    this.readValues = readValues;
    this.make = make;
  }
}

/** A place in the tree of all keys of all shapes in their order. */
class Branch {
  shape: Shape | undefined = undefined;
  /** The key asked for last and its branch: most records of a kind are alike. */
  key = "";
  next: Branch | undefined = undefined;
  readonly others = new Map<string, Branch>();

  at(key: string): Branch | undefined {
    if (this.key === key) return this.next;
    const next = this.others.get(key);
    if (next === undefined) return undefined;
    this.key = key;
    this.next = next;
    return next;
  }
}

/** All shapes of a thread. */
export class Shapes {
  readonly #root = new Branch();
  readonly #byNumber: Shape[] = [];
  readonly #write: WriteValue;
  readonly #read: ReadValue;

  constructor(write: WriteValue, read: ReadValue) {
    this.#write = write;
    this.#read = read;
  }

  /** The shape of a plain object, if it is known. */
  of(record: object): Shape | undefined {
    let branch: Branch | undefined = this.#root;
    for (const key in record) {
      branch = branch.at(key);
      if (branch === undefined) return undefined;
    }
    return branch.shape;
  }

  /** The shape with these keys, learned if need be; undefined when there can be none (S1, S3). */
  withKeys(keys: readonly string[]): Shape | undefined {
    if (!areOfShape(keys)) return undefined;
    let branch = this.#root;
    for (const key of keys) {
      let next = branch.others.get(key);
      if (next === undefined) {
        if (this.#byNumber.length >= shapesMax) return undefined;
        next = new Branch();
        branch.others.set(key, next);
      }
      branch = next;
    }
    branch.shape ??= this.#learn(keys);
    return branch.shape;
  }

  /** A shape that is not learned and has no number; undefined when there can be none (S1). */
  alone(keys: readonly string[]): Shape | undefined {
    return areOfShape(keys) ? new Shape(0, keys, this.#write, this.#read) : undefined;
  }

  #learn(keys: readonly string[]): Shape | undefined {
    if (this.#byNumber.length >= shapesMax) return undefined;
    const shape = new Shape(this.#byNumber.length + 1, keys, this.#write, this.#read);
    this.#byNumber.push(shape);
    return shape;
  }
}

/** S1 */
function areOfShape(keys: readonly string[]): boolean {
  return keys.length > 0 && keys.length <= keysMax && keys.every(isShortKey);
}

function isShortKey(key: string): boolean {
  if (key.length === 0 || key.length > keyUnitsMax || key === "__proto__") return false;
  for (let i = 0; i < key.length; i++) if (key.charCodeAt(i) > 0x7f) return false;
  return true;
}

type Accessors = Pick<Shape, "writeValues" | "readValues" | "make">;

/**
 * Code for these keys: named properties are read and literals made many times faster than key by key, and all records
 * of a shape share one hidden class. Undefined where the process forbids code from strings.
 */
function compiled(keys: readonly string[], write: WriteValue, read: ReadValue): Accessors | undefined {
  const names = keys.map((key) => JSON.stringify(key));
  const writes = names.map((name) => `at = write(record[${name}], bytes, at); if (at < 0) return at;`);
  const reads = names.map((_, i) => `const v${i} = read(bytes);`);
  const fromReads = names.map((name, i) => `${name}: v${i}`).join(", ");
  const fromValues = names.map((name, i) => `${name}: values[${i}]`).join(", ");
  try {
    return new Function(
      "write",
      "read",
      `return {
        writeValues(record, bytes, at) { ${writes.join("\n")} return at; },
        readValues(bytes) { ${reads.join("\n")} return { ${fromReads} }; },
        make(values) { return { ${fromValues} }; },
      };`,
    )(write, read) as Accessors;
  } catch {
    return undefined;
  }
}

function interpreted(keys: readonly string[], write: WriteValue, read: ReadValue): Accessors {
  return {
    writeValues(record, bytes, at) {
      let end = at;
      for (let i = 0; i < keys.length && end >= 0; i++) {
        end = write((record as Record<string, unknown>)[keys[i]], bytes, end);
      }
      return end;
    },
    readValues: (bytes) => Object.fromEntries(keys.map((key) => [key, read(bytes)])),
    make: (values) => Object.fromEntries(keys.map((key, i) => [key, values[i]])),
  };
}
