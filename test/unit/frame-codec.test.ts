import assert from "node:assert/strict";
import test, { describe } from "node:test";
import fc from "fast-check";
import { ByteWriter } from "../../lib/base/bytes.js";
import { HoldfastError, isHoldfastError } from "../../lib/base/errors.js";
import { channelCallersMax, idLengthMax } from "../../lib/base/limits.js";
import { shapeOf } from "../../lib/codec/flat-codec.js";
import { FrameReader, FrameWriter, isCompact, type NumberedPeer } from "../../lib/codec/frame-codec.js";
import { type Peer, writeMessageHead } from "../../lib/codec/message-codec.js";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { copyPlain } from "../../lib/codec/plain-data.js";
import { shapesMax } from "../../lib/codec/shape.js";
import { hashId } from "../../lib/partition/hash.js";
import { anyText, isSame, plainData, recordOf } from "../property/plain-data.arbitrary.js";

interface Sent {
  readonly code: number;
  readonly id: string;
  readonly idHi: number;
  readonly idLo: number;
  readonly caller: Peer | undefined;
  readonly payload: unknown;
}

interface Frame {
  readonly bytes: Uint8Array;
  readonly sent: Sent;
}

const codec = new PayloadCodec();
/** Flags, code, hash and message id. */
const fixedBytes = 17;
const definesShape = 2;

function sentOf(payload: unknown, id = "a", caller?: Peer): Sent {
  return { code: 1, id, idHi: 2, idLo: -3, caller, payload };
}

function textBytes(text: string): number {
  return 3 + (/[\u0100-\uffff]/.test(text) ? 2 : 1) * text.length;
}

/** Where a frame says the number of its shape. */
function shapeAt({ id, caller }: Sent): number {
  return fixedBytes + (caller === undefined ? 0 : 4 + textBytes(caller.id)) + textBytes(id);
}

/** The sending end in another thread: the numbers of its shapes are not those of this thread. */
class Sender {
  readonly #frames = new FrameWriter(new PayloadCodec());
  readonly #numbered: ((caller: Peer) => number) | undefined;

  /** With `numbered`, which gives each caller its number, 0 for none. */
  constructor(numbered?: (caller: Peer) => number) {
    this.#numbered = numbered;
  }

  write(sent: Sent): Uint8Array {
    const writer = new ByteWriter();
    const { code, id, idHi, idLo, caller, payload } = sent;
    this.#frames.write(writer, code, id, hashId(id), idHi, idLo, this.#asNumbered(caller), payload, undefined);
    const bytes = writer.take();
    if (this.#numbered !== undefined) return bytes;
    const at = shapeAt(sent);
    if (bytes[at] !== 0) bytes[at] = shapesMax + 1 - bytes[at];
    return bytes;
  }

  #asNumbered(caller: Peer | undefined): NumberedPeer | undefined {
    return caller && { ...caller, number: this.#numbered?.(caller) ?? 0 };
  }

  /** A frame that enters the ring. */
  send(sent: Sent): Uint8Array {
    const bytes = this.write(sent);
    this.#frames.commit();
    return bytes;
  }
}

function storedForm({ code, id, idHi, idLo, caller, payload }: Sent): Uint8Array {
  const writer = new ByteWriter();
  writeMessageHead(writer, code, id, idHi, idLo, caller, undefined, 0);
  codec.write(payload, writer);
  return writer.take();
}

function assertHead(reader: FrameReader, sent: Sent): void {
  assert.equal(reader.targetCode >>> 0, sent.code);
  assert.equal(reader.targetId, sent.id);
  assert.equal(reader.targetHash, hashId(sent.id) | 0);
  assert.equal(reader.idHi, sent.idHi);
  assert.equal(reader.idLo, sent.idLo);
  assert.deepEqual(reader.caller, sent.caller);
}

function assertTaken(reader: FrameReader, { bytes, sent }: Frame): void {
  reader.read(bytes, 0, bytes.length);
  const payload = reader.payload();
  bytes.fill(0xff); // the ring is written again
  assertHead(reader, sent);
  assert.ok(isSame(payload, sent.payload));
}

function assertStored(reader: FrameReader, { bytes, sent }: Frame): void {
  const writer = new ByteWriter();
  writer.u8(0xaa);
  reader.store(writer, bytes, 0, bytes.length);
  assertHead(reader, sent);
  assert.deepEqual(writer.take().subarray(1), storedForm(sent));
}

/** In a ring, whose memory is shared and goes on behind the frame. */
function inRing(bytes: Uint8Array): Uint8Array {
  const shared = new Uint8Array(new SharedArrayBuffer(bytes.length));
  shared.set(bytes);
  return shared;
}

function payloadOf(reader: FrameReader, bytes: Uint8Array): unknown {
  reader.read(bytes, 0, bytes.length);
  return reader.payload();
}

function isDamage(error: unknown): boolean {
  return isHoldfastError(error, "HF_STATE_DAMAGED");
}

function assertDamaged(reader: FrameReader, bytes: Uint8Array, length = bytes.length): void {
  const taken = (): unknown => {
    reader.read(bytes, 0, length);
    return reader.payload();
  };
  assert.throws(taken, isDamage);
  assert.throws(() => reader.store(new ByteWriter(), bytes, 0, length), isDamage);
}

/** Frames on their way to a reader, which looks ahead at each at most once, before it takes it. */
class Way {
  readonly #reader = new FrameReader(new PayloadCodec());
  readonly #frames: Frame[] = [];
  #looked = 0;

  push(frame: Frame): void {
    this.#frames.push(frame);
  }

  /** Looks at the next frames, those among the first `most` that were not looked at. */
  look(most: number): void {
    for (; this.#looked < Math.min(most, this.#frames.length); this.#looked++) {
      assertStored(this.#reader, this.#frames[this.#looked]);
    }
  }

  take(): void {
    const frame = this.#frames.shift();
    if (frame === undefined) return;
    assertTaken(this.#reader, frame);
    this.#looked = Math.max(0, this.#looked - 1);
  }

  takeAll(): void {
    while (this.#frames.length > 0) this.take();
  }
}

/** Taken or looked at, bytes give plain data or the error for damage. */
function assertReadSafely(reader: FrameReader, bytes: Uint8Array, offset: number, length: number): void {
  const attempts = [
    () => reader.store(new ByteWriter(), bytes, offset, length),
    () => {
      reader.read(bytes, offset, length);
      copyPlain(reader.payload(), "payload");
    },
  ];
  for (const attempt of attempts) {
    try {
      attempt();
    } catch (error) {
      assert.ok(error instanceof HoldfastError && error.code === "HF_STATE_DAMAGED", String(error));
    }
  }
}

/** Key lists that frames have in common: equal, sharing their first keys, in another order, with odd keys. */
const keyLists = [
  ["n"],
  ["n", "text"],
  ["text", "n"],
  ["n", "text", "more"],
  ["type", "a"],
  ["type", "b"],
  ["7", "x"],
  ['"', "\\", "\n", "]"],
  ["toString", "hasOwnProperty"],
];
for (const keys of keyLists)
  shapeOf(
    recordOf(
      keys.map((key) => [key, 0] as const),
      false,
    ),
  );

const anyScalar = fc.oneof(
  { weight: 4, arbitrary: fc.integer() },
  { weight: 2, arbitrary: fc.double({ noNaN: true }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(0, 127, 128, 255, 256, 65_535, 65_536, 2 ** 31 - 1, 2 ** 31, -32, -33, -128, -129),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom(-32_768, -32_769, -(2 ** 31), 2 ** 53, Number.NaN, Number.NEGATIVE_INFINITY),
  },
  { weight: 3, arbitrary: fc.string({ maxLength: 40 }) },
  { weight: 1, arbitrary: fc.nat({ max: 260 }).map((length) => "x".repeat(length)) },
  { weight: 2, arbitrary: fc.constantFrom<unknown>(true, false, null, "") },
);
/** What makes a record of a shape one that is not flat. */
const anyBut = fc.oneof(fc.constantFrom<unknown>(undefined, -0, 5n, "é", "\ud800", new Map([[1, 2]])), plainData);
const anyRecord = fc
  .tuple(
    fc.constantFrom(...keyLists),
    fc.array(anyScalar, { minLength: 4, maxLength: 4 }),
    fc.option(anyBut, { freq: 6, nil: "none" }),
  )
  .map(([keys, values, but]) =>
    recordOf(
      keys.map((key, i) => [key, i === 0 && but !== "none" ? but : values[i]] as const),
      false,
    ),
  );
const anyPayload = fc.oneof({ weight: 4, arbitrary: anyRecord }, { weight: 2, arbitrary: plainData });
const anyId = fc.oneof(
  fc.constantFrom("", "\0", "\ud800", "\udc00\ud800", "é", "中", "user-1234", "x".repeat(idLengthMax)),
  fc.constantFrom("中".repeat(idLengthMax), `${"x".repeat(16)}\x80`, "\xff".repeat(17)),
  anyText,
);
const anyCode = fc.nat(0xffff_ffff);
const anyCaller = fc.option(fc.record<Peer>({ code: anyCode, id: anyId }, { noNullPrototype: true }), {
  nil: undefined,
});
const anySent: fc.Arbitrary<Sent> = fc.record({
  code: anyCode,
  id: anyId,
  idHi: fc.integer(),
  idLo: fc.integer(),
  caller: anyCaller,
  payload: anyPayload,
});

describe("frames", () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant("send" as const), sent: anySent }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("refuse" as const), sent: anySent }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("take" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("look" as const), count: fc.nat({ max: 12 }) }) },
  );

  test("whatever is sent is taken as it was, and looked at before in stored form, with refused frames in between", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const sender = new Sender();
        const way = new Way();
        for (const each of steps) {
          if (each.kind === "send") way.push({ bytes: inRing(sender.send(each.sent)), sent: each.sent });
          else if (each.kind === "refuse") sender.write(each.sent);
          else if (each.kind === "look") way.look(each.count);
          else way.take();
        }
        way.look(steps.length);
        way.takeAll();
      }),
      { numRuns: 250 },
    );
  });

  /** Numbers callers as they come, and leaves every fourth without one. */
  function numbering(): (caller: Peer) => number {
    const numbers = new Map<string, number>();
    return (caller) => {
      const name = JSON.stringify([caller.code, caller.id]);
      if (!numbers.has(name)) numbers.set(name, numbers.size % 4 === 3 ? 0 : numbers.size + 1);
      return numbers.get(name) as number;
    };
  }

  test("callers with numbers come through channels that take, look ahead and refuse", () => {
    const callers: Peer[] = ["a", "b", "中", "\ud800", ""].map((id, code) => ({ code, id }));
    const anyOf = fc.record({ sent: fc.constantFrom(...callers).map((caller) => sentOf({ n: 1 }, "id", caller)) });
    const kinds = fc.constantFrom("send" as const, "refuse" as const, "take" as const, "look" as const);
    fc.assert(
      fc.property(fc.array(fc.tuple(kinds, anyOf), { maxLength: 40 }), (steps) => {
        const sender = new Sender(numbering());
        const way = new Way();
        for (const [kind, { sent }] of steps) {
          if (kind === "send") way.push({ bytes: inRing(sender.send(sent)), sent });
          else if (kind === "refuse") sender.write(sent);
          else if (kind === "take") way.take();
          else way.look(steps.length);
        }
        way.takeAll();
      }),
      { numRuns: 200 },
    );
  });

  test("a caller is a number once the frame that defines it is in the ring", () => {
    const sender = new Sender(() => 7);
    const sent = sentOf(1, "id", { code: 5, id: "caller" });
    const refused = sender.write(sent);
    const [first, second] = [sender.send(sent), sender.send(sent)];
    assert.deepEqual(first, refused, "a definition that was refused is made again");
    assert.equal(first.length - second.length, 4 + textBytes("caller"));
    const reader = new FrameReader(codec);
    for (const bytes of [first, second]) {
      reader.read(bytes, 0, bytes.length);
      assert.equal(reader.payload(), 1);
      assertHead(reader, sent);
    }
    assertDamaged(new FrameReader(codec), second);
  });

  test("a number of a caller over the limit, or none where there should be one, is reported", () => {
    const at = fixedBytes;
    const bytes = new Sender(() => 7).send(sentOf(1, "id", { code: 5, id: "caller" }));
    const view = new DataView(bytes.buffer);
    for (const number of [0, channelCallersMax + 1, 0xffff_ffff]) {
      view.setUint32(at, number, true);
      assertDamaged(new FrameReader(codec), bytes);
    }
    view.setUint32(at, channelCallersMax, true);
    new FrameReader(codec).read(bytes, 0, bytes.length);
  });

  test("a frame is read at its offset, between others", () => {
    const sender = new Sender();
    const frames = [1, 2, 3].map((n) => ({ sent: sentOf({ n }, `id ${n}`), bytes: new Uint8Array() }));
    const ring = Buffer.concat([Buffer.alloc(5, 0xd9), ...frames.map(({ sent }) => sender.send(sent))]);
    const reader = new FrameReader(codec);
    let at = 5;
    for (const { sent } of frames) {
      const length = shapeAt(sent) + (at === 5 ? 5 : 2);
      reader.read(ring, at, length);
      assertHead(reader, sent);
      assert.deepEqual(reader.payload(), sent.payload);
      at += length;
    }
    assert.equal(at, ring.length);
  });

  test("a frame can be told from a message in stored form", () => {
    for (const sent of [sentOf(1), sentOf({ n: 1 }), sentOf(null, "", { code: 0xffff_ffff, id: "" })]) {
      assert.equal(isCompact(new Sender().send(sent), 0), true);
      assert.equal(isCompact(storedForm(sent), 0), false);
      assert.equal(
        isCompact(Buffer.concat([storedForm(sent), new Sender().send(sent)]), storedForm(sent).length),
        true,
      );
    }
    const writer = new ByteWriter();
    writeMessageHead(writer, 1, "a", 1, 2, { code: 1, id: "b" }, { session: 1, number: 2 }, 3);
    assert.equal(isCompact(writer.take(), 0), false);
  });

  test("a flat record is its values behind a number once the frame that defines its shape is in the ring", () => {
    const sender = new Sender();
    const sent = sentOf({ n: 1, text: "x" });
    const at = shapeAt(sent);
    const stored = Buffer.from(codec.encode(sent.payload)).toString("hex");
    const [first, second] = [sender.send(sent), sender.send(sent)];
    assert.equal(Buffer.from(first.subarray(at + 1)).toString("hex"), stored);
    assert.equal(Buffer.from(second.subarray(at + 1)).toString("hex"), "01a178");
    assert.equal(second[at], first[at]);
    assert.notEqual(first[at], 0);
  });

  test("a definition that was refused is made again", () => {
    const sender = new Sender();
    const refused = [sender.write(sentOf({ n: 1 })), sender.write(sentOf({ n: 1 }))];
    assert.deepEqual(refused[0], refused[1]);
    sender.send(sentOf("in between"));
    assert.deepEqual(sender.send(sentOf({ n: 1 })), refused[0]);
    assert.ok(sender.send(sentOf({ n: 1 })).length < refused[0].length);
  });

  test("a record of a known shape that is not flat goes as it is stored, and the shape stays known", () => {
    const sender = new Sender();
    const reader = new FrameReader(codec);
    const at = shapeAt(sentOf(0));
    assertTaken(reader, { bytes: sender.send(sentOf({ n: 1 })), sent: sentOf({ n: 1 }) });
    for (const n of [[2], undefined, -0, "\ud800", "x".repeat(256), { n: 3 }]) {
      const [bytes, values] = [sender.send(sentOf({ n })), sender.send(sentOf({ n: 4 }))];
      assert.equal(Buffer.compare(bytes.subarray(at), Buffer.concat([Buffer.of(0), codec.encode({ n })])), 0);
      assert.equal(values.length, at + 2);
      assertTaken(reader, { bytes, sent: sentOf({ n }) });
      assertTaken(reader, { bytes: values, sent: sentOf({ n: 4 }) });
    }
  });

  test("channels remember for themselves", () => {
    const [one, other] = [new Sender(), new Sender()];
    const reader = new FrameReader(codec);
    assertTaken(reader, { bytes: one.send(sentOf({ n: 1 })), sent: sentOf({ n: 1 }) });
    const values = one.send(sentOf({ n: 2 }));
    assertDamaged(new FrameReader(codec), values);
    assert.ok(other.send(sentOf({ n: 2 })).length > values.length);
  });

  test("what frames define that were looked at holds for those behind them, and for none that is taken", () => {
    const sender = new Sender();
    const [definition, values, more] = [1, 2, 3].map((n) => ({
      bytes: sender.send(sentOf({ n })),
      sent: sentOf({ n }),
    }));
    const reader = new FrameReader(codec);
    assert.throws(() => reader.store(new ByteWriter(), values.bytes, 0, values.bytes.length), isDamage);
    assertStored(reader, definition);
    assert.throws(() => payloadOf(reader, values.bytes), isDamage);
    assertStored(reader, values);
    assertTaken(reader, definition);
    assertStored(reader, more);
    assertTaken(reader, values);
    assertTaken(reader, more);
  });

  test("an id over the limit breaks an invariant at the sender", () => {
    assert.throws(
      () => new Sender().send(sentOf(1, "x".repeat(idLengthMax + 1))),
      (error) => isHoldfastError(error, "HF_INVARIANT"),
    );
  });
});

describe("damaged frames", () => {
  const caller = { code: 5, id: "中" };
  const frames: readonly [name: string, ...payloads: unknown[]][] = [
    ["a scalar", 300],
    ["a definition", { n: 1, text: "x".repeat(40) }],
    ["values", { n: 0, text: "" }, { n: 70_000, text: "x".repeat(40) }],
    ["values that end with a number", { n: 0 }, { n: -70_000 }],
    ["a stored record", { n: [1], text: new Map([[1, "x"]]) }],
  ];
  for (const [name, ...payloads] of frames) {
    test(`${name}, cut anywhere or with a byte too many, is reported`, () => {
      const sender = new Sender();
      const reader = new FrameReader(codec);
      const earlier = payloads.slice(0, -1).map((payload) => sender.send(sentOf(payload)));
      for (const bytes of earlier) payloadOf(reader, bytes);
      const bytes = sender.send(sentOf(payloads.at(-1), "id", caller));
      for (let length = 0; length < bytes.length; length++) {
        assertDamaged(reader, bytes, length);
        assertDamaged(reader, bytes.slice(0, length));
      }
      assertDamaged(reader, Buffer.concat([bytes, Buffer.of(0)]));
      assertDamaged(reader, bytes, bytes.length + 1);
      assertTaken(reader, { bytes, sent: sentOf(payloads.at(-1), "id", caller) });
    });
  }

  test("a frame that ends before its payload is reported before the payload is asked for", () => {
    const sent = sentOf({ n: 1 }, "id", caller);
    const bytes = new Sender().send(sent);
    const reader = new FrameReader(codec);
    for (let length = 0; length <= shapeAt(sent); length++) {
      assert.throws(() => reader.read(bytes, 0, length), isDamage);
      assert.throws(() => reader.read(bytes.slice(0, length), 0, length), isDamage);
    }
    reader.read(bytes, 0, shapeAt(sent) + 1);
    assertHead(reader, sent);
  });

  test("an unknown flag is reported", () => {
    const bytes = new Sender().send(sentOf(1));
    for (const flag of [8, 16, 32, 64]) assertDamaged(new FrameReader(codec), bytes.with(0, bytes[0] | flag));
  });

  test("an unknown form of text is reported", () => {
    const bytes = new Sender().send(sentOf(1));
    assertDamaged(new FrameReader(codec), bytes.with(fixedBytes, 2));
  });

  test("an unknown shape is reported", () => {
    const bytes = new Sender().send(sentOf(1));
    for (const number of [1, shapesMax]) assertDamaged(new FrameReader(codec), bytes.with(shapeAt(sentOf(1)), number));
  });

  test("ids over the limit are reported, of targets and of callers", () => {
    const long = "x".repeat(idLengthMax + 1);
    const reader = new FrameReader(codec);
    const head = Buffer.alloc(fixedBytes);
    const id = Buffer.concat([Buffer.of(0, long.length & 0xff, long.length >> 8), Buffer.from(long)]);
    head[0] = 0x80;
    assertDamaged(reader, Buffer.concat([head, id, Buffer.of(0, 1)]));
    head[0] = 0x81;
    assertDamaged(reader, Buffer.concat([head, Buffer.alloc(4), id, Buffer.alloc(3), Buffer.of(0, 1)]));
  });

  const definitions: readonly [name: string, payload: unknown][] = [
    ["null", null],
    ["undefined", undefined],
    ["a number", 5],
    ["a text", "ab"],
    ["an array", [1, 2]],
    ["a Map", new Map([["a", 1]])],
    ["a record without keys", {}],
    ["a record without prototype", Object.assign(Object.create(null), { a: 1 })],
    ["a record of sixteen keys", Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`k${i}`, i]))],
    ["a record with a long key", { ["k".repeat(32)]: 1 }],
    ["a record with a wide key", { é: 1 }],
    ["a record with a __proto__ key", JSON.parse('{"a":1,"__proto__":{"b":1}}')],
  ];
  for (const [name, payload] of definitions) {
    test(`a definition that is ${name} is reported and defines nothing`, () => {
      const sender = new Sender();
      const reader = new FrameReader(codec);
      const head = new Sender().send(sentOf(0)).slice(0, shapeAt(sentOf(0)));
      head[0] |= definesShape;
      const definition = Buffer.concat([head, Buffer.of(9), codec.encode(payload)]);
      assertDamaged(reader, definition);
      head[0] &= ~definesShape;
      assertDamaged(reader, Buffer.concat([head, Buffer.of(9), Buffer.of(1)]));
      assertTaken(reader, { bytes: sender.send(sentOf({ n: 1 })), sent: sentOf({ n: 1 }) });
    });
  }

  test("a text that ends with the memory inside its length is reported", () => {
    const reader = new FrameReader(codec);
    const sender = new Sender();
    payloadOf(reader, sender.send(sentOf({ n: 1 })));
    const bytes = sender.send(sentOf({ n: 1 }));
    assertDamaged(reader, bytes.with(bytes.length - 1, 0xd9));
  });

  const anyChange = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0, 0x80, 0x82, 0xc0, 0xcb, 0xd9, 0xff));
  const anyDamage = fc.record({
    changes: fc.array(fc.tuple(fc.nat(), anyChange), { maxLength: 4 }),
    cut: fc.nat({ max: 3 }),
    exact: fc.boolean(),
  });

  test("frames damaged anywhere give plain data or a typed error, and their channel goes on", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anySent, anyDamage), { minLength: 1, maxLength: 8 }), (frames) => {
        const sender = new Sender();
        const reader = new FrameReader(new PayloadCodec());
        for (const [sent, { changes, cut, exact }] of frames) {
          const bytes = sender.send(sent);
          // From the end, where the payload is: ids are long.
          for (const [at, byte] of changes) bytes[bytes.length - 1 - (at % bytes.length)] = byte;
          const length = bytes.length - Math.min(cut, bytes.length);
          assertReadSafely(reader, exact ? bytes.slice(0, length) : bytes, 0, length);
        }
      }),
      { numRuns: 400 },
    );
  });

  test("random bytes give plain data or a typed error", () => {
    const anyHead = fc.constantFrom(0x80, 0x81, 0x82, 0x83, 0x84, 0xff);
    fc.assert(
      fc.property(anyHead, fc.uint8Array({ maxLength: 80 }), fc.nat({ max: 3 }), (head, bytes, offset) => {
        const reader = new FrameReader(codec);
        const memory = Uint8Array.of(...Buffer.alloc(offset, 0xd9), head, ...bytes);
        assertReadSafely(reader, memory, offset, 1 + bytes.length);
        memory.fill(0, offset + fixedBytes, offset + fixedBytes + 3); // an empty id: more often a payload follows
        assertReadSafely(reader, memory, offset, 1 + bytes.length);
      }),
      { numRuns: 1000 },
    );
  });
});

// Last: it uses up the shapes of this thread.
describe("frames where no more shapes are learned", () => {
  test("a receiver takes the shapes of its senders, and a sender does without", () => {
    for (let i = 0; i < 2 * shapesMax; i++) shapeOf({ [`taken${i}`]: 0 });
    const payload = { never: 1, seen: "before" };
    assert.equal(shapeOf(payload), undefined);

    const sender = new Sender();
    const reader = new FrameReader(codec);
    for (let i = 0; i < 3; i++) assertTaken(reader, { bytes: sender.send(sentOf(payload)), sent: sentOf(payload) });

    const head = sender.send(sentOf(0)).slice(0, shapeAt(sentOf(0)));
    const definition = Buffer.concat([head, Buffer.of(9), codec.encode(payload)]);
    definition[0] |= definesShape;
    const values = Buffer.concat([head, Buffer.of(9, 2, 0xa1, 0x78)]);
    assertStored(reader, { bytes: definition, sent: sentOf(payload) });
    assertStored(reader, { bytes: values, sent: sentOf({ never: 2, seen: "x" }) });
    assertTaken(reader, { bytes: definition, sent: sentOf(payload) });
    assertDamaged(reader, values, values.length - 1);
    assertTaken(reader, { bytes: values, sent: sentOf({ never: 2, seen: "x" }) });
  });
});
