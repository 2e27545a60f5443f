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

/** A trial in which these messages were blamed once. */
function trialOf(...blamed: readonly Message[]): Trial {
  return new Trial(suspectsOf(blamed), clock, () => {});
}

function suspectsOf(blamed: readonly Message[]): Suspect[] {
  const notes: string[] = [];
  const first = new Trial([], clock, (note) => notes.push(note));
  return blamed.map((each) => {
    first.begins(each);
    const { turn } = JSON.parse(notes.at(-1) as string) as { readonly turn: string };
    return { id: turn, deaths: 1, ends: 0, reason: "exit" };
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

  test("lets questions begin that it waits for, directly or not", () => {
    const suspect = message(1);
    const trial = trialOf(suspect);
    pend(trial, suspect);
    assert.equal(trial.mustWait(message(2, ["ids@1"])), false);
    assert.equal(trial.mustWait(message(3, ["ids@1", "ids@7"])), false);
  });

  test("lets other questions begin after a while, as their turns may wait in a circle, but no others that were blamed", () => {
    const [suspect, other] = [message(1), message(2, ["ids@9"])];
    const trial = trialOf(suspect, other);
    pend(trial, suspect);
    const question = message(3, ["ids@9"]);
    assert.equal(trial.mustWait(question), true);
    now += aloneMaxMs;
    assert.equal(trial.mustWait(question), false);
    assert.equal(trial.mustWait(other), true);
    assert.equal(trial.mustWait(message(4)), true, "nobody waits for it");
  });

  test("is not run after enough deaths, or far more ends of processes in the middle of its async turn", () => {
    const suspect = message(1);
    const [{ id, reason }] = suspectsOf([suspect]);
    const sentence = (deaths: number, ends: number) =>
      new Trial([{ id, reason, deaths, ends }], clock, () => {}).sentence(suspect);
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
