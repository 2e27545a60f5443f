/** What the fuzzers share: what a target is, and what any target must do with any input. */
import assert from "node:assert/strict";
import type { IRawProperty } from "fast-check";
import { HoldfastError } from "../../lib/base/errors.js";

/** One thing that takes what comes from outside, with inputs for it. */
export interface Target {
  /** `area/what`. */
  readonly name: string;
  readonly property: IRawProperty<unknown>;
}

const prototypes: readonly object[] = [Object.prototype, Array.prototype, Map.prototype, String.prototype];
const ownBefore = prototypes.map((each) => Reflect.ownKeys(each).length);

/** The value of a call; undefined when it throws a typed error. Any other error is a failure, and so is pollution. */
export function valueOrTyped<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch (error) {
    assert.ok(error instanceof HoldfastError, `not a HoldfastError: ${String(error)}`);
    return undefined;
  } finally {
    assertUnpolluted();
  }
}

/** Nothing was added to what every object inherits from. */
export function assertUnpolluted(): void {
  assert.deepEqual(
    prototypes.map((each) => Reflect.ownKeys(each).length),
    ownBefore,
    "a prototype was polluted",
  );
}
