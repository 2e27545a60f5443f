/** How much a line of JSON would become: found in its bytes, before anything is allocated for it. */

const quote = 0x22;
const backslash = 0x5c;
const openBracket = 0x5b;
const openBrace = 0x7b;

/** The arrays and objects that JSON text between two offsets has at most; exact when the text is well-formed. */
export function objectsIn(memory: Uint8Array, from: number, to: number): number {
  let objects = 0;
  let isText = false;
  for (let at = from; at < to; at++) {
    const byte = memory[at];
    if (byte === quote) isText = !isText;
    else if (isText) at += byte === backslash ? 1 : 0;
    else if (byte === openBracket || byte === openBrace) objects++;
  }
  return objects;
}
