/**
 * Plain data as JSON carries it. What JSON cannot carry becomes:
 *
 *     bigint               "123"                    a decimal string
 *     Date                 "2020-01-01T00:00:00Z"   an ISO string, null when invalid
 *     Map                  [[key, value], …]        an array of entries, whatever the keys
 *     Set                  [value, …]
 *     typed array          [1, 2, …]                64-bit ones as decimal strings
 *     NaN, ±Infinity       null
 *     undefined            null; left out where it is the value of an object's key
 */

/** One line: the JSON of a record, without the newline. A record that is undefined is `null`. */
export function jsonLine(record: unknown): string {
  return JSON.stringify(jsonValue(record)) ?? "null";
}

/** The value itself when JSON carries it as it is, else a copy with the parts replaced. */
function jsonValue(value: unknown): unknown {
  if (typeof value === "bigint") return value.toString();
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return jsonArray(value);
  if (value instanceof Map) return Array.from(value, ([key, of]) => [jsonValue(key), jsonValue(of)]);
  if (value instanceof Set) return Array.from(value, jsonValue);
  if (ArrayBuffer.isView(value)) return Array.from(value as unknown as ArrayLike<number | bigint>, jsonValue);
  if (value instanceof Date) return value;
  return jsonObject(value as Record<string, unknown>);
}

function jsonArray(array: unknown[]): unknown[] {
  for (let i = 0; i < array.length; i++) {
    if (!Object.is(jsonValue(array[i]), array[i])) return array.map(jsonValue);
  }
  return array;
}

function jsonObject(object: Record<string, unknown>): object {
  for (const key in object) {
    const part = object[key];
    if (typeof part === "string" || typeof part === "number") continue;
    if (jsonValue(part) !== part) return replaced(object);
  }
  return object;
}

function replaced(object: Record<string, unknown>): object {
  const copy = Object.create(null) as Record<string, unknown>; // no prototype: `__proto__` is a key like any other
  for (const key of Object.keys(object)) copy[key] = jsonValue(object[key]);
  return copy;
}
