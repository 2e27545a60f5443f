import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { runInNewContext } from "node:vm";
import { isHoldfastError } from "../../lib/base/errors.js";
import { MiB, payloadBytesMax, payloadDepthMax } from "../../lib/base/limits.js";
import { copyPlain, estimateBytes, freezePlain, typedArrayKinds } from "../../lib/codec/plain-data.js";

/** The value that is nested `depth` objects deep. */
function nested(depth: number, wrap: (inner: unknown) => unknown = (inner) => ({ inner })): unknown {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = wrap(value);
  return value;
}

function assertRefused(value: unknown, start: string, code: "HF_BAD_VALUE" | "HF_TOO_LARGE" = "HF_BAD_VALUE"): void {
  for (const run of [copyPlain, freezePlain]) {
    assert.throws(
      () => run(value, "message"),
      (error) => {
        assert.ok(isHoldfastError(error, code), String(error));
        assert.ok(error.message.startsWith(`${code}: ${start}`), error.message);
        return true;
      },
    );
  }
}

class Point {
  x = 1;
}

describe("what is refused", () => {
  const withSymbol = { [Symbol("tag")]: 1, a: 1 };
  const hidden = Object.defineProperty({ a: 1 }, "b", { value: 2, enumerable: false });
  const sparse: unknown[] = [1, 2];
  sparse[4] = 5;
  const cycle: { items: unknown[] } = { items: [] };
  cycle.items.push(cycle);
  const setOfItself = new Set<unknown>();
  setOfItself.add([setOfItself]);
  const revoked = Proxy.revocable({}, {});
  revoked.revoke();
  const mapWithExtra = Object.assign(new Map(), { name: "m" });

  const cases: [name: string, value: unknown, start: string][] = [
    ["a function", { items: [0, { when: () => 1 }] }, "message.items[1].when is a function (when)"],
    ["a method", { run() {} }, "message.run is a function (run)"],
    ["a class", Point, "message is a function (Point)"],
    ["a symbol", [Symbol("x")], "message[0] is a symbol"],
    ["a symbol key", { user: withSymbol }, "message.user[Symbol(tag)] is a property with a symbol"],
    ["a class instance", { at: new Point() }, "message.at is an instance of Point"],
    ["an object with a prototype of its own", Object.create({ a: 1 }), "message is an instance of Object"],
    [
      "a getter",
      {
        user: {
          get name() {
            return "x";
          },
        },
      },
      "message.user.name is an accessor",
    ],
    ["a setter", { set name(_: string) {} }, "message.name is an accessor"],
    ["a property that is not enumerable", hidden, "message.b is a property that is not enumerable"],
    ["an Error", { cause: new TypeError("x") }, "message.cause is an instance of TypeError"],
    ["a RegExp", [/x/], "message[0] is an instance of RegExp"],
    ["a Promise", Promise.resolve(), "message is an instance of Promise"],
    ["a WeakMap", new WeakMap(), "message is an instance of WeakMap"],
    ["a DataView", new DataView(new ArrayBuffer(1)), "message is an instance of DataView"],
    ["an ArrayBuffer", new ArrayBuffer(1), "message is an instance of ArrayBuffer"],
    ["a SharedArrayBuffer", new SharedArrayBuffer(1), "message is an instance of SharedArrayBuffer"],
    ["a boxed number", Object(1), "message is an instance of Number"],
    ["a subclass of Array", new (class List extends Array {})(), "message is an instance of List"],
    ["a subclass of Map", new (class Index extends Map {})(), "message is an instance of Index"],
    ["a subclass of Date", new (class Day extends Date {})(), "message is an instance of Day"],
    ["a subclass of Uint8Array", new (class Bytes extends Uint8Array {})(2), "message is an instance of Bytes"],
    ["an imitation of a Date", Object.create(Date.prototype), "message is an instance of Date"],
    ["an imitation of a Map", new Proxy(new Map(), {}), "message is "],
    ["a revoked Proxy", { gone: revoked.proxy }, "message is a value that throws when it is read"],
    ["an object of another realm", runInNewContext("({ a: 1 })"), "message is an instance of Object"],
    [
      "the arguments of a call",
      (function (..._: unknown[]) {
        return arguments;
      })(1, 2),
      "message",
    ],
    ["Math", Math, "message"],
    ["a sparse array", { list: sparse }, "message.list[2] is a hole"],
    ["an array of nothing but length", new Array(4_000_000_000), "message is too large"],
    [
      "an array with an extra property",
      Object.assign([1], { total: 1 }),
      "message.total is an extra property of an array",
    ],
    ["what RegExp.exec returns", /(?<a>x)/.exec("x"), "message.index is an extra property"],
    ["a Map with an extra property", mapWithExtra, "message.name is an extra property of a Map"],
    ["a cycle", cycle, "message.items[0] is a reference back"],
    ["a cycle through a Set", setOfItself, "message.item(0)[0] is a reference back"],
    ["a bad key of a Map", new Map([[() => 1, 1]]), "message.key(0) is a function"],
    ["a bad value of a Map", { index: new Map([["a b", /x/]]) }, 'message.index.get("a b") is an instance of RegExp'],
    ["a key that is no identifier", { "a b": { 'x"y': /x/ } }, 'message["a b"]["x\\"y"] is an instance of RegExp'],
    ["a record named constructor", { constructor: Point }, "message.constructor is a function"],
  ];
  for (const [name, value, start] of cases) {
    const code = start.includes("too large") ? "HF_TOO_LARGE" : "HF_BAD_VALUE";
    test(`${name} is refused with its path`, () => assertRefused(value, start, code));
  }

  test("the deepest nesting is accepted and one more is refused with its path", () => {
    assert.deepEqual(copyPlain(nested(payloadDepthMax), "message"), nested(payloadDepthMax));
    assertRefused(
      nested(payloadDepthMax + 1),
      `message${".inner".repeat(payloadDepthMax)} is nested deeper than ${payloadDepthMax}`,
    );
    assertRefused(
      nested(payloadDepthMax + 1, (inner) => [inner]),
      `message${"[0]".repeat(payloadDepthMax)} is nested deeper`,
    );
    assertRefused(
      nested(payloadDepthMax + 1, (inner) => new Map([["k", inner]])),
      "message.get(",
    );
    assertRefused(nested(100_000), "message.inner");
  });

  test("an object reached by more ways than a payload can hold is refused instead of copied for ever", () => {
    let value: unknown = 1;
    for (let i = 0; i < 40; i++) value = [value, value];
    assertRefused(value, "message is too large", "HF_TOO_LARGE");
  });

  test("strings and bytes that cannot fit a payload are refused before they are copied", () => {
    assertRefused(new Array(20).fill("x".repeat(MiB)), "message is too large", "HF_TOO_LARGE");
    assertRefused(new Array(20).fill(new Uint8Array(MiB)), "message is too large", "HF_TOO_LARGE");
    assertRefused("x".repeat(payloadBytesMax + 1), "message is too large", "HF_TOO_LARGE");
  });

  test("an accessor that throws is refused, with what it threw as the cause", () => {
    const reason = new Error("no");
    const thrower = new Proxy(
      {},
      {
        ownKeys: () => {
          throw reason;
        },
      },
    );
    assert.throws(
      () => copyPlain({ a: thrower }, "message"),
      (error) => isHoldfastError(error, "HF_BAD_VALUE") && error.cause === reason,
    );
  });
});

describe("what is copied", () => {
  test("a record is copied the same before and after its list of keys is trusted", () => {
    for (let i = 0; i < 400; i++) {
      const source = { userId: `user-${i}`, amount: i, tags: ["a", { deep: i }], none: undefined, zero: -0 };
      const copy = copyPlain(source, "message");
      assert.deepStrictEqual(copy, source);
      assert.notEqual(copy.tags, source.tags);
      assert.notEqual(copy.tags[1], source.tags[1]);
    }
  });

  test("a bad part of a record with a trusted list of keys is refused with its path", () => {
    for (let i = 0; i < 400; i++) copyPlain({ trusted: i, part: { inner: "x" } }, "message");
    assertRefused({ trusted: 1, part: { inner: () => 1 } }, "message.part.inner is a function");
    assertRefused({ trusted: 1, part: new Point() }, "message.part is an instance of Point");
    assertRefused({ trusted: 1, part: "x".repeat(payloadBytesMax + 1) }, "message is too large", "HF_TOO_LARGE");
  });

  test("records whose lists of keys begin alike are told apart", () => {
    for (let i = 0; i < 1000; i++) {
      for (const source of [{ k: i }, { k: i, l: i }, { k: i, m: i }, { l: i, k: i }, {}, { k: i, l: i, m: i }]) {
        const copy = copyPlain(source, "message");
        assert.deepStrictEqual(Object.entries(copy), Object.entries(source));
      }
    }
  });

  // The documented limit of the check (P3): should this ever fail because the accessor is refused, all the better.
  test("an accessor under a list of keys that is trusted by now is read as a value", () => {
    for (let i = 0; i < 200; i++) copyPlain({ wasData: i }, "message");
    const source = {
      get wasData() {
        return 7;
      },
    };
    assert.deepStrictEqual(Object.getOwnPropertyDescriptor(copyPlain(source, "message"), "wasData")?.value, 7);
  });

  test("keys that look like code are copied as keys", () => {
    const key = '"]; throw 1; //\u2028\ud800`${x}';
    for (let i = 0; i < 300; i++)
      assert.deepStrictEqual(copyPlain({ [key]: i, p0: i, source: i }, "m"), { [key]: i, p0: i, source: i });
  });

  test("an own __proto__ key stays a key and sets no prototype", () => {
    for (let i = 0; i < 300; i++) {
      const copy = copyPlain(JSON.parse('{"a":1,"__proto__":{"polluted":true}}'), "message");
      assert.deepEqual(Object.keys(copy), ["a", "__proto__"]);
      assert.equal(Object.getPrototypeOf(copy), Object.prototype);
      assert.equal(copy.polluted, undefined);
    }
  });

  test("an object without prototype stays without", () => {
    const source = Object.assign(Object.create(null), { a: 1, __proto__: 2 });
    assert.deepStrictEqual(copyPlain(source, "message"), source);
    assert.ok(Object.isFrozen(freezePlain(source, "state").value));
  });

  test("an object that is reached twice becomes two", () => {
    const shared = { n: 1 };
    const copy = copyPlain({ a: shared, b: shared }, "message");
    assert.notEqual(copy.a, copy.b);
  });

  test("typed arrays get memory of their own, and nothing but their elements", () => {
    for (const kind of typedArrayKinds) {
      const source = new kind(new ArrayBuffer(64), 16, 2);
      const copy = copyPlain(source, "message");
      assert.deepStrictEqual(copy, source);
      assert.equal(copy.buffer.byteLength, 2 * kind.BYTES_PER_ELEMENT);
    }
  });

  test("a Buffer becomes a Uint8Array, and shared memory becomes own memory", () => {
    const copy = copyPlain({ pooled: Buffer.from("abc"), shared: new Uint8Array(new SharedArrayBuffer(3)) }, "message");
    assert.deepStrictEqual(copy, { pooled: new Uint8Array([97, 98, 99]), shared: new Uint8Array(3) });
    assert.equal(copy.pooled.buffer.byteLength, 3);
    assert.ok((copy.shared.buffer as unknown) instanceof ArrayBuffer);
  });

  test("the estimate counts long strings and bytes of the last value only", () => {
    copyPlain({ a: "x".repeat(1000), b: new Float64Array(10), c: "short", d: 1n << 8000n }, "message");
    assert.ok(estimateBytes() >= 2080 && estimateBytes() < 2100, String(estimateBytes()));
    copyPlain({ a: "short" }, "message");
    assert.equal(estimateBytes(), 0);
    freezePlain("x".repeat(100), "state");
    assert.equal(estimateBytes(), 100);
    copyPlain(1, "message");
    assert.equal(estimateBytes(), 0);
  });
});

describe("what is frozen", () => {
  test("objects and arrays are frozen at every level", () => {
    for (let i = 0; i < 300; i++) {
      const { value, mutable } = freezePlain({ a: [{ b: 1 }], c: {} }, "state");
      assert.equal(mutable, false);
      for (const part of [value, value.a, value.a[0], value.c]) assert.ok(Object.isFrozen(part));
    }
  });

  test("the source is not frozen", () => {
    const source = { a: [1] };
    freezePlain(source, "state");
    source.a.push(2);
    assert.deepEqual(source, { a: [1, 2] });
  });

  test("a part that cannot be frozen is reported, wherever it is", () => {
    const parts = [new Date(0), new Map(), new Set(), new Uint8Array(1)];
    for (const part of parts) assert.equal(freezePlain({ deep: [part] }, "state").mutable, true);
    for (const part of parts) assert.equal(freezePlain(part, "state").mutable, true);
    for (const value of [1, "x", null, undefined, 1n, true, {}, []])
      assert.equal(freezePlain(value, "state").mutable, false);
  });

  test("a copy of a frozen value can be changed", () => {
    const copy = copyPlain(freezePlain({ a: [1] }, "state").value, "value");
    copy.a.push(2);
    assert.deepEqual(copy, { a: [1, 2] });
  });
});
