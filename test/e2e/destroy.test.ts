/** What becomes of everything an address has pending when it destroys itself. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { mortal, other } from "./apps/destroying.app.js";
import { appTest, Gate, withShards } from "./running-app.js";

for (const shards of [1, 2]) {
  appTest(
    `an address that destroys itself hears of nothing that it had pending, ${withShards(shards)}`,
    async (lab) => {
      const gate = new Gate();
      try {
        const aborted = join(lab.folder, "aborted");
        const fresh = { late: [], results: 0, sum: 0, cancelled: false };
        let app = await lab.start("destroying");
        assert.equal((await app.ask(mortal.at("a"), { add: 5 }, { idempotencyKey: "k" })).sum, 5);
        await app.send(mortal.at("a"), { begin: aborted });
        await app.send(mortal.at("b"), { begin: join(lab.folder, "not aborted") });
        await app.send(other.at("o"), "a");
        assert.deepEqual([...(await gate.arrived(2))].sort(), ["a", "b"]);
        assert.equal((await app.timers.list()).length, 3);
        await app.send(mortal.at("a"), { destroy: true });
        assert.deepEqual(await app.ask(mortal.at("a"), "read"), fresh); // it takes messages: it is not full
        assert.ok(existsSync(aborted));
        const pending = async () => (await app.timers.list()).map(({ from, to }) => `${from} ${to}`).sort();
        const left = ["destroying/mortal@b destroying/mortal@b", "destroying/other@o destroying/mortal@a"];
        assert.deepEqual(await pending(), left);
        gate.open();
        await app.drained();
        assert.deepEqual(await app.ask(mortal.at("a"), "read"), fresh);
        assert.equal((await app.ask(mortal.at("b"), "read")).results, 1);
        assert.equal((await app.ask(mortal.at("a"), { add: 5 }, { idempotencyKey: "k" })).sum, 5);
        assert.equal((await app.ask(mortal.at("a"), "read")).sum, 0); // the key was known, the message did not run again
        await app.stop();

        app = await lab.start("destroying", { shards: 3 - lab.shards });
        await app.drained();
        assert.deepEqual(await app.ask(mortal.at("a"), "read"), fresh);
        assert.deepEqual(await pending(), left.slice(1)); // reading b has cancelled its own
      } finally {
        gate.close();
      }
    },
    shards,
  );
}
