/**
 * Makes source commands as StateFun's `CommandGenerator` does: same weights, depths and lists.
 *
 * Two things are added. What is cancelled carries an increment. And half of the cancellations are races: the cancelling
 * comes in a later turn, about when the message is due.
 */
import type { Random } from "../../lib/base/random.js";
import type { Command, Commands, SourceCommand } from "./commands.js";

/** The defaults are those of StateFun's `SmokeRunnerParameters`. */
export interface SmokeParameters {
  readonly instances: number;
  readonly commandDepth: number;
  readonly maxCommandsPerDepth: number;
  readonly stateModificationsPr: number;
  readonly sendPr: number;
  readonly sendAfterPr: number;
  readonly asyncSendPr: number;
  readonly noopPr: number;
  readonly sendEgressPr: number;
  readonly sendAfterWithCancellationPr: number;
}

export const defaultParameters: SmokeParameters = {
  instances: 1_000,
  commandDepth: 10,
  maxCommandsPerDepth: 3,
  stateModificationsPr: 0.4,
  sendPr: 0.9,
  sendAfterPr: 0.1,
  asyncSendPr: 0.1,
  noopPr: 0.2,
  sendEgressPr: 0.03,
  sendAfterWithCancellationPr: 0.1,
};

const delayMs = 1;
/** What is cancelled in its own turn would come long after the run. */
const longDelayMs = 3_600_000;
const raceMsMax = 6;
/** The same at every address, because a token belongs to its address. */
const atOnceToken = "at once";

/** Adds commands to a list that instance `self` will run. */
type Generator = (list: Command[], depth: number, self: number) => void;

export class CommandGenerator {
  readonly #parameters: SmokeParameters;
  readonly #random: Random;
  readonly #weighted: readonly { readonly until: number; readonly add: Generator }[];
  /** By instance: races so far. The tokens of different addresses are the same, those of one address never. */
  readonly #races: number[];
  #race = 0;
  #egressNumber = 0;

  constructor(parameters: SmokeParameters, random: Random) {
    this.#parameters = parameters;
    this.#random = random;
    this.#races = new Array<number>(parameters.instances).fill(0);
    this.#weighted = cumulated([
      [parameters.stateModificationsPr, (list) => list.push({ kind: "increment" })],
      [parameters.sendPr, (list, depth) => list.push({ kind: "send", ...this.#message(depth) })],
      [parameters.sendAfterPr, (list, depth) => list.push({ kind: "sendAfter", delayMs, ...this.#message(depth) })],
      [parameters.asyncSendPr, (list, depth, self) => list.push(this.#operation(depth, self))],
      [parameters.noopPr, () => {}],
      [parameters.sendEgressPr, (list) => list.push(this.#sendEgress())],
      [parameters.sendAfterWithCancellationPr, (list, _, self) => list.push(...this.#cancellation(self))],
    ]);
  }

  get(): SourceCommand {
    const depth = this.#random.below(this.#parameters.commandDepth);
    const target = this.#target();
    return { target, commands: this.#commands(depth, target) };
  }

  #commands(depth: number, self: number): Commands {
    const list: Command[] = [];
    const draws = depth <= 0 ? 0 : this.#random.below(this.#parameters.maxCommandsPerDepth);
    for (let draw = 0; draw < draws; draw++) {
      const at = this.#random.next();
      this.#weighted.find(({ until }) => at < until)?.add(list, depth, self);
    }
    return list.length === 0 ? [{ kind: "increment" }] : list;
  }

  #target(): number {
    return this.#random.below(this.#parameters.instances);
  }

  #message(depth: number): { target: number; commands: Commands } {
    const target = this.#target();
    return { target, commands: this.#commands(depth - 1, target) };
  }

  #operation(depth: number, self: number): Command {
    const failure = this.#random.below(2) === 0;
    return { kind: "asyncOperation", failure, resolvedCommands: this.#commands(depth - 1, self) };
  }

  #sendEgress(): Command {
    return { kind: "sendEgress", number: this.#egressNumber++ };
  }

  #cancellation(self: number): Command[] {
    const target = this.#target();
    if (this.#random.below(2) === 0) {
      const token = atOnceToken;
      const commands: Commands = [{ kind: "increment" }];
      return [
        { kind: "sendAfter", target, delayMs: longDelayMs, token, commands },
        { kind: "cancelSendAfter", token },
      ];
    }
    const token = `race ${this.#races[self]++}`;
    const commands: Commands = [{ kind: "increment" }, this.#sendEgress()];
    const cancel: Commands = [{ kind: "cancelSendAfter", token, race: this.#race++ }];
    return [
      { kind: "sendAfter", target, delayMs: this.#random.below(raceMsMax), token, commands },
      { kind: "sendAfter", target: self, delayMs: this.#random.below(raceMsMax), commands: cancel },
    ];
  }
}

function cumulated(
  weights: readonly (readonly [weight: number, add: Generator])[],
): { until: number; add: Generator }[] {
  const sum = weights.reduce((total, [weight]) => total + weight, 0);
  let before = 0;
  return weights.map(([weight, add], place) => {
    before += weight;
    return { until: place === weights.length - 1 ? 1 : before / sum, add };
  });
}
