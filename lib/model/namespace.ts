/** Function types that come to life with their first message. */
import { HoldfastError } from "../base/errors.js";
import { idLengthMax } from "../base/limits.js";
import { Address, checkId } from "./address.js";
import type { FunctionDefinition } from "./function.js";
import { checkTypeName } from "./function-type.js";
import type { StateSpecs } from "./state.js";

/** Makes a function type of a namespace that has a provider. */
export class NamespaceDefinition<M, R = unknown> {
  /** The part of its type names before the slash. */
  readonly namespace: string;
  /** @internal */
  readonly provide: (type: string) => FunctionDefinition<M, StateSpecs, R>;

  /** @internal Use `defineNamespace`. */
  constructor(namespace: string, provide: (type: string) => FunctionDefinition<M, StateSpecs, R>) {
    this.namespace = namespace;
    this.provide = provide;
  }

  /**
   * The address of one instance of one function type of the namespace.
   *
   * @param name the part of the type name after the slash
   * @param id any string; full type name and id have at most 899 UTF-16 code units together
   * @throws `HF_BAD_NAME`, `HF_BAD_ID`
   */
  at(name: string, id: string): Address<M, R> {
    const type = `${this.namespace}/${name}`;
    checkTypeName(type, "function");
    checkDynamicId(type, id);
    return new Address<M, R>(type, id);
  }
}

/** A namespace whose types do not matter to the holder. */
// biome-ignore lint/suspicious/noExplicitAny: any is what makes the definition's parameters irrelevant
export type AnyNamespaceDefinition = NamespaceDefinition<any, any>;

/** The name of such a type is part of the keys of its state, in front of the id. @throws `HF_BAD_ID` */
export function checkDynamicId(type: string, id: unknown): void {
  checkId(type, id);
  if (type.length + 1 + id.length > idLengthMax) {
    throw new HoldfastError(
      "HF_BAD_ID",
      `the id of a ${type} has ${id.length} code units, at most ${idLengthMax - 1 - type.length} are allowed: hash it`,
    );
  }
}
