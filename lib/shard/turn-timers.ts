/**
 * What one turn does with delayed messages: sets and cancels them when it is applied, and lets go of what it has
 * cancelled when it fails.
 *
 * Owner: the turn's context. Thread: the shard's.
 * C1. A token has at most one live message: an own one of this turn, or the pending one of an earlier turn.
 * C2. The n-th delayed message of a turn has the same id in every attempt.
 */

import type { Peer } from "../codec/message-codec.js";
import { childHi, childLo } from "../model/message-id.js";
import type { Message } from "./instance.js";
import type { TimerKey } from "./timer-rows.js";
import type { Timers } from "./timers.js";
import type { StagedEffect } from "./turn-context.js";

interface StagedTimer {
  readonly due: number;
  readonly target: Peer;
  readonly token: string | undefined;
  readonly payload: Uint8Array;
  readonly index: number;
  cancelled: boolean;
}

export class TurnTimers implements StagedEffect {
  readonly #timers: Timers;
  readonly #message: Message;
  readonly #sender: Peer;
  readonly #over: () => void;
  readonly #staged: StagedTimer[] = [];
  /** What this turn knows of a token; undefined when nothing is live. */
  readonly #live = new Map<string, StagedTimer | undefined>();
  readonly #held: { readonly key: TimerKey; readonly token: string }[] = [];

  /** `over` is called when the turn was applied or has failed. */
  constructor(timers: Timers, message: Message, over: () => void) {
    this.#timers = timers;
    this.#message = message;
    this.#sender = message.target.entry.peer(message.target.id);
    this.#over = over;
  }

  send(due: number, target: Peer, payload: Uint8Array, token: string | undefined): void {
    if (token !== undefined) this.cancel(token); // C1
    const staged = { due, target, token, payload, index: this.#staged.length, cancelled: false };
    this.#staged.push(staged);
    if (token !== undefined) this.#live.set(token, staged);
  }

  cancel(token: string): boolean {
    const own = this.#live.get(token);
    if (own !== undefined) {
      own.cancelled = true;
      this.#live.set(token, undefined);
      return true;
    }
    if (this.#live.has(token)) return false;
    this.#live.set(token, undefined);
    const key = this.#timers.find(this.#message.keyGroup, this.#sender, token);
    if (key === undefined) return false;
    this.#timers.hold(key);
    this.#held.push({ key, token });
    return true;
  }

  apply(): void {
    this.#over();
    for (const { key, token } of this.#held) this.#timers.remove(key, this.#sender, token);
    for (const timer of this.#staged) {
      if (timer.cancelled) continue;
      const { due, target, token, payload, index } = timer;
      const idLo = childLo(this.#message.idLo ^ domain, index); // C2
      const idHi = childHi(this.#message.idHi, idLo, index);
      this.#timers.add(this.#message.keyGroup, due, { target, sender: this.#sender, token, idHi, idLo, payload });
    }
  }

  discard(): void {
    this.#over();
    for (const { key } of this.#held) this.#timers.release(key);
  }
}

/** Keeps ids of delayed messages apart from those of messages sent at once. */
const domain = 0x7135_a9c3;
