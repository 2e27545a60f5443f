/** Optional schemas on messages, state and records: anything that speaks Standard Schema (zod, valibot, arktype, …). */
import type { StandardSchemaV1 } from "@standard-schema/spec";
import { HoldfastError } from "../base/errors.js";

/** A synchronous Standard Schema whose output is `T`, whatever it takes. */
export type Schema<T> = StandardSchemaV1<unknown, T>;

/**
 * Refuses what is not a Standard Schema, and one that is known to be asynchronous. Schemas do not say so themselves,
 * so a probe value is validated once.
 *
 * @throws `HF_BAD_SCHEMA`
 */
export function checkSchema(schema: unknown, what: string): void {
  const standard = (schema as { "~standard"?: { validate?: unknown } } | null | undefined)?.["~standard"];
  if (typeof standard?.validate !== "function") {
    throw new HoldfastError("HF_BAD_SCHEMA", `${what}: not a Standard Schema (zod, valibot, arktype and others are)`);
  }
  let outcome: unknown;
  try {
    outcome = (standard.validate as (value: unknown) => unknown)(undefined);
  } catch {
    return; // a schema that throws on undefined is synchronous; its refusals come out at use
  }
  if (isThenable(outcome)) {
    outcome.then(undefined, () => {}); // its outcome is of no interest, and must not become an unhandled rejection
    throw asynchronous(what);
  }
}

/**
 * Validates a value and returns the schema's output.
 *
 * @throws `HF_SCHEMA` listing the issues with their paths; `HF_BAD_SCHEMA` when the schema turns out asynchronous.
 */
export function validate<T>(schema: Schema<T>, value: unknown, what: string, address?: string): T {
  const outcome = schema["~standard"].validate(value);
  if (isThenable(outcome)) {
    outcome.then(undefined, () => {});
    throw asynchronous(what);
  }
  if (outcome.issues === undefined) return outcome.value as T;
  const issues = outcome.issues.slice(0, 5).map((issue) => {
    const path = (issue.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
    return path === "" ? issue.message : `${path}: ${issue.message}`;
  });
  throw new HoldfastError("HF_SCHEMA", `${what} does not fit its schema: ${issues.join("; ")}`, { address });
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === "function";
}

function asynchronous(what: string): HoldfastError {
  return new HoldfastError(
    "HF_BAD_SCHEMA",
    `${what}: the schema is asynchronous; validation runs inside a turn, use a synchronous one`,
  );
}
