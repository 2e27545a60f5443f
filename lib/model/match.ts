/** Dispatch of tagged messages: one handler per tag instead of one `receive`. */
import { HoldfastError } from "../base/errors.js";
import type { Context } from "./context.js";
import type { CommonOptions, FunctionOptions, TypeToken } from "./function.js";
import type { Schema } from "./schema.js";
import type { StateSpecs } from "./state.js";

/** The messages that handlers take: for each handler its tag beside what its second parameter says. */
export type MessageOf<P, T extends string = "type"> = {
  [K in keyof P & string]: { readonly [tag in T]: K } & P[K];
}[keyof P & string];

/** Handlers whose parameters say what the messages are. `P` is inferred: for each tag the type of its messages. */
export interface HandlerOptions<P, S extends StateSpecs, R, T extends string = "type"> extends CommonOptions<S, R> {
  /** The field of a message that names its handler. Default `"type"`. */
  readonly tag?: T;
  /** One handler per tag. */
  readonly receive: {
    readonly [K in keyof P]: (ctx: Context<S, R, never>, message: P[K]) => void | PromiseLike<void>;
  };
}

/** Handlers for a message type that is declared: each of its tags must have one. */
export interface MatchOptions<
  M extends { readonly [tag in T]: string },
  S extends StateSpecs,
  R,
  T extends string = "type",
> extends CommonOptions<S, R> {
  /** The messages: `type<M>()`, or a schema that is checked when a message enters from outside. */
  readonly message: TypeToken<M> | Schema<M>;
  /** The field of a message that names its handler. Default `"type"`. */
  readonly tag?: T;
  /** One handler per tag. */
  readonly receive: {
    readonly [K in M[T]]: (
      ctx: Context<S, R, M>,
      message: Extract<M, { readonly [tag in T]: K }>,
    ) => void | PromiseLike<void>;
  };
}

/** The handlers of a function that dispatches by tag. */
export class Handlers {
  readonly tag: string;
  readonly #type: string;
  readonly #byTag: ReadonlyMap<unknown, (ctx: never, message: never) => void | PromiseLike<void>>;

  /** @throws `HF_BAD_APP` */
  constructor(type: string, tag: unknown, handlers: object) {
    if (typeof tag !== "string" || tag === "") {
      throw new HoldfastError("HF_BAD_APP", `function ${type}: tag must be the name of a field`);
    }
    const entries = Object.entries(handlers);
    const wrong = entries.find(([, handler]) => typeof handler !== "function");
    if (entries.length === 0 || wrong !== undefined) {
      const what = wrong === undefined ? "has no handlers" : `: the handler ${wrong[0]} is not a function`;
      throw new HoldfastError("HF_BAD_APP", `the receive of function ${type} ${what}`);
    }
    this.#type = type;
    this.tag = tag;
    this.#byTag = new Map(entries.map(([name, handler]) => [name, handler.bind(handlers)]));
  }

  /** @throws `HF_UNKNOWN_MESSAGE` when there is no handler for the tag of a message */
  handlerOf(message: unknown): (ctx: never, message: never) => void | PromiseLike<void> {
    const tag =
      typeof message === "object" && message !== null ? (message as Record<string, unknown>)[this.tag] : undefined;
    const handler = this.#byTag.get(tag);
    if (handler !== undefined) return handler;
    const shown = typeof tag === "string" ? JSON.stringify(tag.slice(0, 100)) : typeof tag;
    throw new HoldfastError(
      "HF_UNKNOWN_MESSAGE",
      `${this.#type} has no handler for a message whose ${this.tag} is ${shown}: it has ${[...this.#byTag.keys()].join(", ")}`,
    );
  }
}

/** Options with handlers as options with one `receive`. */
export function withHandlers(
  type: string,
  // biome-ignore lint/suspicious/noExplicitAny: the types were checked by the overloads of defineFunction
  options: any,
): FunctionOptions<unknown, StateSpecs, unknown> {
  const { receive, tag = "type", message, ...rest } = options;
  const handlers = new Handlers(type, tag, receive);
  return {
    ...rest,
    ...(message !== undefined && "~standard" in message ? { message } : {}),
    handlers,
    receive: (ctx, given) => handlers.handlerOf(given)(ctx as never, given as never),
  };
}
