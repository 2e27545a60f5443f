import assert from "node:assert/strict";
import test, { describe } from "node:test";
import { aloneMaxMs, deathsMax, pendingEndsMax } from "../../lib/base/limits.js";
import type { Extras } from "../../lib/codec/extras.js";
import type { Message } from "../../lib/shard/instance.js";
import type { Suspect, TurnsNote } from "../../lib/shard/ports.js";
import { Trial } from "../../lib/shard/trial.js";

let now = 0;
const clock = { now: () => now, wall: () => 0 };

/** A message to `ids@id`; with a chain it is the question of a turn at the last address of it. */
function message(id: number, chain?: readonly string[]): Message {
  const question = { type: "ids", id: "asker", generation: 1, number: 1, chain };
  const extras = chain === undefined ? undefined : ({ question } as Extras);
  return { idHi: id, idLo: id, hash: id, extras, target: { toString: () => `ids@${id}` } } as unknown as Message;
}

/** A trial in which these messages were blamed once, as they were pending. */
function trialOf(...blamed: readonly Message[]): Trial {
  return new Trial(suspectsOf(blamed), clock, () => {});
}

function suspectsOf(blamed: readonly Message[]): Suspect[] {
  const notes: string[] = [];
  const first = new Trial([], clock, (note) => notes.push(note));
  return blamed.map((each) => {
    first.begins(each);
    const { turn } = JSON.parse(notes.at(-1) as string) as { readonly turn: string };
    return { id: turn, deaths: 1, ends: 0, pending: true, reason: "exit" };
  });
}

function pend(trial: Trial, each: Message): void {
  trial.begins(each);
  trial.pends(each);
}

describe("a message that was blamed", () => {
  test("waits until no other turn is pending", () => {
    const [suspect, other] = [message(1), message(2)];
    const trial = trialOf(suspect);
    pend(trial, other);
    assert.equal(trial.mustWait(suspect), true);
    trial.ended(other);
    assert.equal(trial.mustWait(suspect), false);
  });

  test("keeps others waiting while its turn is pending", () => {
    const suspect = message(1);
    const trial = trialOf(suspect);
    pend(trial, suspect);
    assert.equal(trial.mustWait(message(2)), true);
  });

  test("waits even when it is a question, of a turn that does not run here", () => {
    const [suspect, question] = [message(1), message(2, ["ids@9"])];
    const trial = trialOf(suspect, question);
    pend(trial, suspect);
    assert.equal(trial.mustWait(question), true);
  });

  test("begins when its turn is a question that a pending turn waits for, directly or not", () => {
    const [suspect, question, next] = [message(1), message(2, ["ids@1"]), message(3, ["ids@1", "ids@7"])];
    const trial = trialOf(suspect, question, next);
    pend(trial, suspect);
    assert.equal(trial.mustWait(question), false);
    assert.equal(trial.mustWait(next), false);
  });

  test("lets questions begin that were not blamed, of whoever, as turns may wait for them in a circle", () => {
    const suspect = message(1);
    const trial = trialOf(suspect);
    pend(trial, suspect);
    assert.equal(trial.mustWait(message(2, ["ids@9"])), false);
  });

  test("lets all begin when it has been pending for long, as it may wait for what stands behind them", () => {
    const [suspect, other] = [message(1), message(2)];
    const trial = trialOf(suspect, other);
    pend(trial, suspect);
    for (const each of [other, message(3)]) {
      assert.equal(trial.mustWait(each), true);
      now += aloneMaxMs;
      assert.equal(trial.mustWait(each), false);
      now -= aloneMaxMs;
    }
  });

  test("need not run alone when it ran as its thread died: it was blamed alone", () => {
    const [suspect, other] = [message(1), message(2)];
    const [blamed] = suspectsOf([suspect]);
    const trial = new Trial([{ ...blamed, pending: false }], clock, () => {});
    pend(trial, other);
    assert.equal(trial.mustWait(suspect), false);
    pend(trial, suspect);
    assert.equal(trial.mustWait(message(3)), false);
  });

  test("is not run after enough deaths, or far more ends of processes in the middle of its async turn", () => {
    const suspect = message(1);
    const [blamed] = suspectsOf([suspect]);
    const sentence = (deaths: number, ends: number) =>
      new Trial([{ ...blamed, deaths, ends }], clock, () => {}).sentence(suspect);
    assert.equal(sentence(deathsMax - 1, pendingEndsMax - 1), undefined);
    assert.match(sentence(deathsMax, 1)?.message ?? "", /ids@1: 3 times its thread or the process died/);
    assert.equal(sentence(0, pendingEndsMax)?.code, "HF_KILLS_WORKER");
    assert.ok(pendingEndsMax > 2 * deathsMax);
  });

  test("is written down when it comes through", () => {
    const [suspect, other] = [message(1), message(2)];
    const suspects = suspectsOf([suspect]);
    const notes: TurnsNote[] = [];
    const trial = new Trial(suspects, clock, (note) => notes.push(JSON.parse(note)));
    for (const each of [suspect, other]) {
      pend(trial, each);
      assert.deepEqual(notes.at(-1)?.cleared, each === suspect ? [] : [suspects[0].id]);
      trial.ended(each);
    }
    assert.deepEqual(notes.at(-1)?.cleared, [suspects[0].id]);
  });
});
