/** What a series of rounds says. */

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** (largest - smallest) / median */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

/** Three significant digits or more: what a result line shows. */
export function rounded(value: number, digits = 3): number {
  return Math.abs(value) >= 10 ** digits ? Math.round(value) : Number(value.toPrecision(digits));
}

/** `2.03 M/s` */
export function millions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(2)} M/s`;
}

/** A number with so many digits behind the point. */
export function decimals(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}

/** The value that a part of them do not exceed: 0.99 for the 99th percentile. They are in ascending order. */
export function quantile(ascending: readonly number[], part: number): number {
  return ascending[Math.min(ascending.length - 1, Math.floor(part * ascending.length))];
}
