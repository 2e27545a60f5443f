/**
 * Runs the flights application on a fresh data directory until every record is committed, prints the worst airports
 * and routes, and checks every total, and every route update that came out, against a plain loop over the same file.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type Application, start } from "holdfast";
import { type AirportReport, airport, flightsFile, type RouteReport, route, routeUpdates } from "./flights.app.js";
import { plainTotals } from "./plain-totals.js";

const departuresMin = 50; // an airport with fewer is not ranked
const routeFlightsMin = 20;

const dataDir = await mkdtemp(join(tmpdir(), "holdfast-flights-"));
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  await rm(dataDir, { recursive: true, force: true });
}

/** True when everything came out as the plain loop says. */
async function run(): Promise<boolean> {
  const expected = plainTotals(flightsFile);
  await using app = await start(new URL("./flights.app.js", import.meta.url), { dataDir, shards: 2 });
  const updates = collectUpdates(app);
  await drainedWithProgress(app, expected.flights);

  const airports = await ask(expected.airports.keys(), (id) => app.ask(airport.at(id), { kind: "report" }));
  const routes = await ask(expected.routes.keys(), (id) => app.ask(route.at(id), { kind: "report" }));
  await app.stop();

  printAirports(airports);
  printRoutes(routes);
  const differences = [
    ...compare("airport", expected.airports, airports),
    ...compare("route", expected.routes, routes),
    ...compare("updates of route", exactlyOnce(expected.routes), await updates),
  ];
  for (const difference of differences) console.error(difference);
  console.log(
    `${expected.flights} flights, ${airports.size} airports, ${routes.size} routes:`,
    differences.length === 0 ? "every total and every update is right" : `${differences.length} DIFFERENCES`,
  );
  return differences.length === 0;
}

/** Collects, until the application stops, what each route's updates said its number of flights was, in their order. */
async function collectUpdates(app: Application): Promise<Map<string, number[]>> {
  const updates = new Map<string, number[]>();
  for await (const { record } of app.egress(routeUpdates)) {
    const before = updates.get(record.route);
    if (before === undefined) updates.set(record.route, [record.flights]);
    else before.push(record.flights);
  }
  return updates;
}

/** Each flight of a route exactly once and in order: 1, 2, … up to its number of flights. */
function exactlyOnce(routes: Map<string, RouteReport>): Map<string, number[]> {
  return new Map(
    [...routes].map(([id, { flights }]) => [id, Array.from({ length: flights }, (_, index) => index + 1)]),
  );
}

/** Waits until the input is exhausted and everything it caused is committed. */
async function drainedWithProgress(app: Application, total: number): Promise<void> {
  const show = (): void => {
    const { ingested, turns, committed } = app.status();
    console.log(`${ingested} of ${total} flights, ${turns} turns, epoch ${committed} committed`);
  };
  const timer = setInterval(show, 200);
  try {
    await app.drained();
  } finally {
    clearInterval(timer);
  }
  show();
}

async function ask<T>(ids: Iterable<string>, report: (id: string) => Promise<T>): Promise<Map<string, T>> {
  return new Map(await Promise.all([...ids].map(async (id) => [id, await report(id)] as const)));
}

function compare<T>(what: string, expected: Map<string, T>, actual: Map<string, T>): string[] {
  const ids = new Set([...expected.keys(), ...actual.keys()]);
  return [...ids]
    .filter((id) => !isDeepStrictEqual(expected.get(id), actual.get(id)))
    .map((id) => `${what} ${id}: expected ${JSON.stringify(expected.get(id))}, got ${JSON.stringify(actual.get(id))}`);
}

function printAirports(airports: Map<string, AirportReport>): void {
  console.log(`\nThe ten airports with the longest mean delay of departures (${departuresMin} departures or more)`);
  const rows = [...airports]
    .filter(([, { departures }]) => departures >= departuresMin)
    .map(([id, { departures, departureDelaySum, worstDelay }]) => ({
      airport: id,
      departures,
      "mean delay": mean(departureDelaySum, departures),
      "worst delay": worstDelay,
    }));
  printWorst(rows);
}

function printRoutes(routes: Map<string, RouteReport>): void {
  console.log(`\nThe ten routes with the longest mean delay (${routeFlightsMin} flights or more)`);
  const rows = [...routes]
    .filter(([, { flights }]) => flights >= routeFlightsMin)
    .map(([id, { flights, delaySum, maxDelay }]) => ({
      route: id,
      flights,
      "mean delay": mean(delaySum, flights),
      "worst delay": maxDelay,
    }));
  printWorst(rows);
}

function printWorst(rows: { "mean delay": number }[]): void {
  console.table(rows.sort((a, b) => b["mean delay"] - a["mean delay"]).slice(0, 10));
}

/** In minutes, to a tenth. */
function mean(sum: number, count: number): number {
  return Math.round((sum / count) * 10) / 10;
}
