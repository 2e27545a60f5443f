import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { seededRandom } from "../../lib/base/random.js";
import type { Peer } from "../../lib/codec/message-codec.js";
import { instantAfter } from "../../lib/model/schedule.js";
import { hashId, hashName32 } from "../../lib/partition/hash.js";
import { keyBytes, keyText, Rows } from "../../lib/shard/rows.js";
import {
  compareTimers,
  decodeTimer,
  decodeTimerKey,
  encodeTimer,
  type TimerKey,
  timerKey,
  tokenKey,
} from "../../lib/shard/timer-rows.js";
import { Timers } from "../../lib/shard/timers.js";
import type { BaseReader } from "../../lib/store/base.js";
import { forEachRow } from "../../lib/store/row-writer.js";

/** A base in memory that counts the rows it gives. */
class CountingBase implements BaseReader {
  #rows = new Map<string, Uint8Array>();
  #keys: string[] = [];
  #epoch = 0;
  read = 0;

  get size(): number {
    return this.#rows.size;
  }

  merge(journal: Uint8Array, epoch: number): void {
    forEachRow(journal, (key, value) => {
      if (value === undefined) this.#rows.delete(keyText(key));
      else this.#rows.set(keyText(key), value.slice());
    });
    this.#keys = [...this.#rows.keys()].sort();
    this.#epoch = epoch;
  }

  refresh(): void {}

  epoch(): number {
    return this.#epoch;
  }

  get(key: Uint8Array): Uint8Array | undefined {
    this.read++;
    return this.#rows.get(keyText(key));
  }

  scan(from: Uint8Array, to: Uint8Array, limit = Number.POSITIVE_INFINITY) {
    const within = this.#keys.filter((key) => key >= keyText(from) && key < keyText(to)).slice(0, limit);
    this.read += within.length;
    return within.map((key) => ({ key: keyBytes(key), value: this.#rows.get(key) as Uint8Array }));
  }

  close(): void {}
}

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

describe("the timers of one sender", () => {
  const groups = 4;
  const keyGroup = hashId("own") % groups;
  const own = { code: hashName32("time/own"), id: "own" };

  function timersBeside(others: number) {
    const base = new CountingBase();
    const rows = new Rows(base, new Map(), 0);
    const keyGroupOf = (id: string): number => hashId(id) % groups;
    const port = { rows, epoch: 1, config: { generation: 1, limits: { timersResidentMax: 100 } }, keyGroupOf };
    const known = { coded: () => undefined, peer: () => undefined };
    const clock = { now: () => 0, store: () => {}, wakeAt: () => 0 };
    const timers = new Timers(
      { ...port, registry: known, owns: () => true } as never,
      clock as never,
      Array.from({ length: groups }, (_, group) => group),
    );
    const set = (sender: Peer, due: number, token: string | undefined): void =>
      timers.add(keyGroup, due, { target: own, sender, token, idHi: 0, idLo: 0, payload: new Uint8Array(1) });
    for (let n = 0; n < others; n++) set({ code: own.code, id: `other ${n}` }, n, n % 2 === 0 ? "t" : undefined);
    for (let n = 0; n < 5; n++) set(own, n * others, n % 2 === 0 ? `token ${n}` : undefined);
    base.merge(rows.takeJournal(), 2);
    rows.beginStep();
    while (rows.recent > 0) rows.settle();
    base.read = 0;
    return { timers, base, rows };
  }

  test("are found and removed without reading those of others", () => {
    const { timers, base, rows } = timersBeside(20_000);
    const sender = { type: "time/own", id: "own" };
    assert.equal(timers.commands["timers.list"](100, sender).length, 5);
    timers.removeAll(sender);
    assert.ok(base.read < 50, `${base.read} rows were read`);
    assert.equal(timers.commands["timers.list"](100, sender).length, 0);
    base.merge(rows.takeJournal(), 3);
    assert.equal(base.size, 2 * 20_000, "nothing of it is left, and everything of the others");
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
