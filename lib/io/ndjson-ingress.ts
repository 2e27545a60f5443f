/**
 * NDJSON files as an ingress: one JSON value per line, exactly once.
 *
 * A file is one split, or as many as `splits` says, each with every n-th block (`stripe.ts`). The position is the
 * offset of the byte after the last line taken, in the unpacked stream. The engine commits it together with everything the
 * line caused, so recovery goes on at the first line without effect.
 *
 * Owner and thread: a shard. Chunks are read in the background; `next` parses one line and never waits.
 * N1. Lines are handed out in order, each with the position after it, whatever the chunks were.
 * N2. At most two chunks are held, and one line that crosses them.
 * N3. What was read before a failure is handed out before the failure is thrown.
 */
import { isAscii, isUtf8 } from "node:buffer";
import { HoldfastError } from "../base/errors.js";
import { KiB, MiB, payloadContainersMax } from "../base/limits.js";
import { EgressDefinition } from "../model/egress.js";
import { checkIngressName } from "../model/function-type.js";
import {
  type IngressDefinition,
  type IngressItem,
  type Reject,
  type Router,
  rejectsName,
  type SplitReader,
} from "../model/ingress.js";
import { checkSchema, type Schema, validate } from "../model/schema.js";
import { type ByteSink, type ByteSource, FileSource, GzipSource } from "./byte-source.js";
import { checkOptionNames, filePath } from "./file-path.js";
import { objectsIn } from "./json-objects.js";
import { LineSplitter } from "./line-splitter.js";
import { bindNdjsonFile } from "./ndjson-egress.js";
import { Stripe } from "./stripe.js";

/** The split of a file that has but one. */
const wholeFile = "file";
/** As many as there may be shards. */
const splitsMax = 64;
const lineBytesDefault = 16 * MiB;
const lineBytesLimit = 256 * MiB;
/** What a bad record is shown with. */
const badTextBytesMax = 16 * KiB;
const replacement = "\ufffd";
const optionNames = ["path", "route", "follow", "onBadRecord", "rejects", "schema", "lineBytesMax", "splits"];

/** What `ndjsonIngress` takes. */
export interface NdjsonIngressOptions<T> {
  /** The file, `.gz` or not; relative to the working directory. */
  readonly path: string | URL;
  /** Decides which functions get a record. */
  readonly route: Router<T>;
  /** False (default): ends at the end of the file. True: goes on as the file grows, and waits for a file that does not exist yet. */
  readonly follow?: boolean;
  /** `reject` (default): a bad line goes to the reject file; `fail`: the application stops. */
  readonly onBadRecord?: "reject" | "fail";
  /** The reject file; default `<path>.rejects.ndjson`. It is made with the first reject. */
  readonly rejects?: string | URL;
  /** Checks each record; what does not fit is a bad record. */
  readonly schema?: Schema<T>;
  /** A longer line is a bad record; default 16 MiB. */
  readonly lineBytesMax?: number;
  /**
   * How many readers share the file, from 1 (default) to 64. They are dealt to the shards, so a large file is read by
   * several cores; a multiple of the shard count suits best. With more than one, lines may reach an address in another
   * order than that of the file. Not for `.gz` files. Once something was read the number stays (`HF_BAD_OPTIONS`).
   */
  readonly splits?: number;
}

/**
 * An ingress that reads a file of one JSON value per line.
 *
 * Empty lines are passed over. A last line without newline is a record at the end of a file, and is waited for with `follow`.
 *
 * @throws `HF_BAD_NAME`, `HF_BAD_OPTIONS`, `HF_BAD_SCHEMA`
 */
export function ndjsonIngress<T>(name: string, options: NdjsonIngressOptions<T>): IngressDefinition {
  checkIngressName(name);
  const settings = checkOptions(name, options);
  const names = splitNames(settings.splits);
  return {
    name,
    splits: () => names,
    refuseFormer: (split) => refuseFormer(name, split, settings.splits),
    open: (split, position, wake) =>
      new NdjsonReader(name, settings, names.indexOf(split), checkPosition(name, position), wake),
    route: options.route,
    onBadRecord: options.onBadRecord ?? "reject",
    rejects: bindNdjsonFile(new EgressDefinition<Reject>(rejectsName(name), undefined), settings.rejects, {
      whenNeeded: true,
    }),
  };
}

interface Settings {
  readonly path: string;
  readonly rejects: string;
  readonly follow: boolean;
  readonly schema: Schema<unknown> | undefined;
  readonly lineBytesMax: number;
  readonly splits: number;
}

class NdjsonReader implements SplitReader, ByteSink {
  readonly #name: string;
  readonly #schema: Schema<unknown> | undefined;
  readonly #lineBytesMax: number;
  readonly #wake: () => void;
  readonly #lines: LineSplitter;
  readonly #source: ByteSource;
  /** A chunk read ahead, given to the splitter when the one before is used up. */
  #ahead: Buffer | undefined;
  #aheadFrom = 0;
  /** The chunk that is cut into lines, when all of it is ASCII: such lines take a shorter way to text. */
  #ascii: Buffer | undefined;
  #ended = false;
  #failure: HoldfastError | undefined;
  #closed = false;

  constructor(name: string, settings: Settings, split: number, position: number, wake: () => void) {
    this.#name = name;
    this.#schema = settings.schema;
    this.#lineBytesMax = settings.lineBytesMax;
    this.#wake = wake;
    this.#lines = new LineSplitter(position, settings.lineBytesMax);
    const { path, follow, splits } = settings;
    this.#source = path.endsWith(".gz")
      ? new GzipSource(path, position, this)
      : new FileSource(path, position, new Stripe(split, splits, position), follow, this);
    this.#source.ask();
  }

  get exhausted(): boolean {
    return this.#ended && this.#ahead === undefined && this.#lines.finished;
  }

  next(): IngressItem | undefined {
    if (this.#closed) return undefined;
    const lines = this.#lines;
    for (;;) {
      if (!lines.next()) {
        if (!this.#refill()) return undefined;
      } else if (!this.#isBlank()) {
        return lines.cutLength === undefined ? this.#parse() : this.#tooLong(lines.cutLength);
      }
    }
  }

  close(): void {
    this.#closed = true;
    this.#source.close();
  }

  chunk(bytes: Buffer, from: number): void {
    this.#ahead = bytes;
    this.#aheadFrom = from;
    this.#wake();
  }

  end(): void {
    this.#ended = true;
    this.#wake();
  }

  fail(error: HoldfastError): void {
    this.#failure = new HoldfastError("HF_INGRESS_FAILED", `ingress ${this.#name}: ${textOf(error)}`, {
      cause: error.cause,
    });
    this.#wake();
  }

  /** Gives the splitter what was read ahead, or the end. False when there is nothing to give. */
  #refill(): boolean {
    const ahead = this.#ahead;
    if (ahead !== undefined) {
      this.#ahead = undefined;
      this.#ascii = isAscii(ahead) ? ahead : undefined;
      this.#lines.push(ahead, this.#aheadFrom);
      this.#source.ask(); // N2: into the chunk that was just used up
      return true;
    }
    if (this.#failure !== undefined) throw this.#failure; // N3
    if (!this.#ended) return false;
    this.#lines.end();
    return !this.#lines.finished;
  }

  #isBlank(): boolean {
    const lines = this.#lines;
    const { memory } = lines;
    if (lines.start === 0 && memory[lines.lineFrom] === 0xef) this.#skipMark();
    if (lines.cutLength !== undefined) return false;
    let at = lines.lineFrom;
    while (at < lines.lineTo && isSpace(memory[at]!)) at++;
    return at === lines.lineTo;
  }

  /** Passes over a byte order mark at the beginning of the file. */
  #skipMark(): void {
    const { memory, lineFrom, lineTo } = this.#lines;
    if (lineTo - lineFrom >= 3 && memory[lineFrom + 1] === 0xbb && memory[lineFrom + 2] === 0xbf)
      this.#lines.lineFrom += 3;
  }

  #parse(): IngressItem {
    const { memory, lineFrom, lineTo, start, after } = this.#lines;
    // An array of two bytes here takes fifty in memory, and each object takes at least one byte: short lines have no need.
    if (lineTo - lineFrom > payloadContainersMax && objectsIn(memory, lineFrom, lineTo) > payloadContainersMax) {
      return this.#bad(new Error(`the line has more than ${payloadContainersMax} arrays and objects; split it`));
    }
    const ascii = memory === this.#ascii;
    const text = memory.toString(ascii ? "latin1" : "utf8", lineFrom, lineTo);
    // Bytes that are not UTF-8 become U+FFFD, which a line may also contain by right: only then is it looked at again.
    if (!ascii && text.includes(replacement) && !isUtf8(memory.subarray(lineFrom, lineTo))) {
      return this.#bad(new Error("the line is not valid UTF-8"));
    }
    let value: unknown;
    try {
      value = JSON.parse(text);
      if (this.#schema !== undefined) value = validate(this.#schema, value, "the record");
    } catch (error) {
      return this.#bad(error instanceof Error ? error : new Error(String(error)));
    }
    return new NdjsonRecord(value, start, after);
  }

  #tooLong(length: number): IngressItem {
    return this.#bad(new Error(`the line has ${length} bytes, more than the ${this.#lineBytesMax} of lineBytesMax`));
  }

  #bad(error: Error): IngressItem {
    const { memory, lineFrom, lineTo, start, after } = this.#lines;
    const to = Math.min(lineTo, lineFrom + badTextBytesMax);
    const cut = to < lineTo || this.#lines.cutLength !== undefined;
    const shown = memory.toString("utf8", lineFrom, to);
    const text = cut ? shown.replace(/\ufffd$/, "") : shown.replace(/\r$/, ""); // a cut may go through a character
    return { kind: "bad", error, text, position: after, where: whereIs(start) };
  }
}

/** A record that was parsed. Where it was is rarely asked for. */
class NdjsonRecord {
  readonly kind = "record";
  readonly value: unknown;
  readonly position: number;
  readonly #start: number;

  constructor(value: unknown, start: number, position: number) {
    this.value = value;
    this.#start = start;
    this.position = position;
  }

  get where(): string {
    return whereIs(this.#start);
  }

  get bytes(): number {
    return this.position - this.#start;
  }
}

function whereIs(start: number): string {
  return `byte ${start}`;
}

function isSpace(byte: number): boolean {
  return byte === 0x20 || byte === 0x0d || byte === 0x09;
}

/** The message without the code in front, for use in another error of the same code. */
function textOf(error: HoldfastError): string {
  return error.message.slice(error.code.length + 2);
}

function splitNames(count: number): readonly string[] {
  return count === 1 ? [wholeFile] : Array.from({ length: count }, (_, index) => `${index + 1} of ${count}`);
}

/** Positions of other splits of the file say what was read, but not to these: they would read it again. */
function refuseFormer(name: string, split: string, splits: number): void {
  const before = split === wholeFile ? 1 : Number(/^[0-9]+ of ([0-9]+)$/.exec(split)?.[1]);
  if (Number.isNaN(before)) return; // of another connector
  throw new HoldfastError(
    "HF_BAD_OPTIONS",
    `ndjsonIngress "${name}": splits is ${splits}, but in this data directory the file was read with splits: ${before}. Go on with that, or read a file that is new to it as an ingress of another name`,
  );
}

function checkPosition(name: string, position: unknown): number {
  if (position === undefined) return 0;
  if (typeof position === "number" && Number.isSafeInteger(position) && position >= 0) return position;
  throw new HoldfastError(
    "HF_INGRESS_FAILED",
    `ingress ${name}: its committed position is not one of an NDJSON file. Another connector had this name: choose another name for this one`,
  );
}

function checkOptions<T>(name: string, options: NdjsonIngressOptions<T>): Settings {
  const what = `ndjsonIngress "${name}"`;
  checkOptionNames(options, optionNames, what);
  const { follow = false, onBadRecord = "reject", lineBytesMax = lineBytesDefault, schema, splits = 1 } = options;
  const path = filePath(options.path, `path of ${what}`);
  const rejects =
    options.rejects === undefined ? `${path}.rejects.ndjson` : filePath(options.rejects, `rejects of ${what}`);
  const refuse = (rule: string): never => {
    throw new HoldfastError("HF_BAD_OPTIONS", `${what}: ${rule}`);
  };
  if (typeof options.route !== "function") refuse("route must be a function of (record, to)");
  if (typeof follow !== "boolean") refuse("follow must be true or false");
  if (follow && path.endsWith(".gz"))
    refuse("a .gz file cannot be followed, it has no place where it grows: unpack it first");
  if (onBadRecord !== "reject" && onBadRecord !== "fail") refuse('onBadRecord must be "reject" or "fail"');
  if (!Number.isSafeInteger(lineBytesMax) || lineBytesMax < 1 || lineBytesMax > lineBytesLimit) {
    refuse(`lineBytesMax must be an integer from 1 to ${lineBytesLimit}`);
  }
  if (!Number.isInteger(splits) || splits < 1 || splits > splitsMax)
    refuse(`splits must be an integer from 1 to ${splitsMax}`);
  if (splits > 1 && path.endsWith(".gz"))
    refuse("a .gz file has one split, as it can only be unpacked from its beginning");
  if (rejects === path) refuse("rejects must be another file than path");
  if (rejects.endsWith(".gz")) refuse("rejects cannot be a .gz file: it is written as plain text");
  if (schema !== undefined) checkSchema(schema, `schema of ${what}`);
  return { path, rejects, follow, schema: schema as Schema<unknown> | undefined, lineBytesMax, splits };
}
