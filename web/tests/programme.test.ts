/** Which frame is on the screen, by each of the clocks that a picture may have. */
import { expect, test } from "vitest";
import { programmeMs } from "../src/shared/programme";

const player = { programmeMs: () => 90_000, latencySeconds: () => 4 };

test.each([
  { clock: "pdt", delay_ms: 0, is: 90_000 },
  { clock: "pdt", delay_ms: 5_000, is: 90_000 },
  { clock: "fixed", delay_ms: 12_000, is: 88_000 },
  { clock: "latency", delay_ms: 0, is: 96_000 },
  { clock: "latency", delay_ms: 1_500, is: 94_500 },
  { clock: "none", delay_ms: 5_000, is: null },
] as const)("$clock with a delay of $delay_ms ms tells $is", ({ is, ...facts }) => {
  expect(programmeMs(facts, player, 100_000)).toBe(is);
});

test("where the player knows nothing, nothing waits for the picture", () => {
  const blind = { programmeMs: () => null };
  expect(programmeMs({ clock: "pdt", delay_ms: 0 }, blind, 100_000)).toBeNull();
  expect(programmeMs({ clock: "latency", delay_ms: 700 }, blind, 100_000)).toBeNull();
});
