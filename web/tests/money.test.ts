import { expect, test } from "vitest";
import { money, percentOff } from "../src/shared/money";
import { clockText } from "../src/shared/time";

const plain = (text: string): string => text.replace(/\s/g, " ");

test.each([
  [2090, "EUR", "en-GB", "€20.90"],
  [2090, "EUR", "fr-FR", "20,90 €"],
  [1234567, "EUR", "fr-FR", "12 345,67 €"],
  [19900, "CNY", "zh-CN", "¥199.00"],
  [1500, "JPY", "en-GB", "¥1,500"],
  [12345, "KWD", "en-GB", "KWD 12.345"],
  [0, "EUR", "en-GB", "€0.00"],
])("%i minor units of %s read in %s as %s", (minor, currency, locale, words) => {
  expect(plain(money(minor, currency, locale))).toBe(words);
});

test("the largest amount there is keeps its last coin", () => {
  expect(money(99_999_999_999, "EUR", "en-GB")).toBe("€999,999,999.99");
});

test.each([
  [2090, 2900, 27],
  [2900, 2900, 0],
  [3000, 2900, 0],
  [2000, null, 0],
  [1, 3, 66],
])("from %i instead of %s is %i percent less, rounded down", (price, was, off) => {
  expect(percentOff(price, was)).toBe(off);
});

test.each([
  [0, "0:00"],
  [-5, "0:00"],
  [1, "0:01"],
  [59_001, "1:00"],
  [245_000, "4:05"],
  [3_729_000, "1:02:09"],
])("%i ms left read as %s", (leftMs, words) => {
  expect(clockText(leftMs)).toBe(words);
});
