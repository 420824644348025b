import { expect, test } from "vitest";
import { BACK_MS, fresh, heard, type Heard } from "../../src/demo/server";

const play = (events: [number, Heard][]) => events.reduce((state, [at, what]) => heard(state, what, at), fresh(0));
const answer = (restarts: number): Heard => ({ kind: "answer", restarts, up: true });

test("killed, silent, back: measured from the press of the button", () => {
  const state = play([
    [0, answer(0)],
    [1000, { kind: "kill" }],
    [1500, { kind: "silence" }],
    [2000, { kind: "silence" }],
    [3700, answer(1)],
  ]);
  expect(state).toMatchObject({ phase: "back", down_ms: 2700, restarts: 1 });
});
test("killed and back between two questions: the count of restarts tells", () => {
  const state = play([
    [0, answer(0)],
    [1000, { kind: "kill" }],
    [1400, answer(0)],
    [2300, answer(1)],
  ]);
  expect(state).toMatchObject({ phase: "back", down_ms: 1300 });
});
test('after a while "back" is simply "up"', () => {
  const back = play([
    [0, answer(0)],
    [1, { kind: "silence" }],
    [100, answer(1)],
  ]);
  expect(heard(back, answer(1), 100 + BACK_MS - 1).phase).toBe("back");
  expect(heard(back, answer(1), 100 + BACK_MS).phase).toBe("up");
});
test('an answer that says "not up yet" is silence', () => {
  expect(
    play([
      [0, answer(0)],
      [5, { kind: "answer", restarts: 0, up: false }],
    ]).phase,
  ).toBe("down");
});
