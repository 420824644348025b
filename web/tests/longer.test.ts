import { expect, test } from "vitest";
import { longerBy } from "../src/watch/longer";
import { aHold } from "./facts";

const held = (due_at_ms: number | null, state: "held" | "offered" | "paying" = "held") => aHold({ state, due_at_ms });

test("a hold that ends later than she knew is told by how much", () => {
  expect(longerBy(held(10_000), held(58_000))).toBe(48);
  expect(longerBy(held(10_000, "offered"), held(40_000, "offered"))).toBe(30);
});

test("what is new to her, what ends earlier, what became another thing and the jitter of a clock are not told", () => {
  expect(longerBy(undefined, held(58_000))).toBe(0);
  expect(longerBy(held(58_000), held(10_000))).toBe(0);
  expect(longerBy(held(10_000, "offered"), held(90_000))).toBe(0);
  expect(longerBy(held(10_000, "paying"), held(90_000, "paying"))).toBe(0);
  expect(longerBy(held(10_000), held(10_400))).toBe(0);
});
