import { describe, expect, test } from "vitest";
import { LOCALES } from "../../src/shared/i18n";
import { clock, isLaterRound, momentOf, storyZero, type Step } from "../../src/demo/story";

const steps: Step[] = [
  { at_seconds: 0, key: "a", frame: "all" },
  { at_seconds: 12, key: "b", frame: "you" },
  { at_seconds: 30, key: "c", frame: "rival" },
];

describe("where the story stands", () => {
  test("at your arrival", () => {
    expect(momentOf(steps, 0)).toEqual({ index: 0, progress: 0, next_in_seconds: 12, over: false });
  });
  test("halfway to the card", () => {
    expect(momentOf(steps, 6)).toMatchObject({ index: 0, progress: 0.5, next_in_seconds: 6 });
  });
  test("on the second, not before it", () => {
    expect(momentOf(steps, 11.99).index).toBe(0);
    expect(momentOf(steps, 12).index).toBe(1);
  });
  test("the last step ends in the sum", () => {
    expect(momentOf(steps, 31)).toMatchObject({ index: 2, next_in_seconds: null, over: false });
    expect(momentOf(steps, 40)).toMatchObject({ index: 2, progress: 1, over: true });
  });
  test("no steps, no story", () => {
    expect(momentOf([], 5)).toEqual({ index: -1, progress: 0.625, next_in_seconds: null, over: false });
  });
});

describe("which round is a visitor's own", () => {
  const arrived = 1_000_000;
  test("until the director began one, the story counts from her arrival", () => {
    expect(storyZero(arrived, null)).toBe(arrived);
    expect(storyZero(arrived, arrived - 60_000)).toBe(arrived);
  });
  test("the one that began for her, or that she shares with whoever came a moment before", () => {
    expect(storyZero(arrived, arrived + 900)).toBe(arrived + 900);
    expect(storyZero(arrived, arrived - 4_000)).toBe(arrived - 4_000);
  });
  test("a round that began well after it is a new one", () => {
    expect(isLaterRound(arrived, arrived + 900)).toBe(false);
    expect(isLaterRound(arrived, arrived + 20_000)).toBe(true);
  });
});

test.each(LOCALES)("every step that the server may send has its words in %s", async (locale) => {
  const words = (await import(`../../src/shared/i18n/demo.${locale}.json`)).default as Record<string, unknown>;
  for (const key of ["arrive", "open", "taps", "late", "offer", "pay", "sum"]) expect(words).toHaveProperty([`demo.step_${key}`]);
});

test("clock", () => {
  expect(clock(125)).toBe("2:05");
  expect(clock(0.2)).toBe("0:01");
  expect(clock(-3)).toBe("0:00");
});
