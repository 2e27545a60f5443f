/** Entry of a thread of the offload pool: runs one task at a time. Stateless; piscina calls it. */
import { move, transferableSymbol, valueSymbol } from "piscina";
import { toWire } from "../base/errors.js";
import { PayloadCodec } from "../codec/payload-codec.js";
import { copyPlain } from "../codec/plain-data.js";
import { loadTask } from "./app-module.js";
import type { OffloadOutcome, OffloadTask } from "./thread-protocol.js";

const codec = new PayloadCodec();

/** Gives an `OffloadOutcome`. What the task throws is part of the outcome, as data: cloning an error loses its code. */
export async function run({ module, name, input }: OffloadTask): Promise<unknown> {
  try {
    const task = await loadTask(module, name);
    const value = await task("bytes" in input ? codec.decode(input.bytes) : input.value);
    const bytes = codec.encode(copyPlain(value, "value")).slice();
    return moving({ bytes });
  } catch (error) {
    return { error: toWire(error) };
  }
}

/** An outcome whose bytes are not copied on the way. */
function moving(outcome: { readonly bytes: Uint8Array }): unknown {
  const transferable = {
    [transferableSymbol]: [outcome.bytes.buffer],
    [valueSymbol]: outcome satisfies OffloadOutcome,
  };
  return move(transferable as never);
}
