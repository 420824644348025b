import { expect, test } from "vitest";
import { dealsOf, errorsOf, gauge, POINTS_MOST, rate, spectrum, stock, stretches, totals, worst } from "../../src/report/series";
import type { SampleRow } from "../../src/report/view";

const row = (second: number, fields: Partial<SampleRow> = {}): SampleRow => ({
  until_us: second * 1e6,
  counters: {},
  gauges: {},
  latencies: {},
  server: {},
  stock: {},
  ...fields,
});
const p99 = (us: number) => ({ state: { count: 1, p50: us / 2, p90: us, p95: us, p99: us, p999: us, max: us } });

test("a short run is drawn second by second", () => {
  const over = stretches([row(1), row(2), row(3)]);
  expect(over.map((one) => [one.at, one.seconds])).toEqual([
    [0.5, 1],
    [1.5, 1],
    [2.5, 1],
  ]);
});

test("a long run is drawn in stretches, and every second is in one of them", () => {
  const rows = Array.from({ length: 3_600 }, (_, index) => row(index + 1));
  const over = stretches(rows);
  expect(over.length).toBeLessThanOrEqual(POINTS_MOST);
  expect(over.flatMap((one) => one.rows)).toEqual(rows);
});

test("a rate is of the whole stretch, a percentile is its worst second and never an average", () => {
  const rows = [row(1, { counters: { frames: 10 }, latencies: p99(100), gauges: { in: 5 } }), row(2, { counters: { frames: 30 }, latencies: p99(900), gauges: { in: 3 } })];
  const over = stretches(rows, 1);
  expect(rate(over, "frames")).toEqual([20]);
  expect(worst(over, "state", "p99")).toEqual([900]);
  expect(gauge(over, "in")).toEqual([5]);
});

test("what was not measured is a gap, not a zero", () => {
  const over = stretches([row(1), row(2, { latencies: p99(7) })]);
  expect(worst(over, "state", "p99")).toEqual([null, 7]);
  expect(gauge(over, "in")).toEqual([null, null]);
  expect(stock(over, "lip", "held")).toEqual([null, null]);
});

test("stock is as it stood at the end of a stretch, of one deal or of all", () => {
  const rows = [row(1, { stock: { lip: [9, 1, 0, 0, 0] } }), row(2, { stock: { lip: [5, 2, 2, 1, 4], oil: [1, 1, 0, 0, 0] } })];
  const over = stretches(rows, 1);
  expect(dealsOf(rows)).toEqual(["lip", "oil"]);
  expect(stock(over, "lip", "available")).toEqual([5]);
  expect(stock(over, null, "held")).toEqual([3]);
});

test("errors are what was refused or failed, most first, without zeros and sums", () => {
  expect(errorsOf({ refused: 9, "refused.400": 7, "refused.409": 2, "join_failed.full": 0, answers: 100, late_sends: 8, "disconnects.4001": 2 }, { late_sends: "sent late" })).toEqual([
    ["late_sends", 8],
    ["refused.400", 7],
    ["disconnects.4001", 2],
    ["refused.409", 2],
  ]);
});

test("totals of rows add up", () => {
  expect(totals([row(1, { counters: { taps: 2 } }), row(2, { counters: { taps: 3, cuts: 1 } })])).toEqual({ taps: 5, cuts: 1 });
});

test("a spectrum ends with the one who waited longest, at her own place", () => {
  const drawn = spectrum([
    [0, 10, 1],
    [90, 20, 900],
    [99.95, 30, 1_000],
    [100, 30, 1_000],
  ]);
  expect(drawn.x).toEqual([0, 90, 99.9]);
  expect(drawn.values).toEqual([10, 20, 30]);
});
