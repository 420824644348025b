/**
 * Which key does what on the live desk. What arrives: a pressed key. What leaves: the name of an action, or null.
 * It does not know what an action does. No single key ends the show or changes a price.
 */

export type Action =
  | { do: "next" }
  | { do: "previous" }
  | { do: "card"; number: number }
  | { do: "hide" }
  | { do: "countdown" }
  | { do: "pin" }
  | { do: "chat" }
  | { do: "questions" }
  | { do: "answered" }
  | { do: "break" }
  | { do: "undo" }
  | { do: "end" }
  | { do: "help" };

export interface Pressed {
  key: string;
  ctrlKey: boolean;
  metaKey: boolean;
  altKey: boolean;
  shiftKey: boolean;
}

interface Binding {
  keys: string; // as the help page prints them
  says: string; // key of the phrase in the console's strings
  matches: (pressed: Pressed) => Action | null;
}

const plain = (pressed: Pressed): boolean => !pressed.ctrlKey && !pressed.metaKey && !pressed.altKey;
const letter =
  (key: string, action: Action) =>
  (pressed: Pressed): Action | null =>
    plain(pressed) && !pressed.shiftKey && pressed.key.toLowerCase() === key ? action : null;
const named =
  (names: string[], action: Action) =>
  (pressed: Pressed): Action | null =>
    plain(pressed) && names.includes(pressed.key) ? action : null;

export const BINDINGS: readonly Binding[] = [
  { keys: "Space / →", says: "console.key_next", matches: named([" ", "ArrowRight"], { do: "next" }) },
  { keys: "←", says: "console.key_previous", matches: named(["ArrowLeft"], { do: "previous" }) },
  {
    keys: "1–9",
    says: "console.key_card",
    matches: (pressed) =>
      plain(pressed) && /^[1-9]$/.test(pressed.key) ? { do: "card", number: Number(pressed.key) } : null,
  },
  { keys: "H", says: "console.key_hide", matches: letter("h", { do: "hide" }) },
  { keys: "C", says: "console.key_countdown", matches: letter("c", { do: "countdown" }) },
  { keys: "P", says: "console.key_pin", matches: letter("p", { do: "pin" }) },
  { keys: "/", says: "console.key_chat", matches: named(["/"], { do: "chat" }) },
  { keys: "Q", says: "console.key_questions", matches: letter("q", { do: "questions" }) },
  { keys: "A", says: "console.key_answered", matches: letter("a", { do: "answered" }) },
  { keys: "B", says: "console.key_break", matches: letter("b", { do: "break" }) },
  {
    keys: "Ctrl+Z",
    says: "console.key_undo",
    matches: (pressed) =>
      (pressed.ctrlKey || pressed.metaKey) && !pressed.shiftKey && !pressed.altKey && pressed.key.toLowerCase() === "z"
        ? { do: "undo" }
        : null,
  },
  {
    keys: "Shift+E",
    says: "console.key_end",
    matches: (pressed) => (plain(pressed) && pressed.shiftKey && pressed.key === "E" ? { do: "end" } : null),
  },
  { keys: "?", says: "console.key_help", matches: named(["?"], { do: "help" }) },
];

/** The action of a key, or null: always null while the person is writing, so that a word can contain any letter. Behind
    a sheet nothing but the help answers: its keys are for what stands in it, and no card may go on air unseen. */
export function actionOf(pressed: Pressed, writing: boolean, isCovered = false): Action | null {
  if (writing) return null;
  for (const binding of BINDINGS) {
    const action = binding.matches(pressed);
    if (action) return isCovered && action.do !== "help" ? null : action;
  }
  return null;
}

/** True where keys belong to the element that has the focus: text boxes, and for Space and Enter also buttons. */
export function keysBelongTo(element: { tagName: string; isContentEditable?: boolean } | null, key: string): boolean {
  if (!element) return false;
  const tag = element.tagName;
  if (tag === "INPUT" || tag === "TEXTAREA" || tag === "SELECT" || element.isContentEditable) return true;
  return key === " " && (tag === "BUTTON" || tag === "A" || tag === "SUMMARY");
}
