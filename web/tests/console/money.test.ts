import { expect, test } from "vitest";
import { decimalsOf, minorOf, textOf } from "../../src/console/money";

test.each([
  ["12", "EUR", 1200],
  ["12.5", "EUR", 1250],
  ["12,50", "EUR", 1250],
  ["0", "EUR", 0],
  ["12.500", "EUR", 1250],
  ["1500", "JPY", 1500],
  ["19.99", "CNY", 1999],
])("%s %s", (text, currency, minor) => {
  expect(minorOf(text, currency)).toBe(minor);
});

test.each([
  ["", "EUR"],
  ["-1", "EUR"],
  ["12.505", "EUR"],
  ["1.5", "JPY"],
  ["1e5", "EUR"],
  ["twelve", "EUR"],
  ["99999999999", "EUR"],
])("%s %s is no price", (text, currency) => {
  expect(minorOf(text, currency)).toBeNull();
});

test("minor units come back as they were typed", () => {
  expect(textOf(1250, "EUR")).toBe("12.50");
  expect(textOf(1500, "JPY")).toBe("1500");
  expect(textOf(null, "EUR")).toBe("");
  expect(decimalsOf("JPY")).toBe(0);
});
