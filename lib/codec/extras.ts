/**
 * What few messages carry beside target, caller and payload: an idempotency key, the `ctx.ask` that waits for a reply,
 * the reply itself. Encoded as plain data in the head of a message in stored form; frames never have it.
 */
import { PayloadCodec } from "./payload-codec.js";

/** A `ctx.ask` that waits for a reply. */
export interface Question {
  /** Function type and id of the address that asks. */
  readonly type: string;
  readonly id: string;
  /** Names the waiting promise: its shard's generation, and a number there. */
  readonly generation: number;
  readonly number: number;
  /** The addresses that wait for this reply, directly or not, the asking one last; as text. */
  readonly chain: readonly string[];
}

/** Says which question a message answers. */
export interface Answer {
  readonly generation: number;
  readonly number: number;
  readonly failed: boolean;
}

export interface Extras {
  /** A message whose key was seen at its target within the retention is not applied again. */
  readonly key?: string;
  readonly retentionMs?: number;
  readonly question?: Question;
  readonly answer?: Answer;
  /** Nobody will repeat the message with this key any more. */
  readonly forget?: boolean;
}

const codec = new PayloadCodec();

export function encodeExtras(extras: Extras): Uint8Array {
  return codec.encode(extras).slice();
}

export function decodeExtras(bytes: Uint8Array, at: number, end: number): Extras {
  return codec.read(bytes, at, end) as Extras;
}
