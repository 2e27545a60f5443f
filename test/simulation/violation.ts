/** A rule was broken: the seed fails. */
export class Violation extends Error {
  override readonly name = "Violation";
}

/** Stops the run of a seed when a rule does not hold. */
export function rule(holds: boolean, what: string | (() => string)): asserts holds {
  if (!holds) throw new Violation(typeof what === "string" ? what : what());
}
