/** Where events enter the application. */
import type { Address } from "./address.js";
import type { EgressBinding } from "./egress.js";

/** Sends a message on behalf of a router. */
export type RouteTo = <M>(address: Address<M, unknown>, message: NoInfer<M>) => void;

/** Decides which functions get a record: 0..n calls of `to`. Must be pure. */
export type Router<T> = (record: T, to: RouteTo) => void;

/** What a split reader hands out. `position` is where reading goes on after this item; plain data. */
export type IngressItem =
  | {
      readonly kind: "record";
      readonly value: unknown;
      readonly position: unknown;
      readonly where: string;
      readonly bytes: number;
    }
  | {
      readonly kind: "bad";
      readonly error: Error;
      readonly text: string;
      readonly position: unknown;
      readonly where: string;
    };

/**
 * Reads one split, on a shard's thread. `next` never blocks: what has to be waited for is fetched in the background,
 * and `wake` is called when there is something new.
 */
export interface SplitReader {
  /** The next item, or undefined when none is ready. Throws when the source cannot be read. */
  next(): IngressItem | undefined;
  /** True once everything was handed out and nothing more will come. */
  readonly exhausted: boolean;
  close(): void;
}

/** A record that could not be parsed or routed, as it is written to the rejects. */
export interface Reject {
  readonly ingress: string;
  readonly split: string;
  /** Where it stands in the source, for people: a byte offset, say. */
  readonly where: string;
  readonly error: string;
  readonly text: string;
}

/** An ingress: named splits, readers for them, a router. */
export interface IngressDefinition {
  readonly name: string;
  /** The names of the splits, stable over restarts. Called on the main thread at start. */
  splits(): readonly string[] | Promise<readonly string[]>;
  /**
   * Called at start with each split that has a committed position and is not in the list any more. Throws when splits of
   * the list would take its records again; otherwise it is forgotten about until it is back. On the main thread.
   */
  refuseFormer?(split: string): void;
  /** Opens a split at a committed position, or from its beginning. Called on a shard's thread. */
  open(split: string, position: unknown, wake: () => void): SplitReader;
  readonly route: Router<never>;
  /** `reject` (default): a bad record goes to `rejects` and its position is committed; `fail`: the application stops. */
  readonly onBadRecord: "reject" | "fail";
  /** The egress binding that takes the rejected records. */
  readonly rejects: EgressBinding;
}

/** The name of the egress that takes the rejected records of an ingress; its second slash keeps it apart from user names. */
export function rejectsName(ingress: string): string {
  return `holdfast/rejects/${ingress}`;
}
