/** Files in, files out, exactly once, through a running application. */
import assert from "node:assert/strict";
import { appendFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe } from "node:test";
import type { Application, Reject } from "../../lib/index.js";
import { accepted, customer, ledger, type Order } from "./apps/files.app.js";
import { appTest, appTests, type Lab, nextEvent, refused, take } from "./running-app.js";

const customers = 30;

describe("a finite file", () => {
  appTests("is taken to its end, every line once and in order, also when threads die on the way", async (lab) => {
    const orders = someOrders(2_000);
    writeOrders(lab, orders);
    const app = await startFiles(lab);
    const restarted = nextEvent(app, "restarted");
    await app.send(ledger.at("accident"), "exit");
    await restarted;
    await app.drained();
    const { ingested, rejected, exhausted, restarts } = app.status();
    assert.deepEqual(
      { ingested, rejected, exhausted, restarts },
      { ingested: orders.length, rejected: 0, exhausted: true, restarts: 1 },
    );
    await checkTotals(app, orders);
    await app.stop();
    checkOutput(lab, orders);
  });

  appTest("goes on where it was after a stop, with another shard count, and ends the same", async (lab) => {
    const orders = someOrders(6_000);
    writeOrders(lab, orders);
    for (const shards of [1, 3]) {
      const app = await startFiles(lab, { shards });
      await take(app.egress(accepted), 10);
      await app.stop();
    }
    const app = await startFiles(lab, { shards: 2 });
    await app.drained();
    await checkTotals(app, orders);
    await app.stop();
    checkOutput(lab, orders);
    const again = await startFiles(lab);
    await again.drained();
    assert.equal(again.status().ingested, 0);
    await again.stop();
    checkOutput(lab, orders);
  });

  appTest("with bad lines: they are counted and kept with their place, the others are applied", async (lab) => {
    const good = someOrders(50);
    const lines = good.map((order) => JSON.stringify(order));
    lines.splice(10, 0, "{ not json", JSON.stringify({ customer: "c1", amount: "much" }), "\u0000");
    writeFileSync(join(lab.folder, "orders.ndjson"), `${lines.join("\n")}\n`);
    const app = await startFiles(lab);
    await app.drained();
    assert.deepEqual([app.status().ingested, app.status().rejected], [53, 3]);
    await checkTotals(app, good);
    await app.stop();
    const rejects = readLines<Reject>(join(lab.folder, "orders.ndjson.rejects.ndjson"));
    assert.deepEqual(
      rejects.map(({ text }) => text),
      lines.slice(10, 13),
    );
    const offset = Buffer.byteLength(`${lines.slice(0, 10).join("\n")}\n`);
    assert.deepEqual([rejects[0].ingress, rejects[0].where], ["orders", `byte ${offset}`]);
    assert.match(rejects[1].error, /an order has an amount/);
    const again = await startFiles(lab);
    await again.drained();
    assert.equal(again.status().rejected, 0);
  });

  appTest("with a bad line and onBadRecord fail stops the application there; mended, it goes on", async (lab) => {
    const orders = someOrders(20);
    const lines = orders.map((order) => JSON.stringify(order));
    writeFileSync(
      join(lab.folder, "orders.ndjson"),
      `${[...lines.slice(0, 10), `X${lines[10].slice(1)}`, ...lines.slice(11)].join("\n")}\n`,
    );
    const outcome = startFiles(lab, {}, { strict: "yes" }).then((app) => app.stopped); // it may fail before it is up
    const error = await refused(outcome, "HF_BAD_RECORD", /orders.*byte \d+.*onBadRecord: "reject"/s);
    assert.ok(error.cause instanceof Error);
    assert.equal(existsSync(join(lab.folder, "orders.ndjson.rejects.ndjson")), false);
    writeOrders(lab, orders);
    const mended = await startFiles(lab, {}, { strict: "yes" });
    await mended.drained();
    await checkTotals(mended, orders);
    await mended.stop();
    checkOutput(lab, orders);
  });

  appTest("that does not exist fails the application with its path", async (lab) => {
    const outcome = startFiles(lab).then((app) => app.stopped);
    await refused(outcome, "HF_INGRESS_FAILED", /orders\.ndjson/);
  });
});

describe("a file of several splits", () => {
  appTest("is taken by all shards, every line once, over deaths, stops and other shard counts", async (lab) => {
    const orders = someOrders(4_000).map((order) => ({ ...order, note: "x".repeat(1_500) })); // six blocks
    writeOrders(lab, orders);
    const split = { splits: "3" };
    let app = await startFiles(lab, { shards: 2 }, split);
    const restarted = nextEvent(app, "restarted");
    await app.send(ledger.at("accident"), "exit");
    await restarted;
    await take(app.egress(accepted), 10);
    await app.stop();
    app = await startFiles(lab, { shards: 3 }, split);
    await app.drained();
    await checkSums(app, orders);
    await app.stop();
    checkOutputOnce(lab, orders);
    await refused(startFiles(lab, {}, { splits: "2" }), "HF_BAD_OPTIONS", /splits is 2, .* splits: 3/);
    await refused(startFiles(lab), "HF_BAD_OPTIONS", /splits is 1, .* splits: 3/);
    const again = await startFiles(lab, { shards: 1 }, split);
    await again.drained();
    assert.equal(again.status().ingested, 0);
  });

  appTest("is followed as it grows from nothing into further blocks", async (lab) => {
    const orders = someOrders(1_500).map((order) => ({ ...order, note: "x".repeat(1_500) }));
    const path = join(lab.folder, "orders.ndjson");
    const app = await startFiles(lab, { shards: 2 }, { splits: "2", follow: "yes" });
    const records = app.egress(accepted);
    for (const [from, to] of [
      [0, 1],
      [1, 900],
      [900, orders.length],
    ]) {
      const text = orders.slice(from, to).map((order) => `${JSON.stringify(order)}\n`);
      appendFileSync(path, text.join(""));
      await take(records, to - from);
    }
    await checkSums(app, orders);
    await app.stop();
    checkOutputOnce(lab, orders);
  });
});

describe("a growing file", () => {
  appTest("is followed, over a restart of the application too; half a line waits for its end", async (lab) => {
    const orders = someOrders(300);
    const path = join(lab.folder, "orders.ndjson");
    let app = await startFiles(lab, {}, { follow: "yes" });
    const append = (from: number, to: number): void =>
      appendFileSync(
        path,
        orders
          .slice(from, to)
          .map((order) => `${JSON.stringify(order)}\n`)
          .join(""),
      );
    append(0, 100);
    await take(app.egress(accepted), 100);
    const [head, tail] = [JSON.stringify(orders[100]).slice(0, 9), `${JSON.stringify(orders[100]).slice(9)}\n`];
    appendFileSync(path, head);
    await app.stop();
    app = await startFiles(lab, {}, { follow: "yes" });
    const records = app.egress(accepted);
    appendFileSync(path, tail);
    append(101, 300);
    await take(records, 200);
    await checkTotals(app, orders);
    assert.equal(app.status().exhausted, false);
    await app.stop();
    checkOutput(lab, orders);
  });
});

describe("an egress file", () => {
  appTest("that was cut is refused at the next start, and nothing is lost when it is back", async (lab) => {
    const orders = someOrders(40);
    writeOrders(lab, orders);
    const app = await startFiles(lab);
    await app.drained();
    await app.stop();
    const path = join(lab.folder, "accepted.ndjson");
    const content = readFileSync(path);
    truncateSync(path, content.length - 5);
    await refused(startFiles(lab), "HF_EGRESS_DAMAGED", /accepted\.ndjson/);
    writeFileSync(path, Buffer.concat([content, Buffer.from('{"not":"committed"}\n')]));
    const again = await startFiles(lab);
    await again.stop();
    assert.deepEqual(readFileSync(path), content);
  });
});

function startFiles(
  lab: Lab,
  options: Parameters<Lab["start"]>[1] = {},
  query: Record<string, string> = {},
): Promise<Application> {
  return lab.start("files", options, { folder: lab.folder, ...query });
}

function someOrders(count: number): Order[] {
  return Array.from({ length: count }, (_, n) => ({ customer: `c${(n * 17) % customers}`, amount: n + 1 }));
}

function writeOrders(lab: Lab, orders: readonly Order[]): void {
  writeFileSync(join(lab.folder, "orders.ndjson"), orders.map((order) => `${JSON.stringify(order)}\n`).join(""));
}

async function checkTotals(app: Application, orders: readonly Order[]): Promise<void> {
  const sum = orders.reduce((total, { amount }) => total + amount, 0);
  assert.deepEqual(await app.ask(ledger.at("all"), "read"), { sum, count: orders.length });
  for (let n = 0; n < customers; n++) {
    const own = orders.filter(({ customer: id }) => id === `c${n}`).map(({ amount }) => amount);
    const total = own.reduce((a, b) => a + b, 0);
    assert.deepEqual(await app.ask(customer.at(`c${n}`), "read"), { total, orders: own.slice(-5) });
  }
}

/** What does not depend on the order of the orders. */
async function checkSums(app: Application, orders: readonly Order[]): Promise<void> {
  const sum = orders.reduce((total, { amount }) => total + amount, 0);
  assert.deepEqual(await app.ask(ledger.at("all"), "read"), { sum, count: orders.length });
}

/** The output holds every order once. */
function checkOutputOnce(lab: Lab, orders: readonly Order[]): void {
  const written = readLines<Order>(join(lab.folder, "accepted.ndjson")).map(({ amount }) => amount);
  assert.deepEqual(
    written.toSorted((a, b) => a - b),
    orders.map(({ amount }) => amount),
  );
}

/** The output holds every order once, those of a customer in the order of the input, with the right running total. */
function checkOutput(lab: Lab, orders: readonly Order[]): void {
  const written = readLines<Order & { readonly total: number }>(join(lab.folder, "accepted.ndjson"));
  assert.equal(written.length, orders.length);
  for (let n = 0; n < customers; n++) {
    const expected: (Order & { total: number })[] = [];
    for (const order of orders) {
      if (order.customer === `c${n}`) expected.push({ ...order, total: (expected.at(-1)?.total ?? 0) + order.amount });
    }
    assert.deepEqual(
      written.filter(({ customer: id }) => id === `c${n}`),
      expected,
    );
  }
}

function readLines<T>(path: string): T[] {
  return readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as T);
}
