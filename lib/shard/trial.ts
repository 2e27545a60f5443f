/**
 * Finds the message that kills its thread or process, after some starts in a row ended badly: writes down what runs
 * before it runs, so that the next start knows.
 *
 * Owner and thread: the shard. There is one only in generations that recovery is suspicious of (snapshot/suspects.ts),
 * and only for a while; otherwise nothing of this costs anything.
 * T1. A note says what runs before it runs, and is there after the death of the process. A synchronous turn that runs is
 *     to blame alone, as the thread does nothing else; else every pending async turn is; else, when nothing runs, the turn
 *     that ended last, as what it has started may go on.
 * T2. One turn begins per step. A message that was blamed because it was pending runs alone: it begins when no other turn
 *     is pending, and while it is pending only questions begin. So of those that were blamed together the innocent come
 *     through, which is written down, too: it says as much when the commit is missing. A question that was blamed itself
 *     begins beside another one only when a pending turn waits for it, directly or not. What is held back may stand
 *     before something that a pending turn waits for, in this shard or, in a circle, in others: so all this ends when a
 *     turn has been pending for `aloneMaxMs`. What was blamed while it ran was blamed alone and needs none of it.
 * T3. A message that was blamed for `deathsMax` deaths, or `pendingEndsMax` ends of processes in the middle of its async
 *     turn (C5 of snapshot/suspects.ts), is not run: its failure policy gets it as if it had failed for good. A
 *     person may have it run once more (`app.quarantine.retry`).
 */
import type { Clock } from "../base/clock.js";
import { HoldfastError } from "../base/errors.js";
import { aloneMaxMs, deathsMax, notedTurnsMax, pendingEndsMax, trialMs } from "../base/limits.js";
import { formatMessageId } from "../model/message-id.js";
import type { Message } from "./instance.js";
import type { Suspect, TurnsNote } from "./ports.js";

export class Trial {
  readonly #clock: Clock;
  readonly #write: (note: string) => void;
  readonly #suspects: Map<string, Suspect>;
  readonly #until: number;
  /** Ids of messages whose async turns are pending, oldest first, with their addresses. */
  readonly #pending = new Map<string, string>();
  #last: string | undefined;
  /** Suspects that came through (T2). */
  readonly #cleared = new Set<string>();
  /** Since when turns have been pending. */
  #aloneSince = 0;

  /** `write` replaces the note (T1). */
  constructor(suspects: readonly Suspect[], clock: Clock, write: (note: string) => void) {
    this.#clock = clock;
    this.#write = write;
    this.#suspects = new Map(suspects.map((suspect) => [suspect.id, suspect]));
    this.#until = clock.now() + trialMs;
  }

  /** Nothing has died for a while. The trial is of no use any more, and neither is its note. */
  get over(): boolean {
    if (this.#clock.now() < this.#until) return false;
    this.#write("");
    return true;
  }

  /** Why a message is not run; undefined when it may be (T3). */
  sentence(message: Message): HoldfastError | undefined {
    const suspect = this.#suspects.get(idOf(message));
    if (suspect === undefined || !this.isCondemned(suspect)) return undefined;
    const address = message.target.toString();
    const { reason } = suspect;
    return new HoldfastError(
      "HF_KILLS_WORKER",
      `${address}: ${this.diedDuring(message)} times its thread or the process died while this message ran (${reason}). It is not run again unless you say so: correct the function, then app.quarantine.retry`,
      { address },
    );
  }

  isCondemned({ deaths, ends }: Suspect): boolean {
    return deaths >= deathsMax || ends >= pendingEndsMax;
  }

  /** How often the thread or the process died during this message's turn. */
  diedDuring(message: Message): number {
    const { deaths, ends } = this.#suspects.get(idOf(message)) ?? { deaths: 0, ends: 0 };
    return deaths + ends;
  }

  /** T2 */
  mustWait(message: Message): boolean {
    if (this.#pending.size === 0 || this.#isAwaited(message)) return false;
    if (this.#clock.now() - this.#aloneSince >= aloneMaxMs) return false;
    if (this.#mustRunAlone(idOf(message))) return true;
    return message.extras?.question === undefined && [...this.#pending.keys()].some((id) => this.#mustRunAlone(id));
  }

  #mustRunAlone(id: string): boolean {
    return this.#suspects.get(id)?.pending ?? false;
  }

  /** A pending turn waits for the reply. */
  #isAwaited({ extras }: Message): boolean {
    const chain = extras?.question?.chain;
    return chain !== undefined && [...this.#pending.values()].some((address) => chain.includes(address));
  }

  /** What was held against a message is settled: it had its sentence, or somebody wants it to run. */
  acquit(message: Message): void {
    this.#suspects.delete(idOf(message));
  }

  /** T1: a turn begins. */
  begins(message: Message): void {
    this.#note(idOf(message));
  }

  /** Its function returned a promise. */
  pends(message: Message): void {
    if (this.#pending.size === 0) this.#aloneSince = this.#clock.now();
    this.#pending.set(idOf(message), message.target.toString());
    this.#note(undefined);
  }

  ended(message: Message): void {
    this.#last = idOf(message);
    this.#pending.delete(this.#last);
    if (this.#suspects.has(this.#last)) this.#cleared.add(this.#last);
    this.#note(undefined);
  }

  #note(turn: string | undefined): void {
    const pending = [...this.#pending.keys()].slice(-notedTurnsMax);
    const note: TurnsNote = { turn, pending, last: this.#last, cleared: [...this.#cleared] };
    this.#write(JSON.stringify(note));
  }
}

/** The same in every attempt, generation and process, also for a message that was never committed. */
function idOf({ idHi, idLo, hash }: Message): string {
  return formatMessageId(idHi, idLo, hash);
}
