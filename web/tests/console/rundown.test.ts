import { describe, expect, test } from "vitest";
import { moved, nextOf, nowOf, previousOf, stateOf, undoOf } from "../../src/console/rundown";

const cards = ["a", "b", "c"].map((card_id) => ({ card_id }));

describe("now, next, previous", () => {
  test("before the first card, next is the first", () => {
    expect(nowOf(cards, "")).toBeUndefined();
    expect(nextOf(cards, "", "")?.card_id).toBe("a");
    expect(previousOf(cards, "", "")).toBeUndefined();
  });
  test("next follows the card on the picture", () => {
    expect(nextOf(cards, "a", "")?.card_id).toBe("b");
    expect(previousOf(cards, "b", "")?.card_id).toBe("a");
  });
  test("a hidden card still counts: next goes on after it", () => {
    expect(nextOf(cards, "", "b")?.card_id).toBe("c");
  });
  test("after the last there is nothing", () => {
    expect(nextOf(cards, "c", "")).toBeUndefined();
  });
  test("states of the list", () => {
    const next = nextOf(cards, "b", "");
    expect(cards.map((card) => stateOf(card, "b", next, new Set(["a", "b"])))).toEqual(["done", "on_air", "next"]);
    expect(stateOf({ card_id: "z" }, "b", next, new Set())).toBe("planned");
  });
});

describe("undo", () => {
  test("puts the card before back", () => {
    expect(undoOf({ before: "a", after: "b" })).toEqual({ do: "show_card", card_id: "a" });
  });
  test("or frees the picture", () => {
    expect(undoOf({ before: "", after: "b" })).toEqual({ do: "hide_card", card_id: "b" });
  });
});

test("reordering moves one entry and keeps the rest, and stops at the ends", () => {
  expect(moved(["a", "b", "c"], 0, 1)).toEqual(["b", "a", "c"]);
  expect(moved(["a", "b", "c"], 2, -2)).toEqual(["c", "a", "b"]);
  expect(moved(["a", "b", "c"], 0, -1)).toEqual(["a", "b", "c"]);
  expect(moved(["a", "b", "c"], 2, 1)).toEqual(["a", "b", "c"]);
});
