import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { atMoment, draftOf, formOf, isThing, keywordsOf, KINDS, MOMENTS, nameOf, NEW_RULE, orderWith, sumOf, thingsOf } from "../../src/console/offers";
import type { OfferCount, OfferRule, StaffCard } from "../../src/console/server";
import { aCard, aDeal } from "../facts";

const known = JSON.parse(readFileSync(new URL("../../src/shared/i18n/console.en.json", import.meta.url), "utf8")) as Record<string, unknown>;
const staff = (card: ReturnType<typeof aCard>): StaffCard => ({ ...card, notes: "", state: "planned", hidden_until_launch: false });
const cards = [staff(aCard({ deals: [aDeal()] })), staff(aCard({ card_id: "b", code: "AB", title: "Balm", product_handle: "balm", deals: [] }))];
const rule = (given: Partial<OfferRule> = {}): OfferRule => ({
  rule_id: "r1",
  moment: "paid",
  of_kind: "any",
  of_value: "",
  offer_kind: "product",
  offer_value: "balm",
  words: { en: "Look" },
  at_most: 2,
  everywhere: false,
  ...given,
});

describe("a rule said in a form", () => {
  test("becomes the rule it says", () => {
    const draft = draftOf({ ...NEW_RULE, moment: "paid", of: "card:a", offer: "product:balm", words: { en: " Look ", fr: " " }, atMost: "3" });
    expect(draft).toEqual({
      moment: "paid", of_kind: "card", of_value: "a", offer_kind: "product", offer_value: "balm", words: { en: "Look" }, at_most: 3, everywhere: false,
    });
  });

  test.each([
    [{ of: "tag" }, "console.rule_tag_missing"],
    [{ offer: "tag", offerTag: "  " }, "console.rule_tag_missing"],
    [{ atMost: "0" }, "console.rule_at_most_wrong"],
    [{ atMost: "1.5" }, "console.rule_at_most_wrong"],
    [{ atMost: "many" }, "console.rule_at_most_wrong"],
  ])("says what is missing: %o", (change, key) => {
    expect(draftOf({ ...NEW_RULE, ...change })).toBe(key);
    expect(known).toHaveProperty([key]);
  });

  test("comes back as the form that would say it", () => {
    for (const one of [rule(), rule({ of_kind: "tag", of_value: "lips" }), rule({ offer_kind: "tag", offer_value: "new" }), rule({ offer_kind: "like_it", offer_value: "" })]) {
      const { rule_id: _, ...said } = one;
      expect(draftOf(formOf(one))).toEqual(said);
    }
  });

  test("with another moment offers only what makes sense there", () => {
    expect(atMoment({ ...NEW_RULE, offer: "cheaper" }, "paid").offer).toBe("like_it");
    expect(atMoment({ ...NEW_RULE, offer: "product:balm" }, "closing_soon").offer).toBe("product:balm");
  });

  test("has words for every moment and every offer", () => {
    for (const moment of MOMENTS) {
      expect(known).toHaveProperty([`console.moment_${moment}`]);
      expect(known).toHaveProperty([`console.rule_${moment}`]);
      for (const kind of KINDS[moment]) expect(known).toHaveProperty([isThing(kind) ? `console.thing_${kind}` : `console.give_${kind}`]);
    }
  });
});

test("a rule for all shows names products, not the cards of one show", () => {
  expect(thingsOf(cards, true).map((thing) => thing.value)).toEqual(["product:tint", "product:balm", "variant:v1"]);
  expect(thingsOf(cards, false).map((thing) => thing.name)).toEqual(["AA Tint", "AB Balm", "Tint", "Balm", `Tint, ${aDeal().label}`]);
});

test("things are called by what people know; what is gone keeps its id", () => {
  expect([nameOf(cards, "card", "b"), nameOf(cards, "product", "balm"), nameOf(cards, "variant", "v1"), nameOf(cards, "card", "x")]).toEqual(["Balm", "Balm", "Tint, Rosewood", "x"]);
});

test("what came of a rule adds up over everything it offered", () => {
  const count = (rule_id: string, shown: number, taken: number): OfferCount => ({ rule_id, moment: "paid", kind: "tag", sent: 50, shown, dismissed: 0, taken });
  expect(sumOf([count("r1", 40, 10), count("r1", 1, 2), count("", 5, 0)], "r1")).toEqual({ shown: 41, taken: 12, dismissed: 0 });
});

test("the words of a claim may stand in any list", () => {
  expect(keywordsOf(" SOLD, 我要，要、 vendu;\nSOLD ,")).toEqual(["SOLD", "我要", "要", "vendu"]);
});

describe("rules in their order", () => {
  const rules = [rule({ rule_id: "a" }), rule({ rule_id: "b" }), rule({ rule_id: "x", everywhere: true }), rule({ rule_id: "y", everywhere: true })];

  test("move among their own: a show's own always come before those of all shows", () => {
    expect(orderWith(rules, "a", 1)).toEqual(["b", "a"]);
    expect(orderWith(rules, "b", -1)).toEqual(["b", "a"]);
    expect(orderWith(rules, "y", -1)).toEqual(["y", "x"]);
  });

  test.each([["a", -1], ["b", 1], ["x", -1], ["none", 1]] as const)("%s cannot move by %i", (id, by) => {
    expect(orderWith(rules, id, by)).toBeNull();
  });
});

test("a rule about one variant, or that offers one, is said by choosing its shade", () => {
  const [choice] = thingsOf(cards, false).filter((thing) => thing.kind === "variant");
  expect(choice).toMatchObject({ kind: "variant" });
  const said = draftOf({ ...NEW_RULE, of: choice!.value, offer: choice!.value });
  expect(said).toMatchObject({ of_kind: "variant", offer_kind: "variant", offer_value: choice!.value.slice("variant:".length) });
  expect(formOf(rule({ ...(said as OfferRule), rule_id: "v" }))).toMatchObject({ of: choice!.value, offer: choice!.value });
});
