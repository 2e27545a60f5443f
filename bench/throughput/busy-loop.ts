/** Work that takes a known time, and that no compiler can leave out. */

let state = 1;

/** @returns something that depends on every turn of the loop */
export function busyLoop(turns: number): number {
  let x = state;
  for (let turn = 0; turn < turns; turn++) x = (Math.imul(x, 1_664_525) + 1_013_904_223) | 0;
  state = x;
  return x;
}

/** Turns of the loop that take a microsecond on this machine now: the median of some measurements. */
export function busyTurnsPerMicrosecond(): number {
  const turns = 1_000_000;
  const measured: number[] = [];
  for (let n = 0; n < 11; n++) {
    const began = performance.now();
    busyLoop(turns);
    measured.push(turns / ((performance.now() - began) * 1000));
  }
  return measured.sort((a, b) => a - b)[measured.length >> 1] as number;
}
