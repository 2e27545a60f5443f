/** Lines of NDJSON, in and out, against what JSON.parse says of each. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { jsonLine } from "../../lib/io/json-value.js";
import { ndjsonIngress } from "../../lib/io/ndjson.js";
import type { SplitReader } from "../../lib/model/ingress.js";
import { plainData } from "../property/plain-data.arbitrary.js";
import { assertUnpolluted, type Target } from "./fuzzer.js";

const lineBytesMax = 2_000;
const deep = fc
  .tuple(fc.constantFrom("[", '{"a":', '[{"__proto__":'), fc.nat({ max: 1_000 }))
  .map(([open, depth]) => open.repeat(depth));
const line: fc.Arbitrary<Uint8Array> = fc
  .oneof(
    { weight: 4, arbitrary: fc.json().map((text) => Buffer.from(text)) },
    { weight: 2, arbitrary: fc.uint8Array({ maxLength: 60 }) },
    { weight: 1, arbitrary: deep.map((text) => Buffer.from(text)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom('{"__proto__":{"a":1}}', '"\\ud800"', " ", "\ufeff1", "-0", "1e999").map(Buffer.from),
    },
  )
  .map((bytes) => Uint8Array.from(bytes, (byte) => (byte === 0x0a ? 0x20 : byte)));

async function readAll(path: string): Promise<unknown[]> {
  let wake = (): void => {};
  const { open } = ndjsonIngress<unknown>("fuzz", { path, lineBytesMax, route: () => {} });
  const reader = (open as (split: string, position: unknown, wake: () => void) => SplitReader)("file", undefined, () =>
    wake(),
  );
  const found: unknown[] = [];
  for (;;) {
    const item = reader.next();
    if (item !== undefined) found.push(item.kind === "record" ? [item.value] : "bad");
    else if (reader.exhausted) break;
    else {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  reader.close();
  return found;
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function expectedOf(bytes: Uint8Array): unknown {
  if (bytes.length > lineBytesMax) return "bad";
  try {
    return [JSON.parse(strict.decode(bytes))];
  } catch {
    return "bad";
  }
}

const isBlank = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0x20 || byte === 0x0d || byte === 0x09);

export const jsonTargets: readonly Target[] = [
  {
    name: "json/lines",
    property: fc.asyncProperty(fc.array(line, { maxLength: 12 }), fc.boolean(), async (lines, packed) => {
      const content = Buffer.concat([Buffer.from("0\n"), ...lines.flatMap((each) => [each, Buffer.of(0x0a)])]);
      const path = join(tmpdir(), `holdfast-fuzz-${process.pid}.ndjson${packed ? ".gz" : ""}`);
      writeFileSync(path, packed ? gzipSync(content, { level: 1 }) : content);
      try {
        const expected = lines.filter((each) => !isBlank(each)).map(expectedOf);
        assert.deepEqual(await readAll(path), [[0], ...expected]);
        assertUnpolluted();
      } finally {
        rmSync(path, { force: true });
      }
    }),
  },
  {
    name: "json/records",
    property: fc.property(plainData, (record) => {
      const text = jsonLine(record);
      assert.ok(!text.includes("\n"), "a record of two lines");
      assert.ok(Buffer.from(text).toString() === text, "a record that is not UTF-8");
      JSON.parse(text);
      assertUnpolluted();
    }),
  },
];
