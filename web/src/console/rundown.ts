/**
 * Where the show stands in its list of cards. What arrives: the cards in order and the one on the picture. What
 * leaves: now, next, previous, and what undoes the last step. It does not know how a card is put on the picture.
 */

export interface Step {
  card_id: string;
}

/** The card on the picture, or undefined. */
export function nowOf<T extends Step>(cards: readonly T[], onAir: string): T | undefined {
  return cards.find((card) => card.card_id === onAir);
}

/**
 * The card the big button shows next: the one after the card on the picture, or, while the picture is free, the one
 * after the last that was on it (`last`), or the first. Undefined at the end of the list.
 */
export function nextOf<T extends Step>(cards: readonly T[], onAir: string, last: string): T | undefined {
  const from = cards.findIndex((card) => card.card_id === (onAir || last));
  return cards[from + 1];
}

export function previousOf<T extends Step>(cards: readonly T[], onAir: string, last: string): T | undefined {
  const from = cards.findIndex((card) => card.card_id === (onAir || last));
  return from > 0 ? cards[from - 1] : undefined;
}

export type State = "on_air" | "next" | "done" | "planned";

export function stateOf(card: Step, onAir: string, next: Step | undefined, shown: ReadonlySet<string>): State {
  if (card.card_id === onAir) return "on_air";
  if (next && card.card_id === next.card_id) return "next";
  return shown.has(card.card_id) ? "done" : "planned";
}

/** The picture before and after a step: enough to take it back. */
export interface Shown {
  before: string; // card_id, or "" for a free picture
  after: string;
}

/** The command that takes a step back, in the words of the protocol. */
export function undoOf(step: Shown): { do: "show_card"; card_id: string } | { do: "hide_card"; card_id: string } {
  return step.before ? { do: "show_card", card_id: step.before } : { do: "hide_card", card_id: step.after };
}

/** A list with one entry moved by `by` places; the same list where that would leave it. */
export function moved<T>(list: readonly T[], index: number, by: number): T[] {
  const target = index + by;
  const copy = [...list];
  if (index < 0 || index >= list.length || target < 0 || target >= list.length) return copy;
  const [entry] = copy.splice(index, 1);
  copy.splice(target, 0, entry as T);
  return copy;
}
