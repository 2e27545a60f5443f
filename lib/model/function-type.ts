/** Names of function types, egresses and ingresses. */
import { HoldfastError } from "../base/errors.js";
import { typeNameBytesMax } from "../base/limits.js";

const printable = /^[\x21-\x7e\u00a1-\uffff]+$/;

/**
 * Checks a `namespace/name`: exactly one slash, both sides non-empty, printable, at most 256 bytes of UTF-8.
 *
 * @throws `HF_BAD_NAME` naming the offending text.
 */
export function checkTypeName(name: unknown, what: string): asserts name is string {
  if (typeof name !== "string") throw badName(what, name, "it must be a string");
  const slash = name.indexOf("/");
  if (slash <= 0 || slash === name.length - 1 || name.indexOf("/", slash + 1) !== -1) {
    throw badName(what, name, 'it must be "namespace/name" with exactly one slash');
  }
  if (!printable.test(name) || !isWellFormed(name)) throw badName(what, name, "it must be printable, without spaces");
  if (Buffer.byteLength(name) > typeNameBytesMax) throw badName(what, name, `it is over ${typeNameBytesMax} bytes`);
}

/** The part of a type name before the slash. */
export function namespaceOf(type: string): string {
  return type.slice(0, type.indexOf("/"));
}

/**
 * Checks the name of a state: a JavaScript identifier, as it becomes a property of `ctx.state`.
 *
 * @throws `HF_BAD_NAME`
 */
export function checkStateName(name: string, functionType: string): void {
  if (!/^[A-Za-z_$][\w$]*$/.test(name) || name === "__proto__") {
    throw badName(`state of ${functionType}`, name, "it must be an identifier");
  }
  if (name.length > typeNameBytesMax) throw badName(`state of ${functionType}`, name, "it is too long");
}

/**
 * Checks the name of an ingress: non-empty, printable, at most 256 bytes.
 *
 * @throws `HF_BAD_NAME`
 */
export function checkIngressName(name: unknown): asserts name is string {
  const isPrintable = typeof name === "string" && printable.test(name) && isWellFormed(name);
  if (!isPrintable || Buffer.byteLength(name) > typeNameBytesMax) {
    throw badName("ingress", name, "it must be printable, without spaces, of 1 to 256 bytes");
  }
}

function isWellFormed(text: string): boolean {
  return Buffer.from(text, "utf8").toString("utf8") === text;
}

function badName(what: string, name: unknown, rule: string): HoldfastError {
  const shown = typeof name === "string" ? JSON.stringify(name.slice(0, 300)) : typeof name;
  return new HoldfastError("HF_BAD_NAME", `${what} name ${shown}: ${rule}`);
}
