/** Runs on a thread of the pool. */
export function twice(id: number): number {
  return 2 * id;
}
