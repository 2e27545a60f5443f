/** Messages, state, replies and records of every size that is a border somewhere, across shards. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { MiB, payloadBytesMax, ringBytesDefault, ringFrameFraction } from "../../lib/base/limits.js";
import { encodedBytes } from "../../lib/codec/payload-size.js";
import { type Application, start } from "../../lib/index.js";
import { keyGroupOf, shardOfKeyGroup } from "../../lib/partition/key-groups.js";
import { appTest, refused, take } from "../e2e/running-app.js";
import { carrier, digger, glutton, records } from "./hostile.app.js";

const shards = 2;
const url = new URL("./hostile.app.js", import.meta.url);
const quarter = ringBytesDefault / ringFrameFraction;

/** Bytes whose message has exactly this size, encoded. */
function cargoOf(size: number): Uint8Array | string {
  if (size < 3) return "x".repeat(Math.max(0, size - 1));
  const head = [3, 4, 6, 2].find((each) => encodedBytes(new Uint8Array(size - each)) === size);
  if (head === undefined) return cargoOf(size - 1); // no typed array has this size
  return new Uint8Array(size - head).fill(size);
}

function shardOf(id: string): number {
  return shardOfKeyGroup(keyGroupOf(id, 128), 128, shards);
}

/** Addresses that pass on to `to`, each on the other shard than the next. */
function pathTo(to: string): string {
  const hop = (next: string, name: string): string => {
    for (let n = 0; ; n++) if (shardOf(`${name}${n}>${next}`) !== shardOf(next)) return `${name}${n}>${next}`;
  };
  return hop(hop(to, "second"), "first");
}

describe("a message", () => {
  appTest(
    "of a size at the border of rings and fragments crosses them whole, and is kept, recorded and answered whole",
    async (lab) => {
      const ring = ringBytesDefault;
      /** Heads of frames take 30 to 60 bytes. */
      const around = (size: number, step: number): number[] =>
        Array.from({ length: 72 / step }, (_, n) => size - 70 + n * step);
      const sizes = [0, 1, 2, 3, ...around(quarter, 1), ...around(ring, 8), ring - 1, ring, ring + 1, payloadBytesMax];
      const app = await start(url, { dataDir: lab.dataDir, shards });
      try {
        for (const [i, size] of sizes.entries()) await carry(app, i, cargoOf(size));
      } finally {
        await app.stop();
      }
      await using again = await start(url, { dataDir: lab.dataDir, shards });
      for (const [i, size] of sizes.entries())
        assert.deepEqual(await again.ask(carrier.at(kept(i)), "read"), cargoOf(size), `${size} bytes`);
    },
  );

  appTest(
    "over 16 MiB is refused with HF_TOO_LARGE where it is made, whatever it is made of, and no thread dies",
    async (lab) => {
      await using app = await start(url, { dataDir: lab.dataDir, shards, turnRetryMs: 0 });
      const bytes = new Uint8Array(payloadBytesMax - 5);
      assert.equal(encodedBytes(bytes), payloadBytesMax + 1);
      await refused(app.send(carrier.at("x"), bytes), "HF_TOO_LARGE");
      await refused(app.ask(carrier.at("x"), bytes), "HF_TOO_LARGE");
      await refused(app.send(carrier.at("x"), "é".repeat(9 * MiB)), "HF_TOO_LARGE");
      for (const where of ["state", "table", "list", "record", "message", "delayed", "reply"]) {
        for (const what of ["bytes", "text", "numbers"] as const) {
          if (what === "numbers" && where !== "message" && where !== "state") continue; // slow to make
          const asked = app.ask(glutton.at(`${what} for ${where}`), { what, where });
          const error = await refused(asked, "HF_FUNCTION_FAILED");
          assert.match((error.cause as Error).message, /^HF_TOO_LARGE/, `${what} for ${where}`);
        }
      }
      await app.send(digger.at("d"), "dig");
      await app.drained();
      assert.equal(await app.ask(digger.at("d"), "read"), "failure");
      await app.checkpoint();
      assert.equal(app.status().restarts, 0);
      assert.equal(await app.ask(glutton.at("fine"), { what: "bytes", where: "nowhere" }), "done");
    },
  );
});

const kept = (n: number): string => `kept${n}`;

/** Over both shards to where it is kept, and back as a reply and a record. */
async function carry(app: Application, n: number, cargo: unknown): Promise<void> {
  const out = app.egress(records);
  const arrived = take(out, 1);
  await app.send(carrier.at(pathTo(kept(n))), cargo);
  assert.deepEqual((await arrived)[0]?.record, cargo);
  assert.deepEqual(await app.ask(carrier.at(kept(n)), "read"), cargo);
  await out.return?.();
}
