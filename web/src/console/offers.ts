/**
 * Rules of offers as sentences: what a merchant chose in a form becomes a rule for the API, and a rule becomes the
 * words and blanks of its sentence. Pure. What may be offered at which moment is the server's table; this is its mirror
 * for the form, and the server refuses what it does not know.
 */
import type { OfferFacts } from "../shared/protocol";
import { moved } from "./rundown";
import type { OfferCount, OfferRule, OfferRuleDraft, StaffCard } from "./server";

export type Moment = OfferFacts["moment"];
export type Kind = OfferFacts["kind"];

export const MOMENTS: readonly Moment[] = ["sold_out", "released", "paid", "closing_soon"];

const THINGS: readonly Kind[] = ["card", "product", "variant", "tag"];
export const KINDS: Readonly<Record<Moment, readonly Kind[]>> = {
  sold_out: ["another_shade", "counter", "wait_list", "like_it", "cheaper", ...THINGS],
  released: ["cheaper", "another_shade", "like_it", ...THINGS],
  paid: ["like_it", "another_shade", "most_left", ...THINGS],
  closing_soon: ["most_left", ...THINGS],
};

/** A rule while it is being said: choices as `kind` or `kind:value`; tags are typed. */
export interface RuleForm {
  moment: Moment;
  of: string;
  ofTag: string;
  offer: string;
  offerTag: string;
  words: Record<string, string>;
  atMost: string;
  everywhere: boolean;
}

export const NEW_RULE: RuleForm = {
  moment: "released",
  of: "any",
  ofTag: "",
  offer: "cheaper",
  offerTag: "",
  words: {},
  atMost: "1",
  everywhere: false,
};

export interface Thing {
  value: string;
  kind: "card" | "product" | "variant";
  name: string;
}

/** The choices of a select: what the show's cards are called, by card, by product and by what each sells of it. */
export function thingsOf(cards: readonly StaffCard[], everywhere: boolean): Thing[] {
  const variants = new Map(
    cards.flatMap((card) => card.deals.filter((deal) => deal.label).map((deal) => [deal.variant_id, `${card.title}, ${deal.label}`] as const)),
  );
  const products = new Map(cards.filter((card) => card.product_handle).map((card) => [card.product_handle, card.title]));
  return [
    ...(everywhere ? [] : cards.map((card) => ({ value: `card:${card.card_id}`, kind: "card" as const, name: `${card.code} ${card.title}` }))),
    ...[...products].map(([handle, title]) => ({ value: `product:${handle}`, kind: "product" as const, name: title })),
    ...[...variants].map(([id, name]) => ({ value: `variant:${id}`, kind: "variant" as const, name })),
  ];
}

/** Kinds that a form chooses by naming a thing, not by themselves. */
export const isThing = (kind: Kind): boolean => THINGS.includes(kind);

/** All rules that stand in one order with this one (the show's own, or those of all shows), with it one place up (-1) or
    down (1); null where it is at the end already. */
export function orderWith(rules: readonly OfferRule[], ruleId: string, by: -1 | 1): string[] | null {
  const rule = rules.find((one) => one.rule_id === ruleId);
  const ids = rules.filter((one) => one.everywhere === rule?.everywhere).map((one) => one.rule_id);
  const from = ids.indexOf(ruleId);
  return ids[from] && ids[from + by] ? moved(ids, from, by) : null;
}

/** With another moment, what cannot be offered then gives way to the first that can. */
export function atMoment(form: RuleForm, moment: Moment): RuleForm {
  const fits = KINDS[moment].includes(form.offer.split(":")[0] as Kind);
  return { ...form, moment, offer: fits ? form.offer : (KINDS[moment][0] ?? "") };
}

/** The rule for the API, or the key of what is missing. */
export function draftOf(form: RuleForm): OfferRuleDraft | string {
  const [ofKind, ofValue] = chosen(form.of, form.ofTag);
  const [offerKind, offerValue] = chosen(form.offer, form.offerTag);
  const atMost = Number(form.atMost);
  if ((ofKind === "tag" && !ofValue) || (offerKind === "tag" && !offerValue)) return "console.rule_tag_missing";
  if (!Number.isInteger(atMost) || atMost < 1 || atMost > 20) return "console.rule_at_most_wrong";
  const words = Object.fromEntries(Object.entries(form.words).flatMap(([locale, text]) => (text.trim() ? [[locale, text.trim()]] : [])));
  return {
    moment: form.moment,
    of_kind: ofKind as OfferRuleDraft["of_kind"],
    of_value: ofValue,
    offer_kind: offerKind as Kind,
    offer_value: offerValue,
    words,
    at_most: atMost,
    everywhere: form.everywhere,
  };
}

function chosen(choice: string, tag: string): [string, string] {
  const [kind = "", ...value] = choice.split(":");
  return [kind, kind === "tag" ? tag.trim() : value.join(":")];
}

/** A rule as the form that would say it. */
export function formOf(rule: OfferRule): RuleForm {
  const choice = (kind: string, value: string): string => (kind === "tag" || !value ? kind : `${kind}:${value}`);
  return {
    moment: rule.moment,
    of: choice(rule.of_kind, rule.of_value),
    ofTag: rule.of_kind === "tag" ? rule.of_value : "",
    offer: choice(rule.offer_kind, rule.offer_value),
    offerTag: rule.offer_kind === "tag" ? rule.offer_value : "",
    words: rule.words,
    atMost: String(rule.at_most),
    everywhere: rule.everywhere,
  };
}

/** What a thing of a rule is called: a card by its title, a product by that of its card, a variant by its shade. */
export function nameOf(cards: readonly StaffCard[], kind: string, value: string): string {
  if (kind === "card") return cards.find((card) => card.card_id === value)?.title ?? value;
  if (kind === "product") return cards.find((card) => card.product_handle === value)?.title ?? value;
  for (const card of kind === "variant" ? cards : []) {
    const deal = card.deals.find((one) => one.variant_id === value);
    if (deal) return deal.label ? `${card.title}, ${deal.label}` : card.title;
  }
  return value;
}

/** What came of a rule, or of the house's own order (`ruleId` ""), over everything it offered. */
export function sumOf(counts: readonly OfferCount[], ruleId: string): { shown: number; taken: number; dismissed: number } {
  return counts
    .filter((count) => count.rule_id === ruleId)
    .reduce(
      (sum, count) => ({
        shown: sum.shown + count.shown,
        taken: sum.taken + count.taken,
        dismissed: sum.dismissed + count.dismissed,
      }),
      { shown: 0, taken: 0, dismissed: 0 },
    );
}

/** The words that a claim begins with, as they were typed: commas or line ends between them, each once. */
export function keywordsOf(text: string): string[] {
  return [...new Set(text.split(/[,，、;\n]/).map((word) => word.trim()).filter(Boolean))];
}
