/**
 * One split of an ingress as a shard reads it: items in order, each routed as a whole, with the position after it.
 *
 * Owner and thread: the shard.
 * F1. The position moves past an item only together with the messages routed from it, in the same epoch.
 * F2. A record whose router throws sends nothing.
 * F3. A record read again has the same message id: it is made of its split and its place there.
 */
import { HoldfastError } from "../base/errors.js";
import { errorTextMax } from "../base/limits.js";
import { copyPlain, estimateBytes } from "../codec/plain-data.js";
import type { Address } from "../model/address.js";
import type { IngressDefinition, IngressItem, Reject, SplitReader } from "../model/ingress.js";
import { childHi, childLo } from "../model/message-id.js";
import { hashId, hashId32 } from "../partition/hash.js";
import type { FunctionEntry, Registry } from "./registry.js";

/** Code units of a rejected record that are kept. */
const rejectTextMax = 16_384;

/** Name of a split in position rows. */
export function splitKey(ingress: string, split: string): string {
  return `${ingress}/${split}`;
}

/** What a feed gives to its shard. */
export interface FeedPort {
  readonly registry: Registry;
  /** Sends the `index`-th message of the record with this id. */
  sendRouted(
    idHi: number,
    idLo: number,
    index: number,
    entry: FunctionEntry,
    id: string,
    payload: unknown,
    weight: number,
  ): void;
  reject(ingress: string, reject: Reject, error: unknown): void;
}

export class IngressFeed {
  readonly key: string;
  /** Where reading goes on; undefined at the beginning. */
  position: unknown;
  /** The position has moved since the last capture. */
  moved: boolean;
  readonly #ingress: IngressDefinition;
  readonly #split: string;
  readonly #reader: SplitReader;
  readonly #port: FeedPort;
  readonly #hash: number;
  readonly #routed: { entry: FunctionEntry; id: string; payload: unknown; weight: number }[] = [];

  constructor(
    ingress: IngressDefinition,
    split: string,
    position: unknown,
    moved: boolean,
    wake: () => void,
    port: FeedPort,
  ) {
    this.#ingress = ingress;
    this.#split = split;
    this.#port = port;
    this.key = splitKey(ingress.name, split);
    this.#hash = hashId32(this.key);
    this.position = position;
    this.moved = moved;
    this.#reader = ingress.open(split, position, wake);
  }

  get exhausted(): boolean {
    return this.#reader.exhausted;
  }

  close(): void {
    this.#reader.close();
  }

  /** Takes one item if there is one. @throws what the source throws, and a bad record under `onBadRecord: "fail"`. */
  advance(): IngressItem["kind"] | undefined {
    const item = this.#reader.next();
    if (item === undefined) return undefined;
    const kind = item.kind === "record" ? this.#route(item) : this.#refuse(item.error, item.text, item.where);
    this.position = item.position; // F1
    this.moved = true;
    return kind;
  }

  #route(item: Extract<IngressItem, { kind: "record" }>): IngressItem["kind"] {
    this.#routed.length = 0;
    try {
      this.#ingress.route(item.value as never, this.#to);
    } catch (error) {
      return this.#refuse(error, textOf(item.value), item.where); // F2
    }
    const place = this.#placeOf(item);
    const idLo = childLo(this.#hash, place | 0);
    const idHi = childHi(this.#hash, idLo, Math.floor(place / 2 ** 32));
    for (let i = 0; i < this.#routed.length; i++) {
      const { entry, id, payload, weight } = this.#routed[i];
      this.#port.sendRouted(idHi, idLo, i, entry, id, payload, weight);
    }
    return "record";
  }

  /** F3: what tells a record from the others of its split: its position where that is a whole number. */
  #placeOf(item: Extract<IngressItem, { kind: "record" }>): number {
    const { position } = item;
    if (Number.isSafeInteger(position)) return position as number;
    const { where } = item; // a text that only few need
    return hashId(where) + (hashId(`${where}#`) >>> 11) * 2 ** 32; // 53 bits
  }

  readonly #to = (address: Address<never, unknown>, message: unknown): void => {
    const entry = this.#port.registry.named(address?.type);
    if (entry === undefined) {
      throw new HoldfastError("HF_UNKNOWN_FUNCTION", `the application defines no function "${String(address?.type)}"`);
    }
    const checked = entry.accept(address.id, message);
    const payload = copyPlain(checked, "message");
    this.#routed.push({ entry, id: address.id, payload, weight: estimateBytes() });
  };

  #refuse(error: unknown, text: string, where: string): "bad" {
    const said = error instanceof Error ? error.message : String(error);
    if (this.#ingress.onBadRecord === "fail") {
      throw new HoldfastError(
        "HF_BAD_RECORD",
        `ingress ${this.#ingress.name}, ${this.#split}, ${where}: ${said}. Mend the record, or use onBadRecord: "reject"`,
        { cause: error },
      );
    }
    this.#port.reject(
      this.#ingress.name,
      {
        ingress: this.#ingress.name,
        split: this.#split,
        where,
        error: said.slice(0, errorTextMax),
        text: text.slice(0, rejectTextMax),
      },
      error,
    );
    return "bad";
  }
}

/** A record for the reject file, cut to a readable size. */
function textOf(value: unknown): string {
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, rejectTextMax);
  } catch {
    return "a record that cannot be written as JSON";
  }
}
