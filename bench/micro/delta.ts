/** Changed counters as the rows of a delta, beside the MessagePack library with the same keys and values. */
import { encode } from "@msgpack/msgpack";
import { PayloadCodec } from "../../lib/codec/payload-codec.js";
import { hashId } from "../../lib/partition/hash.js";
import { stateKeyBytesMax, writeStateKey } from "../../lib/store/row-key.js";
import { RowWriter } from "../../lib/store/row-writer.js";
import type { Comparison } from "./comparison.js";

const operations = 1_000;
const column = 1;
const ids = Array.from({ length: operations }, (_, n) => `user-${n}`);
const keyGroups = ids.map((id) => hashId(id) % 128);

export function delta(): Comparison {
  const rows = new RowWriter();
  const codec = new PayloadCodec();
  return {
    name: "write a counter into a delta",
    operations,
    expected: operations,
    engine: { name: "row writer", run: () => writeRows(rows, codec) },
    baselines: [
      {
        name: "@msgpack/msgpack",
        run: () => (encode(ids.map((id, n) => [keyGroups[n], column, id, n])).length > 0 ? operations : 0),
      },
    ],
  };
}

function writeRows(rows: RowWriter, codec: PayloadCodec): number {
  for (let n = 0; n < operations; n++) {
    const key = rows.beginKey();
    const at = key.reserve(stateKeyBytesMax(ids[n]));
    key.truncate(writeStateKey(key.memory, at, keyGroups[n], column, ids[n]));
    codec.write(n, rows.endKey());
    rows.endValue();
  }
  return rows.take().length > 0 ? operations : 0;
}
