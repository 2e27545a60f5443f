/** The line through the memory of a soak. */
import assert from "node:assert/strict";
import test from "node:test";
import { slope } from "../soak/slope.js";

test("the slope of points on a line is that of the line, and of points around it that of the best one", () => {
  const points = [0, 1, 2, 3, 4].map((x) => ({ x, y: 2 * x + 1 }));
  assert.equal(slope(points), 2);
  const off = [1, -1, 0, -1, 1]; // of no slope themselves
  assert.ok(Math.abs(slope(points.map(({ x, y }) => ({ x, y: y + off[x] }))) - 2) < 1e-12);
});

test("one point, or none, has no slope", () => {
  assert.deepEqual([slope([]), slope([{ x: 3, y: 5 }])], [0, 0]);
});
