/** Every bench runs, small: it cannot rot, and what it counts is what it sent. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import test, { describe } from "node:test";
import * as checkpointCost from "../../bench/checkpoint-cost/checkpoint-cost.js";
import * as latency from "../../bench/latency/latency.js";
import * as local from "../../bench/local/local.js";
import * as pause from "../../bench/pause/pause.js";
import * as scaling from "../../bench/scaling/scaling.js";
import * as throughput from "../../bench/throughput/throughput.js";
import { smallRun } from "./bench-result.js";

const limit = { timeout: 120_000 };
const keys = 1_000;
const chains = 50;
const messages = 10_000;

describe("the checksum of a bench is what it sent, a warm-up round included", () => {
  test("throughput", limit, async () => {
    const { checksum } = await smallRun(throughput, { rounds: 1, keys, chains, messages }, ["baseline", "ratio"]);
    assert.equal(checksum, keys + 2 * messages);
  });

  test("checkpoint-cost, where rounds without commits have hardly any", limit, async () => {
    const result = await smallRun(checkpointCost, { rounds: 1, keys, chains, messages }, ["baseline", "ratio"]);
    assert.equal(result.checksum, 2 * (keys + 2 * messages));
    assert.ok((result.epochsPerRoundWithout as number) <= 4, "when the first messages come, and when it is idle");
  });

  test("scaling", limit, async () => {
    const small = { rounds: 1, keys, messages };
    const { checksum } = await smallRun(scaling, small, ["baseline", "ratio", "ratioWithoutWork"]);
    assert.equal(checksum, 3 * 2 * (keys + 2 * messages));
  });

  test("latency", limit, async () => {
    const compared = ["baseline", "ratio", "p50", "p99", "max"];
    const { checksum } = await smallRun(latency, { rounds: 1, messages: 50 }, compared);
    assert.equal(checksum, 2 * 50);
  });

  test("latency under load", limit, async () => {
    const result = await smallRun(latency, { rounds: 1, keys, load: 0.5 }, ["p50", "p99", "max"]);
    assert.ok(result.checksum > 0);
    assert.ok((result.max as number) >= (result.p99 as number));
  });

  test("pause", limit, async () => {
    const compared = ["baseline", "ratio", "p50", "p99", "max"];
    const result = await smallRun(pause, { rounds: 1, keys, chains, messages }, compared);
    assert.equal(result.checksum, keys + 2 * messages);
  });

  test("local", limit, async () => {
    const { checksum } = await smallRun(local, { rounds: 1, keys, chains, messages }, ["baseline", "ratio"]);
    assert.equal(checksum, keys + 2 * messages);
  });
});

describe("the command line of the benches", () => {
  const main = join(import.meta.dirname, "../../bench/main.js");

  test("ends with one line of JSON on standard output", limit, () => {
    const small = ["throughput", "--quick", "--rounds", "1", "--keys", "100", "--messages", "1000"];
    const { stdout, status } = spawnSync(process.execPath, [main, ...small], { encoding: "utf8" });
    assert.equal(status, 0);
    assert.equal(JSON.parse(stdout).name, "throughput");
  });

  test("a name or a number that is none ends with 2, and says what there is", () => {
    const unknown = spawnSync(process.execPath, [main, "nothing"], { encoding: "utf8" });
    assert.equal(unknown.status, 2);
    assert.match(unknown.stderr, /checkpoint-cost/);
    const noNumber = spawnSync(process.execPath, [main, "throughput", "--rounds", "x"], { encoding: "utf8" });
    assert.equal(noNumber.status, 2);
    assert.match(noNumber.stderr, /--rounds/);
  });
});
