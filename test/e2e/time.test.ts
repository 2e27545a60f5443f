/** Delayed messages and schedules with real threads and a real clock: never early, in order, over restarts. */
import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { type Application, cron, defineApp, defineFunction, every } from "../../lib/index.js";
import { type Arrival, arrivals, box, desk } from "./apps/time.app.js";
import { appTest, appTests, Gate, refused } from "./running-app.js";

const hour = 3_600_000;

/** What arrives in one box. */
async function* arrivalsOf(app: Application, name: string): AsyncGenerator<Arrival> {
  for await (const { record } of app.egress(arrivals)) if (record.box === name) yield record;
}

async function take(records: AsyncGenerator<Arrival>, count: number): Promise<Arrival[]> {
  const taken: Arrival[] = [];
  while (taken.length < count) taken.push((await records.next()).value as Arrival);
  return taken;
}

appTests("delayed messages come in the order in which they are due, never early, from their sender", async (lab) => {
  const app = await lab.start("time");
  const came = arrivalsOf(app, "box");
  const before = Date.now();
  const send = [450, 150, 300, 150, 0].map((delayMs, index) => ({ delayMs, text: `${delayMs} ${index}` }));
  await app.ask(desk.at("a"), { send });
  const got = await take(came, 5);
  assert.deepEqual(
    got.map(({ text }) => text),
    ["0 4", "150 1", "150 3", "300 2", "450 0"],
  );
  for (const { text, at, from } of got) {
    assert.ok(at - before >= Number(text.split(" ")[0]), `${text} came after ${at - before} ms`);
    assert.equal(from, "time/desk@a");
  }
  assert.equal(new Set(got.map(({ id }) => id)).size, 5);
  const date = new Date(Date.now() + 30);
  await app.ask(desk.at("a"), { sendAt: date, text: "dated" });
  assert.ok((await take(came, 1))[0].at >= date.getTime());
  await app.ask(desk.at("a"), { sendAt: new Date(-hour), text: "long ago" });
  assert.equal((await take(came, 1))[0].text, "long ago");
});

appTests("a token cancels or replaces the message of its own sender only", async (lab) => {
  const app = await lab.start("time");
  const came = arrivalsOf(app, "box");
  const token = "t\u0416\ud800";
  await app.ask(desk.at("a"), { send: [{ delayMs: hour, text: "first", token }] });
  await app.ask(desk.at("b"), { send: [{ delayMs: hour, text: "of b", token }] });
  await app.ask(desk.at("a"), { send: [{ delayMs: hour, text: "second", token }] });
  assert.equal((await app.timers.list()).length, 2);
  assert.equal(await app.ask(desk.at("a"), { cancel: token }), true);
  assert.equal(await app.ask(desk.at("a"), { cancel: token }), false);
  assert.equal(await app.ask(desk.at("a"), { cancel: "never set" }), false);
  const [left, ...others] = await app.timers.list();
  assert.deepEqual(others, []);
  assert.deepEqual(
    { from: left.from, to: left.to, token: left.token },
    { from: "time/desk@b", to: "time/box@box", token },
  );
  await app.ask(desk.at("b"), { send: [{ delayMs: 0, text: "now", token }] });
  const [{ text }] = await take(came, 1);
  assert.equal(text, "now");
  assert.equal(await app.ask(desk.at("b"), { cancel: token }), false);
  assert.deepEqual(await app.timers.list(), []);
});

appTests("a cancel holds the message while its turn goes on", async (lab) => {
  const app = await lab.start("time");
  const gate = new Gate();
  try {
    const came = arrivalsOf(app, "box");
    await app.ask(desk.at("a"), { send: [{ delayMs: 2_000, text: "cancelled", token: "t" }] });
    const [{ due }] = await app.timers.list();
    const answer = app.ask(desk.at("a"), { cancel: "t", after: "wait" });
    await gate.arrived(1);
    await app.ask(desk.at("b"), { sendAt: new Date(due.getTime() + 50), text: "later" });
    assert.equal((await take(came, 1))[0].text, "later"); // the other one was due before
    gate.open();
    assert.equal(await answer, true);
    assert.deepEqual(await app.timers.list(), []);
  } finally {
    gate.close();
  }
});

appTests(
  "overdue messages come after a restart in the order in which they were due, at another number of shards too",
  async (lab) => {
    const first = await lab.start("time");
    const orders = [300, 100, 200].map((delayMs) => ({ delayMs, text: String(delayMs) }));
    await first.ask(desk.at("a"), { send: [...orders, { delayMs: hour, text: "far", token: "far" }] });
    const due = Date.now() + 300;
    await first.stop();
    const paused = await lab.start("time", { paused: true });
    while (Date.now() <= due) await paused.checkpoint();
    const listed = await paused.timers.list({ address: desk.at("a") });
    assert.deepEqual(
      listed.map(({ due }) => due.getTime()),
      listed.map(({ due }) => due.getTime()).sort((a, b) => a - b),
    );
    assert.ok(listed.length >= 1 && listed.at(-1)?.token === "far");
    await paused.stop();
    const second = await lab.start("time", { shards: lab.shards + 1 });
    const came = arrivalsOf(second, "box");
    const texts = (await take(came, listed.length - 1)).map(({ text }) => Number(text));
    assert.deepEqual(
      texts,
      [...texts].sort((a, b) => a - b),
    );
    assert.equal(await second.ask(desk.at("a"), { cancel: "far" }), true);
  },
);

appTests(
  "bad delays, dates, tokens and addresses get an error that names the address, and lose nothing",
  async (lab) => {
    const app = await lab.start("time");
    for (const bad of ["negative", "NaN", "far", "date", "token", "long token"] as const)
      assert.equal(await app.ask(desk.at("a"), { bad }), "HF_BAD_VALUE time/desk@a", bad);
    assert.equal(await app.ask(desk.at("a"), { bad: "function" }), "HF_UNKNOWN_FUNCTION time/desk@a");
    assert.deepEqual(await app.timers.list(), []);
    await refused(app.timers.list({ limit: 0 }), "HF_BAD_OPTIONS");
  },
);

appTests("schedules send, pause, go on, and are added and removed while the application runs", async (lab) => {
  const app = await lab.start("time");
  await take(arrivalsOf(app, "fast"), 3);
  assert.equal(await app.schedules.pause("fast"), true);
  const paused = (await app.schedules.list()).find(({ name }) => name === "fast");
  assert.equal(paused?.paused, true);
  await app.schedules.add(every("added", { intervalMs: 10, to: box.at("added"), message: { text: "added" } }));
  const added = arrivalsOf(app, "added");
  assert.equal((await take(added, 2))[1].text, "added");
  const moved = every("added", { intervalMs: 10, to: box.at("moved"), message: { text: "moved" } });
  await app.schedules.add(moved);
  await take(arrivalsOf(app, "moved"), 1);
  const list = await app.schedules.list();
  assert.deepEqual(
    list.map(({ name, to, declared, paused }) => [name, to, declared, paused]),
    [
      ["added", "time/box@moved", false, false],
      ["fast", "time/box@fast", true, true],
      ["new year", "time/box@year", true, false],
    ],
  );
  assert.equal(list[1].sent, paused?.sent);
  assert.equal(list[2].next?.toISOString().slice(4), "-12-31T23:00:00.000Z");
  assert.equal(await app.schedules.remove("added"), true);
  assert.equal(await app.schedules.remove("added"), false);
  await refused(app.schedules.remove("fast"), "HF_BAD_OPTIONS", /declared in defineApp/);
  await refused(
    app.schedules.add(every("fast", { intervalMs: 1, to: box.at("fast"), message: { text: "" } })),
    "HF_BAD_OPTIONS",
  );
  assert.equal(await app.schedules.pause("none"), false);
  await app.stop();
  const again = await lab.start("time");
  assert.equal((await again.schedules.list()).find(({ name }) => name === "fast")?.paused, true);
  assert.equal(await again.schedules.resume("fast"), true);
  await take(arrivalsOf(again, "fast"), 1);
});

describe("a schedule that is none is refused where it is made", () => {
  const to = box.at("x");
  const message = { text: "" };
  const cases: [string, () => unknown][] = [
    ["an expression that is none", () => cron("a", { expression: "every day", to, message })],
    ["a date", () => cron("a", { expression: "2030-01-01T00:00:00", to, message })],
    ["an instant that never comes", () => cron("a", { expression: "0 0 30 2 *", to, message })],
    ["a time zone that is none", () => cron("a", { expression: "* * * * *", timeZone: "No/Where", to, message })],
    [
      "a misfire rule that is none",
      () => cron("a", { expression: "* * * * *", misfire: "twice" as never, to, message }),
    ],
    ["no interval", () => every("a", { intervalMs: 0, to, message })],
    ["half an interval", () => every("a", { intervalMs: 0.5, to, message })],
    ["no name", () => every("", { intervalMs: 1, to, message })],
    ["no target", () => every("a", { intervalMs: 1, to: undefined as never, message })],
    [
      "two of a name",
      () => {
        const schedule = every("a", { intervalMs: 1, to, message });
        return defineApp({ functions: [box], schedules: [schedule, schedule] });
      },
    ],
    [
      "a function that is not defined",
      () =>
        defineApp({
          functions: [defineFunction("time/other", { receive() {} })],
          schedules: [every("a", { intervalMs: 1, to, message })],
        }),
    ],
  ];
  for (const [name, make] of cases) test(name, () => refused(make, "HF_BAD_APP").then(() => {}));
});

appTest("10,000 delayed messages are all delivered once", async (lab) => {
  const app = await lab.start("time");
  const count = 10_000;
  const came = arrivalsOf(app, "many");
  const send = Array.from({ length: count }, (_, index) => ({
    delayMs: (index * 7919) % 400,
    text: String(index),
    to: "many",
  }));
  await app.ask(desk.at("a"), { send });
  const seen = new Set((await take(came, count)).map(({ text }) => text));
  assert.equal(seen.size, count);
  assert.deepEqual(await app.timers.list(), []);
});
