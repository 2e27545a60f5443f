/** Entry of a child process: reads all rows of one base with LMDB, and prints how many there are, or what went wrong. */
import { mergeSliceRowsMax } from "../base/limits.js";
import { openBaseReader } from "../store/lmdb-base.js";

/** What it prints. */
export type ScannedBase = { readonly rows: number } | { readonly failed: string };

const lastKey = Uint8Array.of(0xff, 0xff, 0xff);

function scan(path: string): ScannedBase {
  try {
    const reader = openBaseReader(path);
    let rows = 0;
    for (let from: Uint8Array = new Uint8Array(0); ; ) {
      const slice = reader.scan(from, lastKey, mergeSliceRowsMax);
      rows += slice.length;
      const last = slice.at(-1);
      if (slice.length < mergeSliceRowsMax || last === undefined) break;
      from = Uint8Array.of(...last.key, 0);
    }
    reader.close();
    return { rows };
  } catch (error) {
    return { failed: error instanceof Error ? error.message : String(error) };
  }
}

process.stdout.write(JSON.stringify(scan(process.argv[2] ?? "")));
