import { expect, test } from "vitest";
import { nearest } from "../../src/report/Plot";

test.each([
  [[], 5, -1],
  [[3], 100, 0],
  [[0, 1, 2, 3], 1.4, 1],
  [[0, 1, 2, 3], 1.6, 2],
  [[0, 1, 2, 3], 99, 3],
  [[0, 1, 2, 3], -1, 0],
])("of %j the nearest to %d is at %d", (rising, wanted, place) => {
  expect(rising[nearest(rising, wanted)]).toBe(rising[place]);
});
