/** From rows of a run to what is drawn: rates, percentiles, stock, errors, CPU. Pure.
    A long run is drawn by stretches of several seconds. A percentile is never averaged: a stretch shows its worst second. */
import type { Percentiles, SampleRow, SpectrumPoint, Stock } from "./view";

export const POINTS_MOST = 480; // more than a plot has pixels for
export const STOCK_STATES = ["available", "held", "paying", "sold"] as const;
export type StockState = (typeof STOCK_STATES)[number];

export interface Stretch {
  /** Middle of the stretch, seconds of the run. */
  at: number;
  seconds: number;
  rows: SampleRow[];
}

export type Values = (number | null)[];

/** Rows in stretches of equally many rows, at most POINTS_MOST of them. */
export function stretches(rows: SampleRow[], most = POINTS_MOST): Stretch[] {
  const each = Math.max(1, Math.ceil(rows.length / most));
  const made: Stretch[] = [];
  let from = 0;
  for (let first = 0; first < rows.length; first += each) {
    const some = rows.slice(first, first + each);
    const until = (some.at(-1)?.until_us ?? 0) / 1e6;
    made.push({ at: (from + until) / 2, seconds: Math.max(until - from, 1e-3), rows: some });
    from = until;
  }
  return made;
}

/** Of a counter, how many a second. */
export function rate(over: Stretch[], counter: string): Values {
  return over.map(({ rows, seconds }) => rows.reduce((sum, row) => sum + (row.counters[counter] ?? 0), 0) / seconds);
}

export function worst(over: Stretch[], histogram: string, point: Exclude<keyof Percentiles, "count">): Values {
  return over.map(({ rows }) => most(rows.map((row) => row.latencies[histogram]?.[point])));
}

export function gauge(over: Stretch[], name: string): Values {
  return over.map(({ rows }) => most(rows.map((row) => row.gauges[name])));
}

export function server(over: Stretch[], name: string): Values {
  return over.map(({ rows }) => most(rows.map((row) => row.server[name])));
}

/** How a deal, or with null all of them together, stood at the end of each stretch. */
export function stock(over: Stretch[], deal: string | null, state: StockState): Values {
  const place = STOCK_STATES.indexOf(state);
  return over.map(({ rows }) => {
    const last = rows.at(-1)?.stock ?? {};
    const kept: (Stock | undefined)[] = deal === null ? Object.values(last) : [last[deal]];
    const known = kept.filter((one) => one !== undefined);
    return known.length ? known.reduce((sum, one) => sum + (one[place] ?? 0), 0) : null;
  });
}

export const dealsOf = (rows: SampleRow[]): string[] => [...new Set(rows.flatMap((row) => Object.keys(row.stock)))];

/** Names of gauges or of the server's figures that any row has, by their beginning. */
export function namesOf(rows: SampleRow[], part: "gauges" | "server", fits: (name: string) => boolean): string[] {
  return [...new Set(rows.flatMap((row) => Object.keys(row[part]).filter(fits)))].sort();
}

/** A spectrum up to where it says something: the last place is of the one who waited longest, one of so many. */
export function spectrum(points: SpectrumPoint[]): { x: number[]; values: number[] } {
  const [, most, all] = points.at(-1) ?? [0, 0, 1];
  const end = 100 * (1 - 1 / Math.max(all, 2));
  const inside = points.filter(([percent]) => percent < end);
  return { x: [...inside.map(([percent]) => percent), end], values: [...inside.map(([, us]) => us), most] };
}

/** Counters that say that something was refused or went wrong, most first: those that have words, and all with a reason. */
export function errorsOf(counters: Record<string, number>, words: Record<string, string>): [string, number][] {
  return Object.entries(counters)
    .filter(([name, times]) => times > 0 && (name in words || /^(refused|disconnects|join_failed)\./.test(name)))
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
}

export function totals(rows: SampleRow[]): Record<string, number> {
  const sum: Record<string, number> = {};
  for (const row of rows) for (const [name, times] of Object.entries(row.counters)) sum[name] = (sum[name] ?? 0) + times;
  return sum;
}

function most(values: (number | undefined)[]): number | null {
  const known = values.filter((value) => value !== undefined);
  return known.length ? Math.max(...known) : null;
}
