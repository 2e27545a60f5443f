/** The declaration of a function type. */
import { Address, checkId } from "./address.js";
import type { Context } from "./context.js";
import type { FailurePolicy } from "./failure.js";
import type { Handlers } from "./match.js";
import type { Schema } from "./schema.js";
import type { StateSpecs } from "./state.js";

declare const replyType: unique symbol;

/** Carries a type to a declaration that has no value for it. Made by `type<R>()`. */
export interface TypeToken<T> {
  readonly [replyType]?: T;
}

/** What every function may declare beside what it receives. */
export interface CommonOptions<S extends StateSpecs, R> {
  /** State kept beside the function, one set per address. */
  readonly state?: S;
  /** The type of `ctx.reply`, declared (`reply: type<R>()`) and never inferred from the body. */
  readonly reply?: TypeToken<R>;
  /** What happens when a turn fails. Default: three attempts, then the address is quarantined. */
  readonly failure?: FailurePolicy;
  /**
   * Pending operations (`ctx.run`, `ctx.offload`) of one address above which it takes no further messages until one has
   * ended; other addresses go on. 1 to 100,000; 100 by default.
   */
  readonly pendingOperations?: number;
}

/** What `defineFunction` takes. */
export interface FunctionOptions<M, S extends StateSpecs, R> extends CommonOptions<S, R> {
  /** Checked when a message enters from an ingress, `app.send` or `app.ask`. */
  readonly message?: Schema<M>;
  /**
   * Applies one message. May return a promise: the address then takes no other message until it settles, other
   * addresses go on.
   */
  receive(ctx: Context<S, R, M>, message: M): void | PromiseLike<void>;
  /** @internal */
  readonly handlers?: Handlers;
}

/** A function type. Made by `defineFunction`. */
export class FunctionDefinition<M, S extends StateSpecs = StateSpecs, R = unknown> {
  /** `namespace/name`. */
  readonly type: string;
  /** @internal */
  readonly options: FunctionOptions<M, S, R>;

  /** @internal Use `defineFunction`. */
  constructor(type: string, options: FunctionOptions<M, S, R>) {
    this.type = type;
    this.options = options;
  }

  /**
   * The address of one instance, which comes to life with its first message.
   *
   * @param id any string of at most 900 UTF-16 code units
   * @throws `HF_BAD_ID`
   */
  at(id: string): Address<M, R> {
    checkId(this.type, id);
    return new Address<M, R>(this.type, id);
  }
}

/** A function definition whose types do not matter to the holder. */
// biome-ignore lint/suspicious/noExplicitAny: any is what makes the definition's parameters irrelevant
export type AnyFunctionDefinition = FunctionDefinition<any, any, any>;
