import { describe, expect, test } from "vitest";
import { linear, logarithmic, percentiles, seconds, type Scale } from "../../src/report/scale";

const labels = (scale: Scale): string[] => scale.ticks.map((tick) => tick.label);

describe.each<[string, Scale, number[]]>([
  ["even", linear(0, 97, String), [0, 12, 97]],
  ["logarithmic", logarithmic(300, 900_000, String), [300, 4_000, 900_000]],
  ["percentile", percentiles(100_000), [0, 50, 99, 99.99]],
  ["time", seconds(150, String), [0, 75, 150]],
])("an axis that is %s", (_name, scale, values) => {
  test("has room for all its values, and finds them again", () => {
    for (const value of values) {
      expect(scale.at(value)).toBeGreaterThanOrEqual(0);
      expect(scale.at(value)).toBeLessThanOrEqual(1);
      expect(scale.back(scale.at(value))).toBeCloseTo(value, 6);
    }
  });

  test("writes its ticks in order", () => {
    const places = scale.ticks.map((tick) => scale.at(tick.value));
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(places.length).toBeGreaterThan(1);
  });
});

test("an even axis ends at a round number above what is drawn", () => {
  expect(labels(linear(0, 97, String, 4))).toEqual(["0", "25", "50", "75", "100"]);
  expect(linear(0, 0, String).at(0)).toBe(0);
});

test("of units and people there are no halves on the axis", () => {
  expect(labels(linear(0, 2, String, 4, 1))).toEqual(["0", "1", "2"]);
});

test("each factor of ten takes the same room", () => {
  const scale = logarithmic(100, 1_000_000, String);
  expect(scale.at(1_000) - scale.at(100)).toBeCloseTo(scale.at(1_000_000) - scale.at(100_000));
  expect(labels(scale)).toEqual(["100", "1000", "10000", "100000", "1000000"]);
});

test("a short logarithmic axis has ticks between the powers of ten, and one value is room enough", () => {
  expect(labels(logarithmic(20_000, 90_000, String))).toEqual(["20000", "50000", "100000"]);
  expect(logarithmic(5, 5, String).ticks.length).toBeGreaterThan(1);
});

test("each further nine is as wide as the last, up to the last one of those counted", () => {
  const scale = percentiles(10_000);
  expect(labels(scale)).toEqual(["0%", "50%", "90%", "99%", "99.9%", "99.99%"]);
  expect(scale.at(99) - scale.at(90)).toBeCloseTo(scale.at(99.9) - scale.at(99));
  expect(scale.at(100)).toBe(1);
});

test("time has its ticks at round moments", () => {
  expect(seconds(150, String).ticks.map((tick) => tick.value)).toEqual([0, 30, 60, 90, 120, 150]);
  expect(seconds(5_400, String).ticks.map((tick) => tick.value)).toEqual([0, 900, 1800, 2700, 3600, 4500, 5400]);
});
