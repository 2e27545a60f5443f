/** `npm run plot`: draws the newest result of `curve` as `bench/results/curve.svg`. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { newestResult, resultsDirectory, type SavedResult } from "../results.js";
import { type Chart, drawChart, text } from "./chart.js";
import type { CurvePoint, CurveSeries } from "./curve.js";

const panel = { width: 520, height: 300 };
const head = 76;
const gap = 8;

const saved = newestResult("curve");
if (saved === undefined) {
  console.error("there is no result of curve: npm run bench -- curve --save");
  process.exitCode = 1;
} else {
  const path = join(resultsDirectory, "curve.svg");
  writeFileSync(path, page(saved));
  console.log(path);
}

/** Two rows of two charts under a title that says where the numbers are from. */
function page({ at, commit, node, machine, result }: SavedResult): string {
  const charts = chartsOf(result.series as CurveSeries);
  const width = 2 * panel.width + gap;
  const height = head + 2 * panel.height + gap;
  const { cpu, cores, memoryGiB } = machine;
  const where = `${cpu}, ${cores} cores, ${memoryGiB} GiB · Node ${node.slice(1)} · ${at.slice(0, 10)}, commit ${commit} · medians of ${result.rounds} rounds`;
  const panels = charts.map((chart, index) => {
    const x = (index % 2) * (panel.width + gap);
    const y = head + Math.floor(index / 2) * (panel.height + gap);
    return `<g transform="translate(${x} ${y})">\n${drawChart(chart, panel.width, panel.height)}\n</g>`;
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif">`,
    "<title>Scale curve of Holdfast</title>",
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    text(24, 34, "Holdfast: hop workload, exactly once, on disk", { size: 20, weight: 700 }),
    text(24, 58, where, { size: 12, fill: "#68727d" }),
    ...panels,
    "</svg>",
    "",
  ].join("\n");
}

function chartsOf({ shards, textLength, addresses }: CurveSeries): Chart[] {
  const millions = (value: number): string => (value === 0 ? "0" : `${trimmed(value)} M/s`);
  const micros = (value: number): string => (value === 0 ? "0" : `${trimmed(value)} µs`);
  const throughput = (points: readonly CurvePoint[]): Chart["points"] =>
    points.map(({ x, perSecond }) => ({ x, y: perSecond / 1e6, label: trimmed(perSecond / 1e6) }));
  return [
    {
      title: "Messages per second by shards",
      xName: "shards",
      points: throughput(shards),
      logarithmic: false,
      xText: String,
      yText: millions,
    },
    {
      title: "Messages per second by size",
      xName: "characters of text in a message",
      points: throughput(textLength).map((point) => ({ ...point, x: Math.max(10, point.x) })),
      logarithmic: true,
      xText: (x) => (x === 10 ? "0" : short(x)),
      yText: millions,
    },
    {
      title: "Messages per second by addresses with state",
      xName: "addresses",
      points: throughput(addresses),
      logarithmic: true,
      xText: short,
      yText: millions,
    },
    {
      title: "Cost of a message as state grows",
      xName: "addresses",
      points: addresses
        .filter(({ x }) => x >= 10_000 || addresses.length < 4)
        .map(({ x, perSecond }) => ({ x, y: 1e6 / perSecond, label: trimmed(1e6 / perSecond) })),
      logarithmic: true,
      xText: short,
      yText: micros,
    },
  ];
}

function short(value: number): string {
  if (value >= 1_000_000) return `${value / 1_000_000} M`;
  return value >= 1_000 ? `${value / 1_000} k` : String(value);
}

function trimmed(value: number): string {
  return String(Number(value.toPrecision(3)));
}
