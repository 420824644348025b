import { describe, expect, test } from "vitest";
import { actionOf, BINDINGS, keysBelongTo, type Pressed } from "../../src/console/keymap";

const press = (key: string, held: Partial<Pressed> = {}): Pressed => ({
  key,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  shiftKey: false,
  ...held,
});

describe("keys of the live desk", () => {
  test.each([
    [press(" "), { do: "next" }],
    [press("ArrowRight"), { do: "next" }],
    [press("ArrowLeft"), { do: "previous" }],
    [press("1"), { do: "card", number: 1 }],
    [press("9"), { do: "card", number: 9 }],
    [press("h"), { do: "hide" }],
    [press("c"), { do: "countdown" }],
    [press("p"), { do: "pin" }],
    [press("/"), { do: "chat" }],
    [press("q"), { do: "questions" }],
    [press("a"), { do: "answered" }],
    [press("b"), { do: "break" }],
    [press("z", { ctrlKey: true }), { do: "undo" }],
    [press("z", { metaKey: true }), { do: "undo" }],
    [press("E", { shiftKey: true }), { do: "end" }],
    [press("?", { shiftKey: true }), { do: "help" }],
  ])("%o", (pressed, action) => {
    expect(actionOf(pressed, false)).toEqual(action);
  });

  test("no key does anything while a text box has the focus", () => {
    for (const key of [" ", "1", "h", "c", "b", "E", "?"]) expect(actionOf(press(key), true)).toBeNull();
  });

  test("behind a sheet no key does anything but open the help", () => {
    for (const key of [" ", "ArrowRight", "ArrowLeft", "1", "h", "c", "b", "q", "a", "p", "/"])
      expect(actionOf(press(key), false, true)).toBeNull();
    expect(actionOf(press("z", { ctrlKey: true }), false, true)).toBeNull();
    expect(actionOf(press("E", { shiftKey: true }), false, true)).toBeNull();
    expect(actionOf(press("?", { shiftKey: true }), false, true)).toEqual({ do: "help" });
  });

  test("no single key without shift ends the show", () => {
    const single = "abcdefghijklmnopqrstuvwxyz0123456789".split("");
    expect(single.map((key) => actionOf(press(key), false)?.do)).not.toContain("end");
  });

  test("combinations of the browser stay the browser’s", () => {
    expect(actionOf(press("p", { ctrlKey: true }), false)).toBeNull();
    expect(actionOf(press("ArrowLeft", { altKey: true }), false)).toBeNull();
    expect(actionOf(press("0"), false)).toBeNull();
  });

  test("every binding has its phrase", () => {
    expect(new Set(BINDINGS.map((binding) => binding.says)).size).toBe(BINDINGS.length);
  });
});

describe("whose keys they are", () => {
  test("a text box keeps all of them", () => {
    expect(keysBelongTo({ tagName: "INPUT" }, "h")).toBe(true);
    expect(keysBelongTo({ tagName: "TEXTAREA" }, " ")).toBe(true);
    expect(keysBelongTo({ tagName: "DIV", isContentEditable: true }, "h")).toBe(true);
  });
  test("a button keeps Space, which presses it, and nothing else", () => {
    expect(keysBelongTo({ tagName: "BUTTON" }, " ")).toBe(true);
    expect(keysBelongTo({ tagName: "BUTTON" }, "h")).toBe(false);
    expect(keysBelongTo(null, " ")).toBe(false);
  });
});
