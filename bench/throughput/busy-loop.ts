/**
 * Work that takes a known time, and that no compiler can leave out.
 *
 * The number lives in a typed array, not in a variable: inlined into a shard's turn V8 kept a variable in another
 * representation, and the same loop took five times as long there as where it was calibrated.
 */

const word = new Int32Array(1);

/** @returns something that depends on every turn of the loop */
export function busyLoop(turns: number): number {
  for (let turn = 0; turn < turns; turn++) word[0] = Math.imul(word[0] as number, 1_664_525) + 1_013_904_223;
  return word[0] as number;
}

/** Turns of the loop that take a microsecond on this machine now: the median of some measurements. */
export function busyTurnsPerMicrosecond(): number {
  const turns = 300_000;
  const measured: number[] = [];
  for (let n = 0; n < 11; n++) {
    const began = performance.now();
    busyLoop(turns);
    measured.push(turns / ((performance.now() - began) * 1000));
  }
  return measured.sort((a, b) => a - b)[measured.length >> 1] as number;
}
