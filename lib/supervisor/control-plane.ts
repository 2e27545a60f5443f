/**
 * Calls between main and its threads: start, stop, checkpoint; a few a second. The only file that knows comlink.
 *
 * comlink alone never settles a call to a thread that died, loses codes and classes of errors, and closes the port of a
 * proxy that was collected. So every call here is raced against the thread's end and a time limit, errors cross as
 * data, and the proxy lives as long as the `Remote` that holds it.
 */
import { MessagePort } from "node:worker_threads";
import * as Comlink from "comlink";
import { fromWire, HoldfastError, toWire, type WireError } from "../base/errors.js";
import { controlCallTimeoutMs } from "../base/limits.js";

/** What a thread offers: named calls with plain arguments. */
export type ControlApi = { readonly [name: string]: (...args: never[]) => unknown };

/** Calls that take as long as there are bytes to read; they end with the thread at the latest. */
const unlimited: ReadonlySet<string> = new Set(["recover"]);

type Outcome = { readonly value: unknown } | { readonly error: WireError };

interface Endpoint {
  call(name: string, args: unknown[]): Promise<Outcome>;
}

/** Offers calls on a port. */
export function expose(api: ControlApi, port: MessagePort): void {
  const endpoint: Endpoint = {
    async call(name, args) {
      try {
        const value = await (api[name] as (...values: unknown[]) => unknown)(...args);
        return Comlink.transfer({ value }, transferables(value) as never);
      } catch (error) {
        return { error: toWire(error) };
      }
    },
  };
  Comlink.expose(endpoint, port as unknown as Comlink.Endpoint);
}

/** The results of an API's calls, awaited. */
export type RemoteApi<T extends ControlApi> = {
  readonly [K in keyof T]: (...args: Parameters<T[K]>) => Promise<Awaited<ReturnType<T[K]>>>;
};

/** The calling side. */
export class Remote<T extends ControlApi> {
  readonly #proxy: Comlink.Remote<Endpoint>;
  readonly #ended: Promise<never>;

  /** `ended` rejects when the thread has ended. */
  constructor(port: MessagePort, ended: Promise<never>) {
    this.#proxy = Comlink.wrap<Endpoint>(port as unknown as Comlink.Endpoint);
    this.#ended = ended;
  }

  /** @throws what the call throws, the end of the thread, or `HF_IO` when the call takes too long. */
  async call<K extends keyof T & string>(name: K, ...args: Parameters<T[K]>): Promise<Awaited<ReturnType<T[K]>>> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<never>((_, reject) => {
      const late = (): void =>
        reject(new HoldfastError("HF_IO", `a thread did not answer "${name}" within ${controlCallTimeoutMs} ms`));
      if (unlimited.has(name)) return;
      timer = setTimeout(late, controlCallTimeoutMs);
      timer.unref();
    });
    try {
      const call = this.#proxy.call(
        name,
        Comlink.transfer(args, args.flatMap(transferables) as never),
      ) as Promise<Outcome>;
      const outcome = await Promise.race([call, this.#ended, timeout]);
      if ("error" in outcome) throw fromWire(outcome.error);
      return outcome.value as Awaited<ReturnType<T[K]>>;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** What moves rather than being copied: ports, and buffers of their own, at the top levels of a value. */
function transferables(value: unknown): (ArrayBuffer | MessagePort)[] {
  const moving = new Set<ArrayBuffer | MessagePort>();
  const visit = (part: unknown): void => {
    if (part instanceof MessagePort) moving.add(part);
    else if (
      part instanceof Uint8Array &&
      part.buffer instanceof ArrayBuffer &&
      part.byteLength === part.buffer.byteLength
    ) {
      moving.add(part.buffer);
    }
  };
  if (Array.isArray(value)) value.forEach(visit);
  else if (typeof value === "object" && value !== null) {
    for (const part of Object.values(value)) Array.isArray(part) ? part.forEach(visit) : visit(part);
  }
  return [...moving];
}
