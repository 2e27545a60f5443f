/** The application under fault. Letters travel as direct messages, delayed ones and through asynchronous turns. */
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type Context, defineApp, defineEgress, defineFunction, type StateSpecs, value } from "holdfast";
import { ndjsonEgress, ndjsonIngress } from "holdfast/io/ndjson";
import {
  type Accident,
  type Arrival,
  files,
  finiteVariable,
  firstRelay,
  folderVariable,
  type Letter,
  nextRelay,
  relayType,
  type Tally,
} from "./relay.js";

type Message = Letter | { readonly inquiry: number };

const folder = process.env[folderVariable] ?? ".";
const externalMiB = 192;
const externalMs = 300;

const arrivals = defineEgress<Arrival>("faults/arrivals");
const tallies = defineEgress<Tally>("faults/tallies");

const relay = defineFunction(relayType, {
  state: { passed: value(0) },
  receive(ctx, message: Message): void | Promise<void> {
    if ("inquiry" in message) {
      ctx.emit(tallies, { relay: Number(ctx.self.id), inquiry: message.inquiry, passed: ctx.state.passed.get() });
      return;
    }
    ctx.state.passed.update((count) => count + 1);
    if (message.id % 5 === 0) return passSlowly(ctx, message);
    passOn(ctx, message);
  },
});

export default defineApp({
  name: "faults",
  functions: [relay],
  ingresses: [
    ndjsonIngress<Letter>("letters", {
      path: join(folder, files.input),
      follow: process.env[finiteVariable] !== "1",
      route: (letter, to) => to(relay.at(String(firstRelay(letter))), letter),
    }),
  ],
  egresses: [
    ndjsonEgress(arrivals, { path: join(folder, files.arrivals) }),
    ndjsonEgress(tallies, { path: join(folder, files.tallies) }),
  ],
});

async function passSlowly<S extends StateSpecs>(ctx: Context<S, unknown, Message>, letter: Letter): Promise<void> {
  await pause(letter.id % 7);
  passOn(ctx, letter);
}

/** The accident comes last, so that there are effects to be undone. */
function passOn<S extends StateSpecs>(ctx: Context<S, unknown, Message>, { accident, ...letter }: Letter): void {
  const here = Number(ctx.self.id);
  const next = relay.at(String(nextRelay(here, letter.id)));
  const passed = { ...letter, hops: letter.hops - 1 };
  if (letter.hops === 0) ctx.emit(arrivals, { id: letter.id, at: here });
  else if (letter.id % 3 === 0) ctx.sendAfter(letter.id % 60, next, passed);
  else ctx.send(next, passed);
  if (accident !== undefined && isFirstSight(accident.marker)) happen(accident.kind);
}

function happen(kind: Accident): void {
  switch (kind) {
    case "throw":
      throw new Error("thrown once");
    case "unhandled rejection":
      void Promise.reject(new Error("rejected and not handled"));
      break;
    case "throw in a timer":
      setTimeout(() => {
        throw new Error("thrown in a timer");
      });
      break;
    case "process.exit":
      process.exit(7);
      break;
    case "stack overflow":
      recurse(0);
      break;
    case "heap":
      for (const kept: unknown[] = []; ; ) kept.push(new Array(1_000).fill(kept.length));
    case "endless loop":
      for (;;);
    case "external memory":
      growOutside();
      break;
    case "abort":
      process.kill(process.pid, "SIGABRT"); // process.abort is for main threads only
      for (;;); // until it arrives
  }
}

function recurse(depth: number): number {
  return recurse(depth + 1) + 1;
}

/** Memory that is not on the heap, kept for a while, until more is asked for than there can be. */
function growOutside(): void {
  const kept = Array.from({ length: externalMiB }, (_, fill) => Buffer.alloc(1024 * 1024, fill));
  setTimeout(() => kept.splice(0), externalMs);
  new ArrayBuffer(2 ** 52);
}

/** True once for each marker, whatever dies: a file remembers. */
function isFirstSight(marker: string): boolean {
  try {
    closeSync(openSync(join(folder, marker), "wx"));
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}
