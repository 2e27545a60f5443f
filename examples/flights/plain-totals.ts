/** The same totals as the application's, by one loop over the same file: what the example is checked against. */
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import type { AirportReport, Flight, RouteReport } from "./flights.app.js";

/** Totals of every airport and every route, by id. */
export interface Totals {
  readonly flights: number;
  readonly airports: Map<string, AirportReport>;
  readonly routes: Map<string, RouteReport>;
}

/** Reads the file and adds up. */
export function plainTotals(file: string): Totals {
  const lines = gunzipSync(readFileSync(file)).toString("utf8").trimEnd().split("\n");
  const airports = new Map<string, AirportReport>();
  const routes = new Map<string, RouteReport>();
  for (const line of lines) {
    const { origin, destination, delay } = JSON.parse(line) as Flight;

    const from = entry(airports, origin, noFlights);
    from.departures += 1;
    from.departureDelaySum += delay;
    from.worstDelay = Math.max(from.worstDelay ?? delay, delay);

    const to = entry(airports, destination, noFlights);
    to.arrivals += 1;
    to.arrivalDelaySum += delay;
    to.worstDelay = Math.max(to.worstDelay ?? delay, delay);

    const route = entry(routes, `${origin}-${destination}`, () => ({ flights: 0, delaySum: 0, maxDelay: null }));
    route.flights += 1;
    route.delaySum += delay;
    route.maxDelay = Math.max(route.maxDelay ?? delay, delay);
  }
  return { flights: lines.length, airports, routes };
}

function noFlights(): AirportReport {
  return { departures: 0, departureDelaySum: 0, arrivals: 0, arrivalDelaySum: 0, worstDelay: null };
}

function entry<T>(totals: Map<string, T>, id: string, empty: () => T): T {
  const found = totals.get(id);
  if (found !== undefined) return found;
  const created = empty();
  totals.set(id, created);
  return created;
}
