/** Entry of a thread of the offload pool: runs one task at a time. Stateless; piscina calls it. */
import { move } from "piscina";
import { toWire } from "../base/errors.js";
import { PayloadCodec } from "../codec/payload-codec.js";
import { copyPlain } from "../codec/plain-data.js";
import { loadTask } from "./app-module.js";
import type { OffloadOutcome, OffloadTask } from "./thread-protocol.js";

const codec = new PayloadCodec();

/** What the task throws is part of the outcome, as data: cloning an error loses its code. */
export default async function run({ module, name, input }: OffloadTask): Promise<OffloadOutcome> {
  try {
    const task = await loadTask(module, name);
    const value = await task("bytes" in input ? codec.decode(input.bytes) : input.value);
    const bytes = codec.encode(copyPlain(value, "value")).slice();
    return { bytes: move(bytes) as Uint8Array };
  } catch (error) {
    return { error: toWire(error) };
  }
}
