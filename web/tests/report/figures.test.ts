import { expect, test } from "vitest";
import { clock, errorNumber, errorWords, number, share, short, time, timeTick } from "../../src/report/figures";

test.each([
  [0, "0 µs"],
  [999, "999 µs"],
  [1_000, "1.00 ms"],
  [42_137, "42.1 ms"],
  [250_400, "250 ms"],
  [1_500_000, "1.50 s"],
  [75_000_000, "75.0 s"],
])("%d microseconds read %s", (us, words) => {
  expect(time(us)).toBe(words);
});

test("an axis writes no fraction that says nothing", () => {
  expect(timeTick(1_000)).toBe("1 ms");
  expect(timeTick(1_500)).toBe("1.50 ms");
});

test.each([
  [0, "0:00"],
  [62, "1:02"],
  [3_727, "1:02:07"],
])("%d seconds of the run read %s", (seconds, words) => {
  expect(clock(seconds)).toBe(words);
});

test("figures have as many digits as say something", () => {
  expect([number(12_345.6), number(12.34), number(1.234), number(0.01234), number(7)]).toEqual(["12,346", "12.3", "1.23", "0.012", "7"]);
  expect([share(0), share(1), share(0.0004), share(0.615)]).toEqual(["0%", "100%", "0.04%", "61.5%"]);
  expect([short(40_000), short(1_250_000), short(12)]).toEqual(["40k", "1.25M", "12"]);
});

test("an error has the server's words, its own reason, or its name", () => {
  const words = { "refused.400": "Sold out" };
  expect(errorWords("refused.400", words)).toBe("Sold out");
  expect(errorWords("join_failed.timed_out", words)).toBe("could not come in: timed out");
  expect(errorWords("late_sends", words)).toBe("late sends");
  expect([errorNumber("disconnects.4001"), errorNumber("join_failed.timed_out"), errorNumber("unanswered")]).toEqual(["4001", "", ""]);
});
