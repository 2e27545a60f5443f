import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { seededRandom } from "../../lib/base/random.js";
import { instantAfter } from "../../lib/model/schedule.js";
import { TimerHeap } from "../../lib/shard/timer-heap.js";
import {
  compareTimers,
  decodeTimer,
  decodeTimerKey,
  encodeTimer,
  type TimerKey,
  timerKey,
  tokenKey,
} from "../../lib/shard/timer-rows.js";

const random = seededRandom(7);
const drawKey = (): TimerKey => ({
  keyGroup: 3,
  due: random.below(20) * 2 ** 40,
  generation: 1 + random.below(3),
  sequence: random.below(1_000),
});

describe("rows of timers", () => {
  test("keys sort as timers fire, and decode", () => {
    const keys = Array.from({ length: 500 }, drawKey);
    for (const key of keys) assert.deepEqual(decodeTimerKey(timerKey(key)), key);
    for (let i = 1; i < keys.length; i++) {
      const order = Math.sign(compareTimers(keys[i - 1], keys[i]));
      assert.equal(Buffer.compare(timerKey(keys[i - 1]), timerKey(keys[i])), order);
    }
  });

  test("values keep odd ids and tokens", () => {
    const timer = {
      target: { code: 2 ** 32 - 1, id: "\ud800\0" },
      sender: { code: 0, id: "" },
      token: "\u0416",
      idHi: -5,
      idLo: 7,
      payload: Uint8Array.of(1, 2),
    };
    assert.deepEqual(decodeTimer(encodeTimer(timer)), timer);
    assert.equal(decodeTimer(encodeTimer({ ...timer, token: undefined })).token, undefined);
    assert.equal(decodeTimer(encodeTimer({ ...timer, token: "" })).token, "");
  });

  test("values have the names of types that a namespace made, and no byte more for others", () => {
    const plain = {
      target: { code: 1, id: "a" },
      sender: { code: 2, id: "b" },
      token: undefined,
      idHi: 3,
      idLo: 4,
      payload: Uint8Array.of(5),
    };
    const bytes = "01000000 00010061 02000000 00010062 03000000 04000000 00 05".replaceAll(" ", "");
    assert.equal(Buffer.from(encodeTimer(plain)).toString("hex"), bytes);
    for (const dynamicType of ["made/a", undefined]) {
      const target = dynamicType === undefined ? plain.target : { ...plain.target, dynamicType };
      for (const token of ["t", undefined]) {
        const timer = { ...plain, target, sender: { code: 2, id: "b", dynamicType: "made/b" }, token };
        assert.deepEqual(decodeTimer(encodeTimer(timer)), timer);
      }
    }
  });

  test("id and token are apart in a token's key", () => {
    const key = (id: string, token: string): string => Buffer.from(tokenKey(1, { code: 1, id }, token)).toString("hex");
    assert.notEqual(key("ab", "c"), key("a", "bc"));
    assert.equal(key("ab", "c"), key("ab", "c"));
    const made = (dynamicType: string) =>
      Buffer.from(tokenKey(1, { code: 1, id: "a", dynamicType }, "c")).toString("hex");
    assert.notEqual(made("made/a"), made("made/b"));
  });
});

describe("the heap of timers", () => {
  test("gives the soonest first, whatever is put in between, and shrinks to the soonest", () => {
    const heap = new TimerHeap();
    let model: TimerKey[] = [];
    for (let round = 0; round < 3_000; round++) {
      if (random.below(3) > 0) {
        const key = drawKey();
        heap.push(key);
        model.push(key);
        model.sort(compareTimers);
      } else if (random.below(50) === 0 && model.length > 10) {
        const cut = heap.shrink(model.length >>> 1);
        assert.equal(compareTimers(cut, model[model.length >>> 1]), 0);
        model = model.slice(0, model.length >>> 1);
      } else assert.deepEqual(heap.pop(), model.shift());
      assert.equal(heap.size, model.length);
    }
    while (model.length > 0) assert.deepEqual(heap.pop(), model.shift());
    assert.equal(heap.pop(), undefined);
  });
});

describe("instants of schedules", () => {
  const after = (expression: string, timeZone: string, date: string): string =>
    new Date(instantAfter({ kind: "cron", expression, timeZone }, 0, Date.parse(date)) ?? 0).toISOString();

  test("a time zone's summer time moves them", () => {
    assert.equal(after("0 9 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T07:00:00.000Z");
    assert.equal(after("0 9 * * *", "Europe/Berlin", "2026-03-27T12:00:00Z"), "2026-03-28T08:00:00.000Z");
    assert.equal(after("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z"), "2026-03-29T01:00:00.000Z"); // left out
    assert.equal(after("30 2 * * *", "Europe/Berlin", "2026-10-24T22:00:00Z"), "2026-10-25T00:30:00.000Z");
    assert.equal(after("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30:00Z"), "2026-10-26T01:30:00.000Z"); // once
  });

  test("an instant is not its own successor, and there may be none", () => {
    assert.equal(after("* * * * * *", "UTC", "2026-01-01T00:00:00Z"), "2026-01-01T00:00:01.000Z");
    const past = { kind: "cron", expression: "0 0 0 1 1 * 2020", timeZone: "UTC" } as const;
    assert.equal(instantAfter(past, 0, Date.parse("2026-01-01")), undefined);
  });

  test("intervals keep their phase", () => {
    const when = { kind: "every", intervalMs: 10 } as const;
    assert.equal(instantAfter(when, 7, 7), 17);
    assert.equal(instantAfter(when, 7, 36.9), 37);
    assert.equal(instantAfter(when, 7, 37), 47);
  });
});
