/** Lines and positions do not depend on how the bytes arrive; the file egress survives a crash at any byte. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after } from "node:test";
import fc from "fast-check";
import { LineSplitter } from "../../lib/io/line-splitter.js";
import { ndjsonEgress } from "../../lib/io/ndjson.js";
import { Stripe } from "../../lib/io/stripe.js";
import { EgressDefinition, type EgressRecord, type SinkWatermark } from "../../lib/model/egress.js";

const folder = mkdtempSync(join(tmpdir(), "holdfast-ndjson-"));
after(() => rmSync(folder, { recursive: true, force: true }));

const text = fc.string({ unit: fc.constantFrom("a", "b", "\n", "é", "\u{1f600}", "\r", " "), maxLength: 200 });
const cuts = fc.array(fc.nat(20), { maxLength: 60 });

interface Line {
  readonly text: string;
  readonly start: number;
  readonly after: number;
  readonly cutLength: number | undefined;
}

test("lines and positions are the same whatever the chunks are", () => {
  fc.assert(
    fc.property(text, cuts, (content, sizes) => {
      const bytes = Buffer.from(content);
      assert.deepEqual(split(bytes, sizes, 0, 1_000), oracle(bytes, 0, 1_000));
    }),
    { numRuns: 1_000 },
  );
});

test("reading that goes on at the position after any line finds the rest", () => {
  fc.assert(
    fc.property(text, cuts, fc.nat(), (content, sizes, pick) => {
      const bytes = Buffer.from(content);
      const all = oracle(bytes, 0, 1_000);
      if (all.length === 0) return;
      const { after: position } = all[pick % all.length] as Line;
      const rest = split(bytes.subarray(position), sizes, position, 1_000);
      assert.deepEqual(rest, all.slice((pick % all.length) + 1));
    }),
    { numRuns: 500 },
  );
});

test("lines over the limit keep their place and their length, whatever the chunks are", () => {
  const long = fc.array(fc.tuple(fc.constantFrom("a", "é"), fc.nat(3_000)), { maxLength: 6 });
  fc.assert(
    fc.property(
      long,
      fc.array(fc.nat(2_000), { maxLength: 30 }),
      fc.integer({ min: 1, max: 2_500 }),
      (parts, sizes, max) => {
        const bytes = Buffer.from(parts.map(([unit, count]) => unit.repeat(count)).join("\n"));
        const found = split(bytes, sizes, 0, max);
        const expected = oracle(bytes, 0, max);
        const place = ({ start, after: end, cutLength }: Line) => ({ start, after: end, cutLength });
        assert.deepEqual(found.map(place), expected.map(place));
        found.forEach((line, i) => {
          if (line.cutLength === undefined) assert.equal(line.text, expected[i]?.text);
          else assert.ok(Buffer.byteLength(line.text.replace(/\ufffd$/, "")) <= 1024);
        });
      },
    ),
    { numRuns: 500 },
  );
});

test("the stripes of a file have each of its lines once and in order, wherever reading stopped and the file ended before", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 120 });
  fc.assert(
    fc.property(
      text,
      fc.nat({ max: 120 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 24 }),
      fc.integer({ min: 1, max: 30 }),
      fc.array(fc.nat(), { minLength: 5, maxLength: 5 }),
      (whole, grown, count, blockBytes, chunkMax, stops) => {
        const bytes = Buffer.from(whole);
        const before = bytes.subarray(0, grown); // the file as the first readers find it, perhaps within a line
        const found: Line[] = [];
        for (let index = 0; index < count; index++) {
          const first = readStripe(before, new Stripe(index, count, 0, blockBytes), chunkMax);
          const kept = first.slice(0, stops[index]! % (first.length + 1));
          const position = kept.at(-1)?.after ?? 0;
          const all = [...kept, ...readStripe(bytes, new Stripe(index, count, position, blockBytes), chunkMax)];
          assert.ok(all.every(({ start }, n) => n === 0 || start >= all[n - 1]!.after));
          found.push(...all);
        }
        // A line within which the file had ended, and which was taken, is two: as it is without stripes.
        const cut = found.some(({ after: end }) => end === before.length) ? before.length : bytes.length;
        const expected = [...oracle(bytes.subarray(0, cut), 0, 1_000), ...oracle(bytes.subarray(cut), cut, 1_000)];
        assert.deepEqual(
          found.toSorted((a, b) => a.start - b.start),
          expected,
        );
      },
    ),
    { numRuns: 3_000 },
  );
});

test("a file egress has every record once after crashes that keep any part of what was not synced", async () => {
  const epochs = fc.array(fc.array(fc.string({ maxLength: 8 }), { maxLength: 4 }), { minLength: 1, maxLength: 8 });
  let run = 0;
  await fc.assert(
    fc.asyncProperty(epochs, fc.array(fc.nat(), { maxLength: 4 }), fc.string(), async (batches, crashes, garbage) => {
      const path = join(folder, `out-${run++}`);
      const binding = ndjsonEgress(new EgressDefinition<string>("test/out", undefined), { path });
      let committed: SinkWatermark | undefined;
      for (const crash of [...crashes, undefined]) {
        const sink = await binding.open(committed);
        if (committed === undefined) committed = await sink.sync();
        const last = crash === undefined ? batches.length : Math.min(batches.length, committed.epoch + (crash % 4));
        for (let epoch = committed.epoch + 1; epoch <= last; epoch++)
          await sink.write(epoch, recordsOf(batches[epoch - 1] ?? []));
        const watermark = await sink.sync();
        const before = committed;
        // The watermark may or may not have been committed; the file then has any length from it on, and perhaps more.
        if (crash === undefined || crash % 2 === 0) committed = watermark;
        await sink.close();
        if (crash === undefined) break;
        const least = lengthOf(committed === before ? before : watermark);
        truncateSync(path, least + (crash % (readFileSync(path).length - least + 1)));
        writeFileSync(path, garbage, { flag: "a" });
      }
      const lines = readFileSync(path, "utf8");
      assert.equal(
        lines,
        batches
          .flat()
          .map((record) => `${JSON.stringify(record)}\n`)
          .join(""),
      );
    }),
    { numRuns: 60 },
  );
});

function lengthOf(watermark: SinkWatermark): number {
  return (watermark.position as { length: number }).length;
}

function recordsOf(batch: readonly string[]): EgressRecord[] {
  return batch.map((record, i) => ({ id: String(i), record }));
}

/** Feeds the bytes in chunks of the given sizes, each in memory that is overwritten when the splitter is done with it. */
function split(bytes: Buffer, sizes: readonly number[], position: number, lineBytesMax: number): Line[] {
  const splitter = new LineSplitter(position, lineBytesMax);
  const lines: Line[] = [];
  const drain = (): void => {
    while (splitter.next()) {
      const { memory, lineFrom, lineTo, start, after: end, cutLength } = splitter;
      lines.push({ text: memory.toString("utf8", lineFrom, lineTo), start, after: end, cutLength });
    }
  };
  let at = 0;
  for (const size of [...sizes, bytes.length]) {
    const chunk = Buffer.from(bytes.subarray(at, at + size));
    splitter.push(chunk, position + at);
    at += chunk.length;
    drain();
    chunk.fill(0x0a);
  }
  splitter.end();
  drain();
  assert.ok(splitter.finished);
  return lines;
}

/** Reads bytes through a stripe as a source does, to their end. */
function readStripe(bytes: Buffer, stripe: Stripe, chunkMax: number): Line[] {
  const lines: Line[] = [];
  const splitter = new LineSplitter(0, 1_000);
  const drain = (): void => {
    while (splitter.next()) {
      const { memory, lineFrom, lineTo, start, after: end, cutLength } = splitter;
      lines.push({ text: memory.toString("utf8", lineFrom, lineTo), start, after: end, cutLength });
    }
  };
  for (;;) {
    const from = stripe.readFrom;
    const read = bytes.subarray(from, from + Math.min(chunkMax, stripe.wanted(chunkMax)));
    if (read.length === 0) break;
    const taken = stripe.take(read);
    if (taken.length === 0) continue;
    splitter.push(Buffer.from(taken), stripe.takenFrom);
    drain();
  }
  splitter.end();
  drain();
  return lines;
}

function oracle(bytes: Buffer, position: number, lineBytesMax: number): Line[] {
  const lines: Line[] = [];
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf("\n", at);
    const to = found === -1 ? bytes.length : found;
    const end = found === -1 ? bytes.length : found + 1;
    const cutLength = to - at > lineBytesMax ? to - at : undefined;
    lines.push({ text: bytes.toString("utf8", at, to), start: position + at, after: position + end, cutLength });
    at = end;
  }
  return lines;
}
