/**
 * The plain model of the smoke workload: what every instance must have counted, and what must be in the egresses. It knows
 * commands and no engine.
 *
 * F1. A message that is cancelled in the list that sends it never happens. Of one that is cancelled by a later message (a
 *     race) nobody knows before; what was told of the race decides.
 */
import type { Command, Commands, SourceCommand } from "./commands.js";

/** A delayed message, cancelled or not. */
interface Delayed {
  readonly target: number;
  readonly commands: Commands;
}

export class FunctionStateTracker {
  /** By instance: increments. */
  readonly counts: number[];
  /** By instance: messages taken. */
  readonly invocations: number[];
  /** By number: the instance that writes the record. */
  readonly discarded = new Map<number, number>();
  /** By number of a race that is not decided: what was to be sent. */
  readonly races = new Map<number, Delayed>();
  /** By instance and token. */
  readonly #pending = new Map<string, Delayed>();

  constructor(instances: number) {
    this.counts = new Array<number>(instances).fill(0);
    this.invocations = new Array<number>(instances).fill(0);
  }

  /** All messages taken by all instances. */
  get invocationsTotal(): number {
    return this.invocations.reduce((total, count) => total + count, 0);
  }

  apply({ target, commands }: SourceCommand): void {
    this.#receive(target, commands);
  }

  /** F1. False when there is no such race, or it was decided before. */
  decide(race: number, cancelled: boolean): boolean {
    const delayed = this.races.get(race);
    if (delayed === undefined) return false;
    this.races.delete(race);
    if (!cancelled) this.#receive(delayed.target, delayed.commands);
    return true;
  }

  #receive(self: number, commands: Commands): void {
    this.invocations[self]++;
    const cancelled = new Set(
      commands.filter(({ kind }) => kind === "cancelSendAfter").map((command) => tokenOf(command)),
    );
    for (const command of commands) this.#run(self, command, cancelled);
  }

  /** `cancelled`: the tokens that the list itself cancels. */
  #run(self: number, command: Command, cancelled: ReadonlySet<string | undefined>): void {
    switch (command.kind) {
      case "increment":
        this.counts[self]++;
        break;
      case "send":
        this.#receive(command.target, command.commands);
        break;
      case "sendAfter":
        if (command.token === undefined) this.#receive(command.target, command.commands);
        else if (!cancelled.has(command.token)) this.#pending.set(`${self} ${command.token}`, command);
        break;
      case "cancelSendAfter":
        if (command.race !== undefined) this.races.set(command.race, this.#pending.get(`${self} ${command.token}`)!);
        break;
      case "sendEgress":
        this.discarded.set(command.number, self);
        break;
      case "asyncOperation":
        this.#receive(self, command.resolvedCommands);
        break;
      case "verify":
        break;
    }
  }
}

function tokenOf(command: Command): string | undefined {
  return command.kind === "cancelSendAfter" ? command.token : undefined;
}
