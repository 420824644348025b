import { describe, expect, test } from "vitest";
import { draftOf, onTop } from "../../src/console/wordlists";

const kept = (words: string[], starters: ("zh" | "en" | "fr")[] = []) => ({ words, allowed: [], link_hosts: [], starters });

describe("two who edit the word lists at once", () => {
  const base = kept(["one", "two", "three"], ["zh"]);

  test("her additions and removals are put on top of his", () => {
    const mine = { ...draftOf(base), words: "one\nthree\nfour\n", starters: ["zh", "fr"] as const };
    const after = onTop(base, kept(["two", "three", "five"], ["en"]), mine);
    expect(after.words.split("\n")).toEqual(["three", "five", "four"]);
    expect(after.starters).toEqual(["en", "fr"]);
  });

  test("an entry that both added stands once", () => {
    const mine = { ...draftOf(base), words: "one\ntwo\nthree\nsame" };
    expect(onTop(base, kept(["one", "two", "three", "same"]), mine).words).toBe("one\ntwo\nthree\nsame");
  });

  test("who changed nothing sees his lists", () => {
    const theirs = kept(["new"], ["fr"]);
    expect(onTop(base, theirs, draftOf(base))).toEqual(draftOf(theirs));
  });
});
