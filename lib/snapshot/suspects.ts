/**
 * Which messages may be the ones that threads and processes die of: what recovery keeps of one end to the next.
 *
 *     normal ── ends badly, again and again ──▶ on trial ── a message was blamed enough ──▶ it is not run any more
 *
 * Owner and thread: the storage thread's.
 * C1. A start is suspicious when threads of this process have died twice within the restart window, or when it is the
 *     third of a process in a row, and those before ended without having committed anything: a process may be ended by
 *     anybody at any time, and that its messages are not to blame is the rule. Once there is a suspicion, few commits do
 *     not end it. Then turns are written down (shard/trial.ts).
 * C2. Each end of a generation on trial is looked at once: its notes go with the look.
 * C3. An end that something else explains blames nobody: a stop, a disk error, a thread that did not die by itself.
 * C4. A suspect that came through since is none any more, committed or not, unless this end blames it: processes that
 *     somebody kills early, again and again, would find everybody guilty in time.
 * C5. The end of a process whose turns were only pending says little about them: nothing of theirs ran, and anybody may
 *     have killed it. It is counted apart, as an end and not as a death, and many in a row condemn.
 */
import { epochsInVainMax, suspiciousStarts } from "../base/limits.js";
import type { Notes } from "../log/notes.js";
import type { Suspect, TurnsNote } from "../shard/ports.js";

/** How the generation before ended, as far as this process knows. */
export interface Ending {
  /** Starts of the shards within the restart window because something died; 0 for the first of a process. */
  readonly restarts: number;
  /** Shards whose threads died by themselves, in this process, and why. */
  readonly died: readonly { readonly shard: number; readonly reason: string }[];
}

/** What recovery thinks of the generation that begins. */
export interface Suspicion {
  /** Undefined for a generation like any other. */
  readonly suspects: readonly Suspect[] | undefined;
  /** The last end said something about a message: it was not in vain. */
  readonly learned: boolean;
}

/** The note about the running generation. It is gone after a clean stop. */
interface Record {
  readonly epoch: number;
  /** Bad ends in a row. */
  readonly ends: number;
  readonly shards: number;
  readonly suspects: readonly Suspect[] | undefined;
}

/** Whom an end is held against. */
interface Blame {
  readonly ids: readonly string[];
  /** Their async turns were pending, and nothing ran. */
  readonly pending: boolean;
}

/** An end in which no thread of this process died. */
export const firstStart: Ending = { restarts: 0, died: [] };

const recordName = "generation";

/** The note in which a shard on trial says what runs. */
export function turnsNoteName(shard: number): string {
  return `turns-${shard}`;
}

export class Suspects {
  readonly #notes: Notes;
  #shards = 0;

  constructor(notes: Notes) {
    this.#notes = notes;
  }

  /** A generation begins at a committed epoch; the one before did not stop by itself, unless it left no note. */
  begin(epoch: number, shards: number, ending: Ending): Suspicion {
    this.#shards = shards;
    const old = parsed<Record>(this.#notes.read(recordName));
    const ends = old === undefined ? 0 : this.#wasInVain(old, epoch) ? old.ends + 1 : 1;
    const turns = old?.suspects === undefined ? [] : this.#turns(old.shards);
    const blamed = this.blame(turns, ending);
    this.#forgetTurns(old?.shards ?? 0); // C2
    const suspicious = ends + 1 >= suspiciousStarts || ending.restarts + 1 >= suspiciousStarts; // C1
    const cleared = new Set(turns.flatMap((note) => note?.cleared ?? []).filter((id) => !blamed.ids.includes(id))); // C4
    const former = old?.suspects?.filter(({ id }) => !cleared.has(id)) ?? [];
    const suspects = suspicious ? added(former, blamed, ending) : undefined;
    this.#notes.write(recordName, JSON.stringify({ epoch, ends, shards, suspects } satisfies Record));
    return { suspects, learned: suspicious && blamed.ids.length > 0 };
  }

  /** The generation ends because somebody wants it to. */
  stopped(): void {
    this.#notes.remove(recordName);
    this.#forgetTurns(this.#shards);
  }

  /** Which messages to blame for an end (T1 of shard/trial.ts, C3, C5). */
  blame(turns: readonly (TurnsNote | undefined)[], { restarts, died }: Ending): Blame {
    const looked = restarts === 0 ? turns : died.map(({ shard }) => turns[shard]);
    const noted = looked.filter((note) => note !== undefined);
    const running = noted.flatMap(({ turn }) => turn ?? []);
    if (running.length > 0) return { ids: running, pending: false };
    const pending = noted.flatMap((note) => note.pending);
    if (pending.length > 0) return { ids: pending, pending: true };
    if (restarts === 0) return { ids: [], pending: false }; // a process may have been killed between two turns
    return { ids: noted.flatMap(({ last }) => last ?? []), pending: false };
  }

  /** C1 */
  #wasInVain(old: Record, epoch: number): boolean {
    return epoch - old.epoch <= (old.suspects === undefined ? 0 : epochsInVainMax);
  }

  #forgetTurns(shards: number): void {
    for (let shard = 0; shard < shards; shard++) this.#notes.remove(turnsNoteName(shard));
  }

  #turns(shards: number): (TurnsNote | undefined)[] {
    return Array.from({ length: shards }, (_, shard) => parsed<TurnsNote>(this.#notes.read(turnsNoteName(shard))));
  }
}

function added(suspects: readonly Suspect[], { ids, pending }: Blame, ending: Ending): Suspect[] {
  const all = new Map(suspects.map((suspect) => [suspect.id, suspect]));
  const isEnd = pending && ending.restarts === 0; // C5
  const reason = reasonOf(ending);
  for (const id of ids) {
    const { deaths, ends } = all.get(id) ?? { deaths: 0, ends: 0 };
    all.set(id, { id, deaths: isEnd ? deaths : deaths + 1, ends: isEnd ? ends + 1 : ends, pending, reason });
  }
  return [...all.values()];
}

function reasonOf({ restarts, died }: Ending): string {
  return restarts === 0 ? "the process ended" : died.map(({ reason }) => reason).join("; ");
}

function parsed<T>(text: string | undefined): T | undefined {
  if (text === undefined || text === "") return undefined;
  try {
    return JSON.parse(text) as T;
  } catch {
    return undefined; // torn
  }
}
