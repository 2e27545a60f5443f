/** A chart with one line as SVG: a panel of the page that `plot.ts` draws. */

export interface Chart {
  readonly title: string;
  readonly xName: string;
  readonly points: readonly { readonly x: number; readonly y: number; readonly label: string }[];
  /** Where the x axis is logarithmic, its points are in ratio. */
  readonly logarithmic: boolean;
  /** What a value on the y axis is called. */
  readonly yText: (value: number) => string;
  /** What a value on the x axis is called. */
  readonly xText: (value: number) => string;
}

const margin = { left: 62, right: 26, top: 46, bottom: 50 };
const colour = { ink: "#1f2933", faint: "#68727d", grid: "#e3e7eb", line: "#2563eb" };
const yLines = 4;

/** The chart in a box of this size, at the origin. */
export function drawChart(chart: Chart, width: number, height: number): string {
  const { title, xName, points, xText, yText } = chart;
  const inner = { width: width - margin.left - margin.right, height: height - margin.top - margin.bottom };
  const top = niceTop(Math.max(...points.map(({ y }) => y)));
  const xOf = scale(chart, inner.width);
  const yOf = (y: number): number => margin.top + inner.height * (1 - y / top);
  const parts: string[] = [text(margin.left, 24, title, { size: 15, weight: 600 })];
  for (let line = 0; line <= yLines; line++) {
    const value = (top * line) / yLines;
    const y = yOf(value);
    parts.push(`<path d="M${margin.left} ${place(y)}h${inner.width}" stroke="${colour.grid}"/>`);
    parts.push(text(margin.left - 8, y + 4, yText(value), { anchor: "end", fill: colour.faint }));
  }
  for (const { x } of points) {
    parts.push(text(xOf(x), height - margin.bottom + 20, xText(x), { anchor: "middle", fill: colour.faint }));
  }
  parts.push(text(margin.left + inner.width / 2, height - 10, xName, { anchor: "middle", fill: colour.faint }));
  const line = points.map(({ x, y }) => `${place(xOf(x))} ${place(yOf(y))}`).join("L");
  parts.push(`<path d="M${line}" fill="none" stroke="${colour.line}" stroke-width="2.5" stroke-linejoin="round"/>`);
  for (const { x, y, label } of points) {
    parts.push(
      `<circle cx="${place(xOf(x))}" cy="${place(yOf(y))}" r="4" fill="${colour.line}" stroke="#fff" stroke-width="1.5"/>`,
    );
    parts.push(text(xOf(x), yOf(y) - 11, label, { anchor: "middle", weight: 600 }));
  }
  return parts.join("\n");
}

/** Text at a point. */
export function text(
  x: number,
  y: number,
  content: string,
  style: { readonly size?: number; readonly weight?: number; readonly anchor?: string; readonly fill?: string } = {},
): string {
  const { size = 12, weight = 400, anchor = "start", fill = colour.ink } = style;
  const escaped = content.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
  return `<text x="${place(x)}" y="${place(y)}" font-size="${size}" font-weight="${weight}" text-anchor="${anchor}" fill="${fill}">${escaped}</text>`;
}

/** Where an x is; points keep away from the edges. */
function scale({ points, logarithmic }: Chart, width: number): (x: number) => number {
  const ordered = (x: number): number => (logarithmic ? Math.log(Math.max(1, x)) : x);
  const first = ordered(points[0].x);
  const last = ordered(points[points.length - 1].x);
  const edge = 22;
  if (first === last) return () => margin.left + width / 2;
  return (x) => margin.left + edge + ((width - 2 * edge) * (ordered(x) - first)) / (last - first);
}

/** The end of an axis that has room for a value and a label above it. */
function niceTop(value: number): number {
  const wanted = value * 1.18;
  const unit = 10 ** Math.floor(Math.log10(wanted));
  return (([1, 2, 3, 4, 6, 8].find((step) => step * unit >= wanted) ?? 10) * unit) as number;
}

function place(value: number): string {
  return String(Math.round(value * 10) / 10);
}
