/**
 * Messages in a ring: shorter than message-codec.ts makes them, and quicker to read. A flat record is its values behind
 * the number of its shape and a caller is a number, because both ends of a channel remember the shapes and the callers
 * that went through it.
 *
 *     0x80 | flags u8 · target type code i32 · hash of the id i32 · message id 2 × i32
 *     [caller number u32] [caller type code u32 · caller id text] · target id text
 *     shape u8 · payload to the end       0: as stored; else values, or all of it in the frame that defines the shape
 *
 * Targets are written in full. A dictionary of them per channel made frames shorter and saved a string, and was no
 * faster with 10,000 addresses (measured): what it saves in work it costs in cache lines at both ends. A caller costs
 * none: the sender has its instance at hand, and few receivers look at it.
 *
 * F1. A definition takes effect at the sender when the frame has entered the ring, and at the receiver when it takes it:
 *     both ends see definitions in ring order. A frame that is refused is forgotten, and its message goes in stored form
 *     through the outbox.
 * F2. A frame is not readable without its channel. Rows hold messages in stored form only (`store`), which may be asked
 *     for frames that are not taken yet, each once and in ring order: it reads their definitions and applies none. They
 *     are kept until their frames are taken, as a frame may lie in the ring for several epochs, and those behind it, which
 *     need its definitions, are asked for in a later one.
 * F3. What a channel remembers lives and dies with the rings of a generation.
 * F4. A caller that is remembered is an object of its own, made where no other is: V8 learns of each place in the code how
 *     long its objects live. With one place for both, the callers of single messages were made in the old generation, and
 *     kept their ids there until the next full collection.
 */
import type { ByteWriter } from "../base/bytes.js";
import { invariant } from "../base/invariant.js";
import { channelCallersMax, idLengthMax } from "../base/limits.js";
import { damaged, FieldReader, putText } from "./fields.js";
import { DECLINED, flatBytesMax, shapeLike, shapeOf } from "./flat-codec.js";
import { type Peer, writeMessageHead } from "./message-codec.js";
import type { PayloadCodec } from "./payload-codec.js";
import { type Shape, shapesMax } from "./shape.js";

/** In the first byte of a frame in this form; messages in stored form never have it. */
const compact = 0x80;
/** The caller is there in full. */
const hasCaller = 1;
const definesShape = 2;
/** The caller has a number: it stands for the caller, or the caller in full behind it is defined to have it. */
const hasCallerNumber = 4;
const knownFlags = compact | hasCaller | definesShape | hasCallerNumber;
const codeAt = 1;
const hashAt = 5;
const idHiAt = 9;
const idLoAt = 13;
/** Flags, code, hash and message id. */
const fixedBytes = 17;
const headBytesMax = fixedBytes + 4 + 2 * (4 + 3 + 2 * idLengthMax) + 1;

/** A caller as the sending end knows it. */
export interface NumberedPeer extends Peer {
  /** Names the caller in the channels of its shard, from 1 to `channelCallersMax`; 0 or none when it has no number. */
  readonly number?: number;
}

/** True when a message in a ring has this form. */
export function isCompact(bytes: Uint8Array, offset: number): boolean {
  return (bytes[offset] & compact) !== 0;
}

/** The sending end of one channel. */
export class FrameWriter {
  readonly #codec: PayloadCodec;
  readonly #shapes = new Uint8Array(shapesMax + 1);
  /** Which callers are defined, by number. */
  #callers = new Uint8Array(64);
  /** The shape and the caller whose definitions are under way; 0 when there is none. */
  #definingShape = 0;
  #definingCaller = 0;

  constructor(codec: PayloadCodec) {
    this.#codec = codec;
  }

  /**
   * Writes one message at the beginning of a writer. `commit` when it has entered the ring (F1). `known` is the shape of
   * the payload when that is known already.
   */
  write(
    writer: ByteWriter,
    code: number,
    id: string,
    hash: number,
    idHi: number,
    idLo: number,
    caller: NumberedPeer | undefined,
    payload: unknown,
    known: Shape | undefined,
  ): void {
    invariant(id.length <= idLengthMax, "ids are within their limit");
    writer.reset();
    writer.reserve(headBytesMax + flatBytesMax);
    const { memory, fields } = writer;
    fields.setInt32(codeAt, code, true);
    fields.setInt32(hashAt, hash, true);
    fields.setInt32(idHiAt, idHi, true);
    fields.setInt32(idLoAt, idLo, true);
    let flags = compact;
    let at = fixedBytes;
    this.#definingCaller = 0;
    if (caller !== undefined) {
      const number = caller.number ?? 0;
      if (number !== 0) {
        flags |= hasCallerNumber;
        fields.setInt32(at, number, true);
        at += 4;
      }
      if (number === 0 || this.#callers[number] !== 1) {
        flags |= hasCaller;
        at = this.#putCaller(fields, memory, at, caller, number);
      }
    }
    at = putText(memory, at, id);
    const shape = known ?? shapeOf(payload);
    const defined = shape !== undefined && this.#shapes[shape.number] !== 0;
    const end = defined ? shape.writeValues(payload as object, memory, at + 1) : DECLINED;
    this.#definingShape = shape === undefined || defined ? 0 : shape.number;
    if (end !== DECLINED) {
      memory[0] = flags;
      memory[at] = shape?.number ?? 0;
      writer.truncate(end);
      return;
    }
    memory[0] = this.#definingShape === 0 ? flags : flags | definesShape;
    memory[at] = this.#definingShape;
    writer.truncate(at + 1);
    this.#codec.write(payload, writer);
  }

  /** What `write` made has entered the ring: its definitions hold. */
  commit(): void {
    if (this.#definingShape !== 0) this.#shapes[this.#definingShape] = 1;
    if (this.#definingCaller !== 0) this.#defineCaller(this.#definingCaller);
  }

  #putCaller(fields: DataView, memory: Uint8Array, at: number, { code, id }: NumberedPeer, number: number): number {
    invariant(id.length <= idLengthMax, "ids are within their limit");
    invariant(number <= channelCallersMax, "numbers of callers are within their limit");
    this.#definingCaller = number;
    fields.setInt32(at, code, true);
    return putText(memory, at + 4, id);
  }

  #defineCaller(number: number): void {
    if (number >= this.#callers.length) {
      const grown = new Uint8Array(Math.max(number + 1, 2 * this.#callers.length));
      grown.set(this.#callers);
      this.#callers = grown;
    }
    this.#callers[number] = 1;
  }
}

/** The receiving end of one channel; is its own result, which holds until the next `read`. */
export class FrameReader {
  /** Signed. */
  targetCode = 0;
  targetId = "";
  /** `hashId32` of the target's id. */
  targetHash = 0;
  idHi = 0;
  idLo = 0;
  caller: Peer | undefined = undefined;
  /** Of the payload that was read last, when it is a record with one. */
  shape: Shape | undefined = undefined;
  readonly #codec: PayloadCodec;
  readonly #fields = new FieldReader();
  readonly #shapes: (Shape | undefined)[] = new Array(shapesMax + 1).fill(undefined);
  /** By number. */
  readonly #callers: (Peer | undefined)[] = [undefined];
  /** Definitions of frames that were stored and not taken (F2). A number is defined once, so they never differ. */
  readonly #shapesAhead = new Map<number, Shape>();
  readonly #callersAhead = new Map<number, Peer>();
  #shapeNumber = 0;
  #definesShape = false;
  #callerNumber = 0;
  #definesCaller = false;

  constructor(codec: PayloadCodec) {
    this.#codec = codec;
  }

  /** Reads everything before the payload. @throws `HF_STATE_DAMAGED` when it is no frame. */
  read(bytes: Uint8Array, offset: number, length: number): void {
    if (length < fixedBytes) throw damaged(offset);
    const fields = this.#fields;
    fields.reset(bytes, offset, length);
    const { view } = fields;
    const flags = bytes[offset];
    this.targetCode = view.getInt32(offset + codeAt, true);
    this.targetHash = view.getInt32(offset + hashAt, true);
    this.idHi = view.getInt32(offset + idHiAt, true);
    this.idLo = view.getInt32(offset + idLoAt, true);
    fields.at = offset + fixedBytes;
    if ((flags & ~knownFlags) !== 0) throw damaged(offset);
    const number = (flags & (hasCaller | hasCallerNumber)) === hasCallerNumber ? fields.i32() : 0;
    const caller = number > 0 && number < this.#callers.length ? this.#callers[number] : undefined;
    if (caller === undefined) this.#readCaller(flags, number);
    else {
      this.caller = caller;
      this.#definesCaller = false;
    }
    this.targetId = fields.text();
    this.#shapeNumber = fields.u8();
    this.#definesShape = (flags & definesShape) !== 0;
    if (this.targetId.length > idLengthMax) throw damaged(offset);
    fields.check();
  }

  /** Decodes the payload of the frame that was read and is being taken. The result never aliases the bytes. */
  payload(): unknown {
    if (this.#definesCaller) this.#defineCaller(this.#callerNumber);
    const number = this.#shapeNumber;
    this.shape = undefined;
    if (number !== 0 && !this.#definesShape) {
      this.shape = this.#shapes[number];
      return this.#values(this.shape);
    }
    const payload = this.#stored();
    if (number !== 0) this.#defineShape(number, this.#shapeOf(payload));
    return payload;
  }

  /** Reads a frame that is not taken, and appends it in stored form. Frames are given in ring order (F2). */
  store(writer: ByteWriter, bytes: Uint8Array, offset: number, length: number): void {
    this.read(bytes, offset, length);
    if (this.#definesCaller) this.#callersAhead.set(this.#callerNumber, this.caller as Peer);
    writeMessageHead(writer, this.targetCode, this.targetId, this.idHi, this.idLo, this.caller, undefined, 0);
    this.#codec.write(this.#payloadAhead(), writer);
  }

  /** Reads a caller that is none of those known by number; `alone` is the number, read already, that has to say it. */
  #readCaller(flags: number, alone: number): void {
    const fields = this.#fields;
    if ((flags & hasCaller) === 0) {
      this.#definesCaller = false;
      this.caller = this.callerAhead(alone);
      if (this.caller === undefined && (flags & hasCallerNumber) !== 0) throw damaged(fields.at);
      return;
    }
    this.#definesCaller = (flags & hasCallerNumber) !== 0;
    this.#callerNumber = this.#definesCaller ? fields.u32() : 0;
    if (this.#callerNumber > channelCallersMax || (this.#definesCaller && this.#callerNumber === 0)) {
      throw damaged(fields.at);
    }
    this.caller = this.#callerInFull();
  }

  /** The caller that a frame gives this number which was stored and not taken (F2). */
  callerAhead(number: number): Peer | undefined {
    return this.#callersAhead.get(number);
  }

  #defineCaller(number: number): void {
    while (this.#callers.length <= number) this.#callers.push(undefined); // no holes: those are slow
    const { code, id } = this.caller as Peer;
    this.#callers[number] = { code, id }; // F4
    this.#callersAhead.delete(number);
  }

  #defineShape(number: number, shape: Shape): void {
    this.#shapes[number] = shape;
    this.#shapesAhead.delete(number);
  }

  #callerInFull(): Peer {
    const caller = { code: this.#fields.u32(), id: this.#fields.text() };
    if (caller.id.length > idLengthMax) throw damaged(this.#fields.at);
    return caller;
  }

  #payloadAhead(): unknown {
    const number = this.#shapeNumber;
    if (number !== 0 && !this.#definesShape) return this.#values(this.#shapesAhead.get(number) ?? this.#shapes[number]);
    const payload = this.#stored();
    if (number !== 0) this.#shapesAhead.set(number, this.#shapeOf(payload));
    return payload;
  }

  #values(shape: Shape | undefined): object {
    const { bytes, at, end } = this.#fields;
    const record = shape?.readValues(bytes, at, end);
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
