import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { describe } from "node:test";
import { NodeDisk } from "../../lib/log/node-disk.js";
import { DiskNotes, type Notes } from "../../lib/log/notes.js";
import type { TurnsNote } from "../../lib/shard/ports.js";
import { firstStart, Suspects, turnsNoteName } from "../../lib/snapshot/suspects.js";

/** What a process or a thread leaves behind, and what the next start makes of it. */
class Desk {
  readonly texts = new Map<string, string>();
  readonly notes: Notes = {
    read: (name) => this.texts.get(name),
    write: (name, text) => void this.texts.set(name, text),
    remove: (name) => void this.texts.delete(name),
  };
  readonly suspects = new Suspects(this.notes);

  ran(shard: number, note: Partial<TurnsNote>): void {
    this.texts.set(turnsNoteName(shard), JSON.stringify({ pending: [], cleared: [], ...note }));
  }
}

const died = (restarts: number, ...shards: number[]) => ({
  restarts,
  died: shards.map((shard) => ({ shard, reason: "exit" })),
});

describe("suspicion", () => {
  test("begins with the third start in a row that committed nothing, and ends with a clean stop", () => {
    const { suspects } = new Desk();
    assert.equal(suspects.begin(7, 1, firstStart).suspects, undefined);
    assert.equal(suspects.begin(7, 1, firstStart).suspects, undefined);
    assert.deepEqual(suspects.begin(7, 1, firstStart), { suspects: [], learned: false });
    suspects.stopped();
    assert.equal(suspects.begin(7, 1, firstStart).suspects, undefined);
  });

  test("does not begin when processes end that have committed something: anybody may have ended them", () => {
    const { suspects } = new Desk();
    for (let epoch = 0; epoch < 100; epoch++) assert.equal(suspects.begin(epoch, 2, firstStart).suspects, undefined);
  });

  test("goes on while little is committed, and ends when much is", () => {
    const { suspects } = new Desk();
    for (let start = 0; start < 3; start++) suspects.begin(7, 1, firstStart);
    assert.deepEqual(suspects.begin(9, 1, firstStart).suspects, []);
    assert.deepEqual(suspects.begin(25, 1, firstStart).suspects, []);
    assert.equal(suspects.begin(1_000, 1, firstStart).suspects, undefined);
  });

  test("begins with the second death of a thread, whatever was committed", () => {
    const { suspects } = new Desk();
    suspects.begin(0, 2, firstStart);
    assert.equal(suspects.begin(1_000, 2, died(1, 0)).suspects, undefined);
    assert.deepEqual(suspects.begin(2_000, 2, died(2, 0)).suspects, []);
  });

  test("blames what ran in the thread that died, and counts", () => {
    const desk = onTrial();
    desk.ran(0, { turn: "a" });
    desk.ran(1, { turn: "b", pending: ["c"], last: "d" });
    const once = desk.suspects.begin(0, 2, died(3, 1));
    assert.deepEqual(once, {
      suspects: [{ id: "b", deaths: 1, ends: 0, pending: false, reason: "exit" }],
      learned: true,
    });
    assert.equal(desk.texts.has(turnsNoteName(0)), false, "each end is looked at once");
    desk.ran(1, { turn: "b" });
    const twice = desk.suspects.begin(0, 2, died(4, 1));
    assert.deepEqual(twice.suspects, [{ id: "b", deaths: 2, ends: 0, pending: false, reason: "exit" }]);
  });

  test("blames all that were pending when nothing ran, and what ended last when nothing was pending", () => {
    const desk = onTrial();
    const begin = () => desk.suspects.begin(0, 2, died(3, 0)).suspects ?? [];
    const ids = () => begin().map(({ id, deaths, pending }) => `${id}${deaths}${pending ? " pending" : ""}`);
    desk.ran(0, { pending: ["a", "b"], last: "c" });
    assert.deepEqual(ids(), ["a1 pending", "b1 pending"]);
    desk.ran(0, { last: "c" });
    assert.deepEqual(ids(), ["a1 pending", "b1 pending", "c1"]);
    assert.deepEqual(ids(), ["a1 pending", "b1 pending", "c1"], "without a note nobody is blamed");
  });

  test("counts ends of the process with nothing but pending turns apart: anybody may have ended it", () => {
    const desk = onTrial();
    const counts = () =>
      desk.suspects.begin(0, 2, firstStart).suspects?.map(({ id, deaths, ends }) => `${id}${deaths}${ends}`);
    desk.ran(0, { pending: ["a"] });
    desk.ran(1, { pending: ["b"], last: "c" });
    assert.deepEqual(counts(), ["a01", "b01"]);
    desk.ran(0, { pending: ["a"] });
    desk.ran(1, { turn: "b" });
    assert.deepEqual(counts(), ["a01", "b11"], "what ran is to blame alone");
  });

  test("blames nobody for a process that ended between two turns, nor when no thread died by itself", () => {
    const desk = onTrial();
    desk.ran(0, { last: "c" });
    assert.deepEqual(desk.suspects.begin(0, 2, firstStart), { suspects: [], learned: false });
    desk.ran(0, { turn: "a" });
    assert.deepEqual(desk.suspects.begin(0, 2, died(5)), { suspects: [], learned: false });
  });
});

describe("a suspect that came through", () => {
  test("is none any more, whatever was committed", () => {
    const desk = onTrial();
    const ids = () => desk.suspects.begin(0, 2, firstStart).suspects?.map(({ id, ends }) => `${id}${ends}`);
    desk.ran(0, { pending: ["a", "b"] });
    assert.deepEqual(ids(), ["a1", "b1"]);
    desk.ran(0, { pending: ["b"], cleared: ["a"] });
    desk.ran(1, { pending: ["c"] });
    assert.deepEqual(ids(), ["b2", "c1"]);
    desk.ran(0, { pending: ["a"], cleared: ["c"] });
    assert.deepEqual(ids(), ["b2", "a1"]);
  });

  test("is one still when the end after it blames it: of what its turn left behind, or of its next attempt", () => {
    const desk = onTrial();
    const ids = () => desk.suspects.begin(0, 2, died(3, 0)).suspects?.map(({ id, deaths }) => `${id}${deaths}`);
    desk.ran(0, { last: "a" });
    assert.deepEqual(ids(), ["a1"]);
    desk.ran(0, { last: "a", cleared: ["a"] });
    assert.deepEqual(ids(), ["a2"]);
  });
});

describe("notes on a disk", () => {
  test("are read as they were written last, also when they were longer before", () => {
    const folder = mkdtempSync(join(tmpdir(), "holdfast-notes-"));
    try {
      const notes = new DiskNotes(new NodeDisk(), join(folder, "notes"));
      assert.equal(notes.read("a"), undefined);
      notes.write("a", "a long text");
      notes.write("a", "short");
      assert.equal(new DiskNotes(new NodeDisk(), join(folder, "notes")).read("a"), "short");
      writeFileSync(join(folder, "notes", "a"), "0000000fnot as lo");
      assert.equal(notes.read("a"), undefined);
      notes.remove("a");
      notes.remove("a");
      assert.equal(notes.read("a"), undefined);
      notes.write("a", "again");
      assert.equal(notes.read("a"), "again");
      notes.close();
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });

  test("that cannot be written are missing, and nothing is thrown", () => {
    const notes = new DiskNotes(new NodeDisk(), "/dev/null/notes");
    notes.write("a", "text");
    assert.equal(notes.read("a"), undefined);
  });
});

/** A generation of two shards that is on trial. */
function onTrial(): Desk {
  const desk = new Desk();
  for (const restarts of [0, 1, 2]) desk.suspects.begin(0, 2, died(restarts, 0));
  return desk;
}
