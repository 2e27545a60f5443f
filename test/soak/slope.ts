/** A straight line through points, by least squares. */

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Processes that it takes for a line: with fewer, memory is not judged. */
export const judgedLivesMin = 5;

/** How much `y` grows with one of `x`; 0 when all points have the same `x`, or there are none. */
export function slope(points: readonly Point[]): number {
  const mean = (pick: (point: Point) => number): number =>
    points.reduce((sum, point) => sum + pick(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const spread = points.reduce((sum, point) => sum + (point.x - x) ** 2, 0);
  if (points.length === 0 || spread === 0) return 0;
  return points.reduce((sum, point) => sum + (point.x - x) * (point.y - y), 0) / spread;
}
