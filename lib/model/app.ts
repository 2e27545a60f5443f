/** An application as a value: what `defineApp` returns and every thread imports. */
import type { EgressBinding, EgressDefinition } from "./egress.js";
import type { AnyFunctionDefinition } from "./function.js";
import type { IngressDefinition } from "./ingress.js";
import type { AnyNamespaceDefinition } from "./namespace.js";
import type { ScheduleDefinition } from "./schedule.js";

/** What `defineApp` takes. */
export interface AppOptions {
  /** A name that is written into the data directory: another application with the same functions is then told apart. */
  readonly name?: string;
  readonly functions: readonly AnyFunctionDefinition[];
  /** Providers of function types, made by `defineNamespace`. A function of `functions` wins over the provider. */
  readonly namespaces?: readonly AnyNamespaceDefinition[];
  readonly ingresses?: readonly IngressDefinition[];
  /** Sinks, and egresses that only have in-process subscribers (`app.egress`). */
  readonly egresses?: readonly (EgressBinding | EgressDefinition<never>)[];
  /** Messages that are sent again and again, made by `cron` and `every`. More can be added while the application runs. */
  readonly schedules?: readonly ScheduleDefinition[];
}

/** An application definition. Made by `defineApp`; the default export of an application module. */
export class AppDefinition {
  /** The same in every copy of this package that a program may have loaded. */
  static readonly #brand = Symbol.for("holdfast.AppDefinition");

  /** True for an application definition, whichever copy of this package made it. */
  static is(value: unknown): value is AppDefinition {
    return typeof value === "object" && value !== null && AppDefinition.#brand in value;
  }

  readonly name: string | undefined;
  readonly functions: readonly AnyFunctionDefinition[];
  readonly ingresses: readonly IngressDefinition[];
  readonly namespaces: readonly AnyNamespaceDefinition[];
  /** Every egress of the application by name, with its binding if it has one. */
  readonly egresses: ReadonlyMap<
    string,
    { readonly egress: EgressDefinition<never>; readonly binding: EgressBinding | undefined }
  >;

  readonly schedules: readonly ScheduleDefinition[];

  /** @internal Use `defineApp`. */
  constructor(
    name: string | undefined,
    functions: readonly AnyFunctionDefinition[],
    ingresses: readonly IngressDefinition[],
    egresses: AppDefinition["egresses"],
    schedules: readonly ScheduleDefinition[] = [],
    namespaces: readonly AnyNamespaceDefinition[] = [],
  ) {
    this.namespaces = namespaces;
    this.name = name;
    this.functions = functions;
    this.ingresses = ingresses;
    this.egresses = egresses;
    this.schedules = schedules;
    Object.defineProperty(this, AppDefinition.#brand, { value: true });
  }
}
