import { HoldfastError } from "./errors.js";

/**
 * Stops at once when an assumption of the engine is broken. Stays on in production: a wrong state that carries on
 * becomes a wrong commit.
 *
 * @throws `HF_INVARIANT` when `condition` is false.
 */
export function invariant(condition: boolean, what: string): asserts condition {
  if (!condition) throw new HoldfastError("HF_INVARIANT", `broken invariant: ${what}`);
}

/** The end of a `switch` over a closed union; reached only when the union and the code have drifted apart. */
export function unreachable(value: never): never {
  throw new HoldfastError("HF_INVARIANT", `unreachable: ${String(value)}`);
}
