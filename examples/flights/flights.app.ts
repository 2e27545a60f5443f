/**
 * Delay statistics of airports and routes, kept by two functions that message each other.
 *
 *     flights-20k.ndjson.gz ──▶ airport DTW ──▶ airport LAS      (the destination)
 *                                    └────────▶ route DTW-LAS ──▶ flights/route-updates
 */
import { join } from "node:path";
import { defineApp, defineEgress, defineFunction, type, value } from "holdfast";
import { ndjsonIngress } from "holdfast/io/ndjson";

/** One line of the input. Delays are minutes, negative when early. */
export interface Flight {
  date: string;
  delay: number;
  distance: number;
  origin: string;
  destination: string;
}

/** What an airport says about itself. */
export interface AirportReport {
  departures: number;
  departureDelaySum: number;
  arrivals: number;
  arrivalDelaySum: number;
  /** Of a departure or an arrival; null while there was none. */
  worstDelay: number | null;
}

/** What a route says about itself. */
export interface RouteReport {
  flights: number;
  delaySum: number;
  maxDelay: number | null;
}

/** Emitted for every flight of a route, counting up. */
export interface RouteUpdate {
  route: string;
  flights: number;
  meanDelay: number;
  maxDelay: number;
}

type AirportMessage = { kind: "departure"; flight: Flight } | { kind: "arrival"; delay: number } | { kind: "report" };
type RouteMessage = { kind: "flight"; delay: number } | { kind: "report" };

export const routeUpdates = defineEgress<RouteUpdate>("flights/route-updates");

/** One instance per airport; the id is its IATA code. */
export const airport = defineFunction("flights/airport", {
  state: {
    departures: value(0),
    departureDelaySum: value(0),
    arrivals: value(0),
    arrivalDelaySum: value(0),
    worstDelay: value<number | null>(null),
  },
  reply: type<AirportReport>(),
  receive(ctx, message: AirportMessage) {
    const { departures, departureDelaySum, arrivals, arrivalDelaySum, worstDelay } = ctx.state;
    switch (message.kind) {
      case "departure": {
        const { origin, destination, delay } = message.flight;
        departures.update((count) => count + 1);
        departureDelaySum.update((sum) => sum + delay);
        worstDelay.update((worst) => worse(worst, delay));
        ctx.send(airport.at(destination), { kind: "arrival", delay });
        ctx.send(route.at(`${origin}-${destination}`), { kind: "flight", delay });
        break;
      }
      case "arrival":
        arrivals.update((count) => count + 1);
        arrivalDelaySum.update((sum) => sum + message.delay);
        worstDelay.update((worst) => worse(worst, message.delay));
        break;
      case "report":
        ctx.reply({
          departures: departures.get(),
          departureDelaySum: departureDelaySum.get(),
          arrivals: arrivals.get(),
          arrivalDelaySum: arrivalDelaySum.get(),
          worstDelay: worstDelay.get(),
        });
        break;
    }
  },
});

/** One instance per pair of airports; the id is `DTW-LAS`. Keeps its three numbers as one value. */
export const route = defineFunction("flights/route", {
  state: { totals: value<RouteReport>({ flights: 0, delaySum: 0, maxDelay: null }) },
  reply: type<RouteReport>(),
  receive(ctx, message: RouteMessage) {
    if (message.kind === "report") {
      ctx.reply(ctx.state.totals.get());
      return;
    }
    const totals = ctx.state.totals.get();
    const flights = totals.flights + 1;
    const delaySum = totals.delaySum + message.delay;
    const maxDelay = worse(totals.maxDelay, message.delay);
    ctx.state.totals.set({ flights, delaySum, maxDelay });
    ctx.emit(routeUpdates, { route: ctx.self.id, flights, meanDelay: delaySum / flights, maxDelay });
  },
});

/** The data stays in examples/flights, also when this module runs compiled, from dist/examples/flights. */
const folder = import.meta.dirname.replace(/dist(?=[\\/]examples[\\/]flights$)/, "");
export const flightsFile = join(folder, "flights-20k.ndjson.gz");

export default defineApp({
  functions: [airport, route],
  ingresses: [
    ndjsonIngress<Flight>("flights", {
      path: flightsFile,
      route: (flight, to) => to(airport.at(flight.origin), { kind: "departure", flight }),
    }),
  ],
  egresses: [routeUpdates],
});

function worse(worst: number | null, delay: number): number {
  return worst === null ? delay : Math.max(worst, delay);
}
