/** What an application module is made of. */
import { HoldfastError } from "../base/errors.js";
import { copyPlain } from "../codec/plain-data.js";
import { AppDefinition, type AppOptions } from "../model/app.js";
import { type EgressBinding, EgressDefinition } from "../model/egress.js";
import { checkFailurePolicy, deadLetterTarget } from "../model/failure.js";
import {
  type AnyFunctionDefinition,
  FunctionDefinition,
  type FunctionOptions,
  type TypeToken,
} from "../model/function.js";
import { checkIngressName, checkStateName, checkTypeName, namespaceOf } from "../model/function-type.js";
import { rejectsName } from "../model/ingress.js";
import { type HandlerOptions, type MatchOptions, type MessageOf, withHandlers } from "../model/match.js";
import { type AnyNamespaceDefinition, checkDynamicId, NamespaceDefinition } from "../model/namespace.js";
import { checkSchema, type Schema } from "../model/schema.js";
import type { StateSpecs } from "../model/state.js";
import { checkStateSpec } from "./define-state.js";

/**
 * Declares a function type. The message type is that of `receive`'s second parameter (or of the `message` schema).
 *
 * @param type `namespace/name`, at most 256 bytes; part of the stored data: renaming it loses its state
 * @throws `HF_BAD_NAME`, `HF_BAD_SCHEMA`, `HF_BAD_VALUE` (an initial value that is not plain data), `HF_BAD_APP`
 * @example
 * const counter = defineFunction("shop/counter", {
 *   state: { count: value(0) },
 *   receive(ctx, message: { add: number }) {
 *     ctx.state.count.update((n) => n + message.add);
 *   },
 * });
 */
export function defineFunction<M, S extends StateSpecs = Record<never, never>, R = never>(
  type: string,
  options: FunctionOptions<M, S, R>,
): FunctionDefinition<M, S, R>;
export function defineFunction<
  M extends { readonly [tag in T]: string },
  S extends StateSpecs = Record<never, never>,
  R = never,
  T extends string = "type",
>(type: string, options: MatchOptions<M, S, R, T>): FunctionDefinition<M, S, R>;
export function defineFunction<
  P extends object,
  S extends StateSpecs = Record<never, never>,
  R = never,
  T extends string = "type",
>(type: string, options: HandlerOptions<P, S, R, T>): FunctionDefinition<MessageOf<P, T>, S, R>;
// biome-ignore lint/suspicious/noExplicitAny: the overloads say what the options are
export function defineFunction(type: string, given: any): AnyFunctionDefinition {
  checkTypeName(type, "function");
  const byTag = typeof given?.receive === "object" && given.receive !== null;
  const options: FunctionOptions<unknown, StateSpecs, unknown> = byTag ? withHandlers(type, given) : given;
  if (typeof options?.receive !== "function") {
    throw new HoldfastError("HF_BAD_APP", `function ${type} has no receive(ctx, message)`);
  }
  for (const [name, spec] of Object.entries(options.state ?? {})) {
    checkStateName(name, type);
    checkStateSpec(name, type, spec);
  }
  if (options.message !== undefined) checkSchema(options.message, `message of ${type}`);
  checkPendingOperations(type, options.pendingOperations);
  if (options.failure !== undefined) checkFailurePolicy(type, options.failure);
  return new FunctionDefinition(type, options);
}

function checkPendingOperations(type: string, limit: number | undefined): void {
  if (limit === undefined || (Number.isInteger(limit) && limit >= 1 && limit <= 100_000)) return;
  throw new HoldfastError("HF_BAD_APP", `pendingOperations of ${type} is a whole number from 1 to 100,000`);
}

/**
 * Declares all function types of a namespace that `functions` does not define. `provide` is called once per type and
 * thread, with the first message to it, and must give the same for the same name, always: it is called again after a
 * restart. All of them take the same messages.
 *
 * @param pattern `namespace/*`
 * @param provide makes the function type with `defineFunction`, from its full name and the part of it after the slash;
 *   what it throws is thrown by the send
 * @throws `HF_BAD_NAME`, `HF_BAD_APP`
 * @example
 * const tenants = defineNamespace("tenant/*", (type) =>
 *   defineFunction(type, {
 *     state: { count: value(0) },
 *     receive(ctx, message: { add: number }) {
 *       ctx.state.count.update((n) => n + message.add);
 *     },
 *   }),
 * );
 * await app.send(tenants.at("acme", "orders"), { add: 1 });
 */
export function defineNamespace<M, S extends StateSpecs, R>(
  pattern: `${string}/*`,
  provide: (type: string, name: string) => FunctionDefinition<M, S, R>,
): NamespaceDefinition<M, R> {
  checkTypeName(pattern, "namespace");
  if (!pattern.endsWith("/*")) {
    throw new HoldfastError("HF_BAD_NAME", `namespace ${JSON.stringify(pattern)}: it must be "namespace/*"`);
  }
  if (typeof provide !== "function") throw new HoldfastError("HF_BAD_APP", `namespace ${pattern} has no provider`);
  const namespace = namespaceOf(pattern);
  return new NamespaceDefinition<M, R>(namespace, (type) => {
    checkTypeName(type, "function");
    const definition = provide(type, type.slice(namespace.length + 1));
    if (definition?.type === type) return definition as never;
    throw new HoldfastError("HF_BAD_APP", `the provider of ${pattern} gave another function than ${type}`);
  });
}

/**
 * Declares an egress: a typed name for results.
 *
 * @param name `namespace/name`, at most 256 bytes
 * @param options `schema`: checked at every `ctx.emit`
 * @throws `HF_BAD_NAME`, `HF_BAD_SCHEMA`
 */
export function defineEgress<T>(name: string, options: { readonly schema?: Schema<T> } = {}): EgressDefinition<T> {
  checkTypeName(name, "egress");
  if (options.schema !== undefined) checkSchema(options.schema, `egress ${name}`);
  return new EgressDefinition<T>(name, options.schema);
}

/**
 * Puts an application together. Its module's default export; every thread imports it.
 *
 * @throws `HF_BAD_APP` for duplicate names or parts that were not made by the `define…` functions, `HF_BAD_NAME`
 */
export function defineApp(options: AppOptions): AppDefinition {
  const functions = options?.functions;
  const namespaces = options?.namespaces ?? [];
  if (!Array.isArray(functions) || functions.length + namespaces.length === 0) {
    throw new HoldfastError("HF_BAD_APP", "defineApp needs functions: [ … ] with at least one function");
  }
  unique(namespaces, "namespace", (definition: AnyNamespaceDefinition) => {
    if (typeof definition?.provide !== "function") throw notMadeBy("namespaces", "defineNamespace");
    return definition.namespace;
  });
  unique(functions, "function", (definition: AnyFunctionDefinition) => {
    if (typeof definition?.at !== "function") throw notMadeBy("functions", "defineFunction");
    return definition.type;
  });
  const ingresses = options.ingresses ?? [];
  unique(ingresses, "ingress", (ingress) => {
    if (typeof ingress?.open !== "function") throw notMadeBy("ingresses", "an ingress such as ndjsonIngress");
    checkIngressName(ingress.name);
    return ingress.name;
  });
  const egresses = new Map<string, { egress: EgressDefinition<never>; binding: EgressBinding | undefined }>();
  for (const given of options.egresses ?? []) {
    const binding = "open" in given ? given : undefined;
    const egress = binding?.egress ?? (given as EgressDefinition<never>);
    if (typeof egress?.name !== "string") throw notMadeBy("egresses", "defineEgress or a sink such as ndjsonEgress");
    if (egresses.has(egress.name)) throw new HoldfastError("HF_BAD_APP", `egress ${egress.name} is given twice`);
    egresses.set(egress.name, { egress, binding });
  }
  for (const { name, rejects } of ingresses)
    egresses.set(rejectsName(name), { egress: rejects.egress, binding: rejects });
  const takes = (type: string, id: string): boolean => {
    if (functions.some((definition: AnyFunctionDefinition) => definition.type === type)) return true;
    if (!namespaces.some(({ namespace }) => namespace === namespaceOf(type))) return false;
    checkTypeName(type, "function");
    checkDynamicId(type, id);
    return true;
  };
  for (const definition of functions) checkDeadLetters(definition, takes, egresses);
  if (options.name !== undefined && (typeof options.name !== "string" || options.name === "")) {
    throw new HoldfastError("HF_BAD_APP", "the name of an application is a non-empty string");
  }
  const schedules = options.schedules ?? [];
  unique(schedules, "schedule", (schedule) => {
    if (typeof schedule?.when?.kind !== "string") throw notMadeBy("schedules", "cron or every");
    return schedule.name;
  });
  for (const { name, to, message } of schedules) {
    if (!takes(to.type, to.id)) {
      throw new HoldfastError("HF_BAD_APP", `schedule ${name} is for ${to.type}, which is not among the functions`);
    }
    copyPlain(message, `message of schedule ${name}`);
  }
  return new AppDefinition(options.name, [...functions], [...ingresses], egresses, [...schedules], [...namespaces]);
}

/** Carries a type to a declaration: `reply: type<{ total: number }>()`. */
export function type<T>(): TypeToken<T> {
  return {};
}

function checkDeadLetters(
  { type, options }: AnyFunctionDefinition,
  takes: (type: string, id: string) => boolean,
  egresses: AppDefinition["egresses"],
): void {
  const target = deadLetterTarget(options.failure?.after);
  if (target === undefined) return;
  const known = target.type === undefined ? egresses.has(target.egress) : takes(target.type, target.id);
  if (known) return;
  throw new HoldfastError(
    "HF_BAD_APP",
    `dead letters of ${type} go to ${target.type ?? target.egress}, which is not part of the application: add it to defineApp`,
  );
}

function unique<T>(list: readonly T[], what: string, nameOf: (element: T) => string): void {
  const seen = new Set<string>();
  for (const element of list) {
    const name = nameOf(element);
    if (seen.has(name)) throw new HoldfastError("HF_BAD_APP", `${what} ${name} is given twice`);
    seen.add(name);
  }
}

function notMadeBy(list: string, maker: string): HoldfastError {
  return new HoldfastError("HF_BAD_APP", `defineApp({ ${list} }) holds something that was not made by ${maker}`);
}
