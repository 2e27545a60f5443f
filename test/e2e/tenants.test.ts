/** Function types that a namespace makes have timers, operations, tables and quarantine of their own, over restarts. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { describe } from "node:test";
import { defineApp, every } from "../../lib/index.js";
import { hashName32 } from "../../lib/partition/hash.js";
import { failing, notes, tenants } from "./apps/tenants.app.js";
import { appTest, Gate, nextEvent, refused } from "./running-app.js";

const hour = 3_600_000;
/** The 32-bit codes of these names are equal, and so are those of their states. */
const names = ["lz", "aa00"];

describe("function types of a namespace", () => {
  appTest("keep what is theirs apart, over restarts and another number of shards", async (lab) => {
    assert.equal(hashName32("tenant/lz"), hashName32("tenant/aa00"));
    const until = join(lab.folder, "corrected");
    const gate = new Gate();
    try {
      let app = await lab.start("tenants");
      const expected = new Set(names.flatMap((name) => [heard(name, "soon"), `tenant/${name}@x hears success`]));
      const records = app.egress(notes)[Symbol.asyncIterator]();
      for (const name of names) {
        const to = tenants.at(name, "x");
        await app.send(to, { set: name });
        await app.send(to, { after: 0, set: "soon" });
        await app.send(to, { after: hour, set: "late", token: "t" });
        await app.send(to, { run: "now" });
      }
      while (expected.size > 0) expected.delete((await records.next()).value.record);
      for (const name of names) await app.send(tenants.at(name, "x"), { run: "gate" });
      await gate.arrived(2);
      for (const name of names) {
        const parked = nextEvent(app, "parked");
        await app.send(tenants.at(name, "x"), { until });
        await parked;
      }
      await app.stop();

      app = await lab.start("tenants", { shards: 3 });
      const quarantined = await app.quarantine.list();
      const addresses = names.map((name) => `tenant/${name}@x`);
      assert.deepEqual(quarantined.map(({ address }) => String(address)).sort(), [...addresses].sort());
      writeFileSync(until, "");
      for (const name of names) {
        const to = tenants.at(name, "x");
        const [timer, ...others] = await app.timers.list({ address: to });
        assert.deepEqual([timer.from, timer.to, timer.token, others.length], [String(to), String(to), "t", 0]);
        assert.equal(await app.quarantine.retry(to), true);
        assert.equal((await app.ask(to, { cancel: "t" })).cancelled, true);
        assert.equal((await app.ask(to, { cancel: "t" })).cancelled, false);
      }
      await app.drained();
      assert.deepEqual(await app.quarantine.list(), []);
      assert.deepEqual(await app.timers.list(), []);
      for (const name of names) {
        const to = tenants.at(name, "x");
        const own = [name, "soon"].sort().map((key) => [key, String(to)]);
        const { entries, results } = await app.ask(to, "read");
        assert.deepEqual(entries, [...own, ["brief", String(to)]]);
        assert.deepEqual(results, ["success", "unknown"]);
      }
    } finally {
      gate.close();
    }
  });

  appTest("get dead letters and what schedules send", async (lab) => {
    const app = await lab.start("tenants");
    const records = app.egress(notes)[Symbol.asyncIterator]();
    const expected = new Set([
      "tenant/beaten@b has beat of undefined",
      "tenant/letters@l has a letter of plain/failing@f",
    ]);
    await app.send(failing.at("f"), 1);
    while (expected.size > 0) expected.delete((await records.next()).value.record);
  });

  test("of namespaces that are not part of the application are refused as targets", async () => {
    const to = tenants.at("a", "b");
    const beat = every("beat", { intervalMs: 100, to, message: { set: "beat" } });
    await refused(() => defineApp({ functions: [failing] }), "HF_BAD_APP", /tenant\/letters/);
    await refused(() => defineApp({ functions: [], schedules: [beat] }), "HF_BAD_APP");
    const long = { ...beat, to: { ...to, id: "x".repeat(895) } as never };
    await refused(() => defineApp({ functions: [], namespaces: [tenants], schedules: [long] }), "HF_BAD_ID");
  });
});

function heard(name: string, key: string): string {
  return `tenant/${name}@x has ${key} of tenant/${name}@x`;
}
