/**
 * What the command line says while an application runs: one live line on a terminal, plain lines elsewhere, JSON
 * objects with `--json`.
 *
 * Owner and thread: main.
 * P1. Other text goes through `note`, which takes the live line away first: the two never mix on one row.
 * P2. Nothing is left of the live line after `end`.
 */
import type { Clock } from "../base/clock.js";
import type { CliPorts, OutputPort, RunStatus } from "./run.js";

const liveEveryMs = 200;
const plainEveryMs = 2_000;
/** Rates are taken over at least this long, so that the live line does not flicker. */
const rateOverMs = 1_000;
const columnsDefault = 80;

/** How progress is shown. */
export type ProgressMode = "live" | "plain" | "json" | "none";

/** A status with the rates since the last time it was looked at. */
export interface Sample {
  readonly status: RunStatus;
  readonly elapsedMs: number;
  readonly ingestedPerSecond: number;
  readonly turnsPerSecond: number;
}

export class Progress {
  readonly #mode: ProgressMode;
  readonly #ports: Pick<CliPorts, "stdout" | "stderr">;
  readonly #clock: Clock;
  readonly #colour: boolean;
  readonly #startedAt: number;
  #status: (() => RunStatus) | undefined;
  #timer: NodeJS.Timeout | undefined;
  #shown = false;
  #rates = { at: 0, ingested: 0, turns: 0, ingestedPerSecond: 0, turnsPerSecond: 0 };

  constructor(mode: ProgressMode, ports: Pick<CliPorts, "stdout" | "stderr" | "clock" | "env">) {
    this.#mode = mode;
    this.#ports = ports;
    this.#clock = ports.clock;
    this.#colour = mode === "live" && (ports.env.NO_COLOR ?? "") === "";
    this.#startedAt = ports.clock.now();
  }

  /** Starts to show a status, at once on a terminal. */
  begin(status: () => RunStatus): void {
    const now = this.#clock.now();
    const { ingested, turns } = status();
    this.#status = status;
    this.#rates = { at: now, ingested, turns, ingestedPerSecond: 0, turnsPerSecond: 0 };
    if (this.#mode === "none") return;
    if (this.#mode === "live") this.show();
    this.#timer = setInterval(() => this.show(), this.#mode === "live" ? liveEveryMs : plainEveryMs);
  }

  /** Shows the status as it is now. */
  show(): void {
    if (this.#status === undefined) return;
    const sample = this.sample(this.#status());
    if (this.#mode === "json")
      this.#ports.stdout.write(`${JSON.stringify({ event: "progress", ...jsonOf(sample) })}\n`);
    else if (this.#mode === "plain") this.#ports.stderr.write(`${lineOf(sample)}\n`);
    else if (this.#mode === "live") this.#showLive(sample);
  }

  /** A line for people, beside the progress. */
  note(text: string, alarming = false): void {
    this.#clear(); // P1
    this.#ports.stderr.write(alarming && this.#colour ? `\x1b[33m${text}\x1b[39m\n` : `${text}\n`);
    if (this.#mode === "live") this.show();
  }

  /** Ends the progress. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#clear(); // P2
    this.#status = undefined;
  }

  sample(status: RunStatus): Sample {
    const now = this.#clock.now();
    const { at, ingested, turns } = this.#rates;
    const seconds = (now - at) / 1_000;
    if (now - at >= rateOverMs) {
      this.#rates = {
        at: now,
        ingested: status.ingested,
        turns: status.turns,
        // Counters may begin anew when workers restart.
        ingestedPerSecond: Math.max(0, Math.round((status.ingested - ingested) / seconds)),
        turnsPerSecond: Math.max(0, Math.round((status.turns - turns) / seconds)),
      };
    }
    const { ingestedPerSecond, turnsPerSecond } = this.#rates;
    return { status, elapsedMs: Math.round(now - this.#startedAt), ingestedPerSecond, turnsPerSecond };
  }

  #showLive(sample: Sample): void {
    const width = (this.#ports.stderr.columns || columnsDefault) - 1; // a full row would wrap; 0 is "not known"
    const line = lineOf(sample).slice(0, Math.max(width, 10));
    const troubled = sample.status.rejected + sample.status.parked + sample.status.restarts > 0;
    this.#ports.stderr.write(`\r${this.#colour && troubled ? `\x1b[33m${line}\x1b[39m` : line}\x1b[K`);
    this.#shown = true;
  }

  #clear(): void {
    if (this.#shown) this.#ports.stderr.write("\r\x1b[K");
    this.#shown = false;
  }
}

/** Live where a terminal can show it. */
export function progressMode(
  options: { json: boolean; progress: boolean },
  stderr: OutputPort,
  env: CliPorts["env"],
): ProgressMode {
  if (!options.progress) return "none";
  if (options.json) return "json";
  return stderr.isTTY === true && env.TERM !== "dumb" ? "live" : "plain";
}

/** A status as the fields of a JSON object. */
export function jsonOf({ status, elapsedMs, ingestedPerSecond, turnsPerSecond }: Sample): object {
  const { state, shards, committed, ingested, turns, rejected, parked, orphans, restarts, exhausted } = status;
  const rates = { ingestedPerSecond, turnsPerSecond };
  return {
    elapsedMs,
    state,
    shards,
    committed,
    ingested,
    turns,
    ...rates,
    rejected,
    parked,
    orphans,
    restarts,
    exhausted,
  };
}

/** A duration for people: `0.4 s`, `59.9 s`, `12:05`, `1:00:07`. */
export function durationOf(ms: number): string {
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const parts = [Math.floor(seconds / 60) % 60, seconds % 60].map((part) => String(part).padStart(2, "0"));
  const hours = Math.floor(seconds / 3_600);
  return hours > 0 ? `${hours}:${parts.join(":")}` : parts.join(":");
}

/** A count for people: `1,234,567`. */
export function countOf(count: number): string {
  return count.toLocaleString("en-US");
}

function lineOf({ status, elapsedMs, ingestedPerSecond, turnsPerSecond }: Sample): string {
  const parts = [
    durationOf(elapsedMs),
    `epoch ${status.committed}`,
    `${countOf(status.ingested)} records (${countOf(ingestedPerSecond)}/s)`,
    `${countOf(turnsPerSecond)} turns/s`,
    `${countOf(status.rejected)} rejected`,
    `${countOf(status.parked)} parked`,
  ];
  if (status.exhausted && status.ingested > 0) parts.push("input at its end");
  if (status.restarts > 0) parts.push(`${status.restarts} restarts`);
  return parts.join("  ");
}
