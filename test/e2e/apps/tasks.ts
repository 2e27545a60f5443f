/** Tasks for a pool thread. */
import { existsSync, writeFileSync } from "node:fs";

export function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

export async function describe(input: { readonly at: Date; readonly parts: Map<string, bigint> }): Promise<unknown> {
  await Promise.resolve();
  return { year: input.at.getUTCFullYear(), parts: input.parts };
}

export function fail(message: string): never {
  throw Object.assign(new RangeError(message), { code: "E_TASK" });
}

/** Keeps its thread busy until the file exists; says that it has begun. */
export function spin({ began, until }: { readonly began: string; readonly until: string }): string {
  writeFileSync(began, "");
  while (!existsSync(until));
  return "spun";
}

export function odd(): unknown {
  return { call: () => 1 };
}

export function length(buffer: ArrayBuffer): number {
  return buffer.byteLength;
}
