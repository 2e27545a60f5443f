/** A slice of a merge: rows in key order into a base, beside lmdb alone with the same rows. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { open } from "lmdb";
import { mergeSliceRowsMax } from "../../lib/base/limits.js";
import type { Row } from "../../lib/store/base.js";
import { openBaseWriter } from "../../lib/store/lmdb-base.js";
import { compareKeys, stateKey } from "../../lib/store/row-key.js";
import type { Comparison } from "./comparison.js";

const operations = mergeSliceRowsMax;
const valueBytes = 16;
const mapBytes = 1024 * 1024 * 1024;

export function base(): Comparison {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const rows = Array.from({ length: operations }, (_, n): Row => {
    return { key: stateKey(n % 128, 1, `user-${n}`), value: new Uint8Array(valueBytes).fill(n) };
  }).sort((a, b) => compareKeys(a.key, b.key));
  const writer = openBaseWriter(join(directory, "base"), { mapBytes });
  const plain = open<Uint8Array, Uint8Array>({
    path: join(directory, "plain"),
    keyEncoding: "binary",
    encoding: "binary",
    mapSize: mapBytes,
    overlappingSync: false,
  });
  let epoch = 0;
  return {
    name: `put a row, ${operations} in a durable transaction`,
    operations,
    expected: operations,
    engine: {
      name: "base",
      run: () => {
        writer.apply(rows, ++epoch);
        return operations;
      },
    },
    baselines: [
      {
        name: "lmdb",
        run: () => {
          plain.transactionSync(() => {
            for (const { key, value } of rows) void plain.put(key, value as Uint8Array);
          });
          return operations;
        },
      },
    ],
    close: () => {
      writer.close();
      void plain.close().then(() => rmSync(directory, { recursive: true, force: true }));
    },
  };
}
