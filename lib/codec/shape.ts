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

/** Reads a value of any kind that a record may have. */
export interface ValueReader {
  /** Where the value is; after `read` where the next one is, or a negative number when it was none. */
  at: number;
  /** Where the record ends. */
  end: number;
  read(bytes: Uint8Array): unknown;
  /** A text of ASCII characters, undefined when it is none. */
  text(bytes: Uint8Array, at: number, length: number): string | undefined;
}

/** Copies, and checks, the values of a record whose keys are known. */
export type RecordCopier = (source: Record<string, unknown>, depth: number, freeze: boolean) => object;

export class Shape {
  readonly number: number;
  readonly keys: readonly string[];
  /** Per key: its MessagePack head and its bytes. */
  readonly keyBytes: readonly Uint8Array[];
  /** Writes the values of a record of this shape in the order of the keys; returns the end, or a negative number. */
  readonly writeValues: (record: object, bytes: Uint8Array, at: number) => number;
  /** A record with the values between two offsets, in the order of the keys; undefined when they do not end there. */
  readonly readValues: (bytes: Uint8Array, at: number, end: number) => object | undefined;
  readonly make: (values: readonly unknown[]) => object;
  /** Copies a record of this shape that was found clean before; undefined until plain-data.ts trusts the keys. */
  copier: RecordCopier | undefined = undefined;

  constructor(number: number, keys: readonly string[], write: WriteValue, reader: ValueReader) {
    this.number = number;
    this.keys = keys;
    this.keyBytes = keys.map((key) => Uint8Array.of(0xa0 | key.length, ...Buffer.from(key, "latin1")));
    const { writeValues, readValues, make } = compiled(keys, write, reader) ?? interpreted(keys, write, reader);
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
  readonly #reader: ValueReader;

  constructor(write: WriteValue, reader: ValueReader) {
    this.#write = write;
    this.#reader = reader;
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
    return areOfShape(keys) ? new Shape(0, keys, this.#write, this.#reader) : undefined;
  }

  #learn(keys: readonly string[]): Shape | undefined {
    if (this.#byNumber.length >= shapesMax) return undefined;
    const shape = new Shape(this.#byNumber.length + 1, keys, this.#write, this.#reader);
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
 * of a shape share one hidden class. Numbers from 0 to 127 and texts of up to 31 characters are written and read in
 * line: V8 inlines only so much, and a call per value cost a fifth of a message. Undefined where the process forbids
 * code from strings.
 */
function compiled(keys: readonly string[], write: WriteValue, reader: ValueReader): Accessors | undefined {
  const names = keys.map((key) => JSON.stringify(key));
  const fromReads = names.map((name, i) => `${name}: v${i}`).join(", ");
  const fromValues = names.map((name, i) => `${name}: values[${i}]`).join(", ");
  try {
    return new Function(
      "write",
      "reader",
      `return {
        writeValues(record, bytes, at) { ${names.map(writeInLine).join("\n")} return at; },
        readValues(bytes, at, end) {
          ${names.map((_, i) => readInLine(i)).join("\n")}
          return at === end ? { ${fromReads} } : undefined;
        },
        make(values) { return { ${fromValues} }; },
      };`,
    )(write, reader) as Accessors;
  } catch {
    return undefined;
  }
}

function writeInLine(name: string, i: number): string {
  return `
    const v${i} = record[${name}];
    if (typeof v${i} === "number" && v${i} > 0 && v${i} < 128 && (v${i} | 0) === v${i}) bytes[at++] = v${i};
    else if (typeof v${i} === "string" && v${i}.length < 32) {
      const length = v${i}.length;
      bytes[at++] = 0xa0 | length;
      for (let i = 0; i < length; i++) {
        const unit = v${i}.charCodeAt(i);
        if (unit > 0x7f) return -1;
        bytes[at + i] = unit;
      }
      at += length;
    } else {
      at = write(v${i}, bytes, at);
      if (at < 0) return -1;
    }`;
}

function readInLine(i: number): string {
  return `
    let v${i};
    const h${i} = at < end ? bytes[at] : -1;
    if (h${i} < 0) return undefined;
    if (h${i} < 0x80) {
      v${i} = h${i};
      at++;
    } else if (h${i} >= 0xa0 && h${i} < 0xc0) {
      const length = h${i} & 0x1f;
      if (at + 1 + length > end) return undefined;
      v${i} = reader.text(bytes, at + 1, length);
      if (v${i} === undefined) return undefined;
      at += 1 + length;
    } else {
      reader.at = at;
      reader.end = end;
      v${i} = reader.read(bytes);
      at = reader.at;
      if (at < 0) return undefined;
    }`;
}

function interpreted(keys: readonly string[], write: WriteValue, reader: ValueReader): Accessors {
  return {
    writeValues(record, bytes, at) {
      let end = at;
      for (let i = 0; i < keys.length && end >= 0; i++) {
        end = write((record as Record<string, unknown>)[keys[i]], bytes, end);
      }
      return end;
    },
    readValues(bytes, at, end) {
      reader.at = at;
      reader.end = end;
      const record = Object.fromEntries(keys.map((key) => [key, reader.read(bytes)]));
      return reader.at === end ? record : undefined;
    },
    make: (values) => Object.fromEntries(keys.map((key, i) => [key, values[i]])),
  };
}
