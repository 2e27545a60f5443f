/** The records of the `ingest` bench: orders as a shop writes them, 150 to 200 bytes of JSON each. */
import { closeSync, openSync, writeSync } from "node:fs";
import { XorShift } from "../xor-shift.js";

/** One line of the file. */
export interface Order {
  readonly kind: "order";
  readonly order: string;
  readonly account: string;
  readonly product: string;
  readonly quantity: number;
  readonly cents: number;
  readonly currency: string;
  readonly country: string;
  readonly channel: string;
  readonly placedAt: string;
}

/** What was written. */
export interface OrdersFile {
  readonly bytes: number;
  readonly orders: number;
  /** Sum of all `cents`. */
  readonly cents: number;
}

const currencies = ["EUR", "USD", "GBP", "JPY"];
const countries = ["DE", "US", "GB", "JP", "FR", "BR", "IN", "PL"];
const channels = ["web", "app", "store", "partner"];
const firstInstant = Date.UTC(2024, 0, 1);
const chunkLines = 2_000;

/** Writes a file of at least `bytes` bytes, the same for the same numbers. */
export function writeOrders(path: string, bytes: number, accounts: number): OrdersFile {
  const random = new XorShift();
  const fd = openSync(path, "w");
  const written = { bytes: 0, orders: 0, cents: 0 };
  try {
    while (written.bytes < bytes) {
      let text = "";
      for (let line = 0; line < chunkLines; line++) {
        const order = nextOrder(written.orders++, accounts, random);
        written.cents += order.cents;
        text += `${JSON.stringify(order)}\n`;
      }
      written.bytes += writeSync(fd, text);
    }
  } finally {
    closeSync(fd);
  }
  return written;
}

function nextOrder(number: number, accounts: number, random: XorShift): Order {
  return {
    kind: "order",
    order: `o-${String(number).padStart(9, "0")}`,
    account: `acct-${random.below(accounts)}`,
    product: `P-${10_000 + random.below(90_000)}`,
    quantity: 1 + random.below(9),
    cents: 100 + random.below(20_000),
    currency: currencies[random.below(currencies.length)],
    country: countries[random.below(countries.length)],
    channel: channels[random.below(channels.length)],
    placedAt: new Date(firstInstant + number * 37).toISOString(),
  };
}
