/**
 * Messages in a ring: shorter than message-codec.ts makes them, and quicker to read. A flat record is its values behind
 * the number of its shape, because both ends of a channel remember the shapes that went through it.
 *
 *     0x80 | flags u8 · target type code u32 · hash of the id u32 · message id 2 × u32
 *     [caller type code u32 · caller id text] · target id text
 *     shape u8 · payload to the end       0: as stored; else values, or all of it in the frame that defines the shape
 *
 * Addresses are written in full. A dictionary of them per channel made frames shorter by half and saved a string or
 * two, and was no faster with 10,000 addresses (measured): what it saves in work it costs in cache lines at both ends.
 *
 * F1. A definition takes effect at the sender when the frame has entered the ring, and at the receiver when it takes it:
 *     both ends see definitions in ring order. A frame that is refused is forgotten, and its message goes in stored form
 *     through the outbox.
 * F2. A frame is not readable without its channel. Rows hold messages in stored form only (`store`), which may be asked
 *     for frames that are not taken yet: it reads their definitions, in order, and applies none.
 * F3. What a channel remembers lives and dies with the rings of a generation.
 */
import type { ByteWriter } from "../base/bytes.js";
import { invariant } from "../base/invariant.js";
import { idLengthMax } from "../base/limits.js";
import { damaged, FieldReader, putText, putU32 } from "./fields.js";
import { DECLINED, flatBytesMax, readValues, shapeLike, shapeOf } from "./flat-codec.js";
import { type Peer, writeMessageHead } from "./message-codec.js";
import type { PayloadCodec } from "./payload-codec.js";
import { type Shape, shapesMax } from "./shape.js";

/** In the first byte of a frame in this form; messages in stored form never have it. */
const compact = 0x80;
const hasCaller = 1;
const definesShape = 2;
const knownFlags = compact | hasCaller | definesShape;
const headBytesMax = 1 + 4 + 4 + 8 + 2 * (4 + 3 + 2 * idLengthMax) + 1;

/** True when a message in a ring has this form. */
export function isCompact(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset] & compact) !== 0;
}

/** The sending end of one channel. */
export class FrameWriter {
  readonly #codec: PayloadCodec;
  readonly #defined = new Uint8Array(shapesMax + 1);
  /** The shape whose definition is under way; 0 when there is none. */
  #defining = 0;

  constructor(codec: PayloadCodec) {
    this.#codec = codec;
  }

  /** Writes one message. `commit` when it has entered the ring (F1). */
  write(
    writer: ByteWriter,
    code: number,
    id: string,
    hash: number,
    idHi: number,
    idLo: number,
    caller: Peer | undefined,
    payload: unknown,
  ): void {
    invariant(id.length <= idLengthMax, "ids are within their limit");
    invariant(caller === undefined || caller.id.length <= idLengthMax, "ids are within their limit");
    const start = writer.reserve(headBytesMax + flatBytesMax);
    const bytes = writer.memory;
    let at = putU32(bytes, putU32(bytes, start + 1, code), hash);
    at = putU32(bytes, putU32(bytes, at, idHi), idLo);
    if (caller !== undefined) at = putText(bytes, putU32(bytes, at, caller.code), caller.id);
    at = putText(bytes, at, id);
    const flags = caller === undefined ? compact : compact | hasCaller;
    bytes[start] = flags;
    const shape = shapeOf(payload);
    const defined = shape !== undefined && this.#defined[shape.number] !== 0;
    const end = defined ? shape.writeValues(payload as object, bytes, at + 1) : DECLINED;
    this.#defining = shape === undefined || defined ? 0 : shape.number;
    if (end !== DECLINED) {
      bytes[at] = shape?.number ?? 0;
      writer.truncate(end);
      return;
    }
    if (this.#defining !== 0) bytes[start] = flags | definesShape;
    bytes[at] = this.#defining;
    writer.truncate(at + 1);
    this.#codec.write(payload, writer);
  }

  /** What `write` made has entered the ring: its definition holds. */
  commit(): void {
    if (this.#defining !== 0) this.#defined[this.#defining] = 1;
  }
}

/** The receiving end of one channel; is its own result, which holds until the next `read`. */
export class FrameReader {
  targetCode = 0;
  targetId = "";
  /** `hashId` of the target's id as a signed number. */
  targetHash = 0;
  idHi = 0;
  idLo = 0;
  caller: Peer | undefined = undefined;
  readonly #codec: PayloadCodec;
  readonly #fields = new FieldReader();
  readonly #shapes: (Shape | undefined)[] = new Array(shapesMax + 1).fill(undefined);
  /** Definitions of frames that were looked at and not taken (F2). */
  readonly #ahead = new Map<number, Shape>();
  #shape = 0;
  #definesShape = false;

  constructor(codec: PayloadCodec) {
    this.#codec = codec;
  }

  /** Reads everything before the payload. @throws `HF_STATE_DAMAGED` when it is no frame. */
  read(bytes: Uint8Array, offset: number, length: number): void {
    const fields = this.#fields;
    fields.reset(bytes, offset, length);
    const flags = fields.u8();
    this.targetCode = fields.u32();
    this.targetHash = fields.i32();
    this.idHi = fields.i32();
    this.idLo = fields.i32();
    this.caller = (flags & hasCaller) === 0 ? undefined : { code: fields.u32(), id: fields.text() };
    this.targetId = fields.text();
    this.#shape = fields.u8();
    this.#definesShape = (flags & definesShape) !== 0;
    if ((flags & ~knownFlags) !== 0 || this.targetId.length > idLengthMax) throw damaged(offset);
    if (this.caller !== undefined && this.caller.id.length > idLengthMax) throw damaged(offset);
    fields.check();
  }

  /** Decodes the payload of the frame that was read and is being taken. The result never aliases the bytes. */
  payload(): unknown {
    const number = this.#shape;
    if (number !== 0 && !this.#definesShape) return this.#values(this.#shapes[number]);
    const payload = this.#stored();
    if (number !== 0) this.#shapes[number] = this.#shapeOf(payload);
    return payload;
  }

  /** Begins to look at frames that are not taken, with the next one of the channel (F2). */
  lookAhead(): void {
    this.#ahead.clear();
  }

  /** Reads a frame that is not taken, and appends it in stored form. Frames are given in ring order (F2). */
  store(writer: ByteWriter, bytes: Uint8Array, offset: number, length: number): void {
    this.read(bytes, offset, length);
    writeMessageHead(writer, this.targetCode, this.targetId, this.idHi, this.idLo, this.caller, undefined, 0);
    this.#codec.write(this.#payloadAhead(), writer);
  }

  #payloadAhead(): unknown {
    const number = this.#shape;
    if (number !== 0 && !this.#definesShape) return this.#values(this.#ahead.get(number) ?? this.#shapes[number]);
    const payload = this.#stored();
    if (number !== 0) this.#ahead.set(number, this.#shapeOf(payload));
    return payload;
  }

  #values(shape: Shape | undefined): object {
    const { bytes, at, end } = this.#fields;
    const record = shape === undefined ? undefined : readValues(shape, bytes, at, end);
    if (record === undefined) throw damaged(at);
    return record;
  }

  /** The shape that a frame with this payload defines. */
  #shapeOf(payload: unknown): Shape {
    const shape = shapeLike(payload);
    if (shape === undefined) throw damaged(this.#fields.at);
    return shape;
  }

  #stored(): unknown {
    return this.#codec.read(this.#fields.bytes, this.#fields.at, this.#fields.end);
  }
}
