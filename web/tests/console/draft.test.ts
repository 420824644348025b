import { describe, expect, test } from "vitest";
import { cardOf, NOTHING_TYPED, rowOf, type Typed } from "../../src/console/editor/draft";
import type { StaffProduct, StaffVariant } from "../../src/console/server";

const variant = (id: string, available: number, was: number | null = null): StaffVariant => ({
  variant_id: id,
  handle: "velvet",
  title: "Velvet lipstick",
  label: id,
  price_minor: 2900,
  was_minor: was,
  swatch: "#aa3344",
  image: "",
  retired: false,
  pools: [{ location_id: "loc_a", location_name: "Warehouse", available }],
});
const product: StaffProduct = {
  product_id: "pr_1",
  handle: "velvet",
  title: "Velvet lipstick",
  vendor: "",
  type: "Lips",
  published: true,
  image: "",
  variants: [variant("rose", 40), variant("brick", 3)],
};
const typed = (change: Partial<Typed> = {}): Typed => ({
  ...NOTHING_TYPED,
  product,
  locationId: "loc_a",
  rows: [{ ...rowOf(product.variants[0]!, "EUR", "loc_a"), price: "19,90" }],
  ...change,
});
const says = (change: Partial<Typed>): string => {
  const card = cardOf(typed(change), "EUR");
  return "says" in card ? card.says : "";
};

describe("a card from what was typed", () => {
  test("prices in minor units, times in seconds, the title of the product where none was typed", () => {
    expect(cardOf(typed(), "EUR")).toEqual({
      kind: "deal",
      title: "Velvet lipstick",
      line: "",
      notes: "",
      product_handle: "velvet",
      hidden_until_launch: false,
      deals: [
        {
          variant_id: "rose",
          location_id: "loc_a",
          price_minor: 1990,
          was_minor: 2900,
          quota: 24,
          limit_per_viewer: 2,
          hold_seconds: 300,
          pay_seconds: 600,
          level: "soft",
          head_wants_more: "skip",
          limit_by: "guest",
          address_cap: 0,
          hold_cap_seconds: 900,
        },
      ],
    });
  });
  test("further rules as they were chosen, and no cap where the field is empty", () => {
    const chosen = cardOf(
      typed({ limitBy: "verified", addressCap: " 6 ", heldTimes: "", headWaits: true, level: "fsync" }),
      "EUR",
    );
    expect("deals" in chosen && chosen.deals[0]).toMatchObject({
      limit_by: "verified",
      address_cap: 6,
      hold_cap_seconds: 0,
      head_wants_more: "wait",
      level: "fsync",
    });
  });
  test("a product card carries no deals", () => {
    const card = cardOf(typed({ kind: "product", rows: [] }), "EUR");
    expect("deals" in card && card.deals).toEqual([]);
  });
  test("an earlier price that is not higher is left out: it would promise a reduction that is none", () => {
    const card = cardOf(typed({ rows: [{ ...rowOf(variant("rose", 40), "EUR", "loc_a"), was: "29" }] }), "EUR");
    expect("deals" in card && card.deals[0]!.was_minor).toBeNull();
  });
});

describe("a deal begins from what is there", () => {
  test("from the variant's own price and no more units than are free", () => {
    expect(rowOf(variant("brick", 3, 3500), "EUR", "loc_a")).toMatchObject({
      price: "29.00",
      was: "35.00",
      quota: "3",
    });
  });
  test("from one unit where none is free here", () => {
    expect(rowOf(variant("brick", 3), "EUR", "elsewhere").quota).toBe("1");
  });
});

describe("what is wrong, in words and with its field", () => {
  const row = rowOf(variant("rose", 40), "EUR", "loc_a");
  test.each<[string, Partial<Typed>]>([
    ["console.wrong_product", { product: null }],
    ["console.wrong_variants", { rows: [] }],
    ["console.wrong_bundle", { kind: "bundle" }],
    ["console.wrong_limit", { limit: "0" }],
    ["console.wrong_minutes", { holdMinutes: "1.5" }],
    ["console.wrong_minutes", { payMinutes: "-3" }],
    ["console.wrong_price", { rows: [{ ...row, price: "19.905" }] }],
    ["console.wrong_price", { rows: [{ ...row, was: "cheap" }] }],
    ["console.wrong_quota", { rows: [{ ...row, quota: "2e3" }] }],
    ["console.wrong_stock", { rows: [{ ...row, quota: "41" }] }],
  ])("%s", (sentence, change) => {
    expect(says(change)).toBe(sentence);
  });
  test("the field is the one to look at", () => {
    const card = cardOf(typed({ rows: [{ ...row, quota: "41" }] }), "EUR");
    expect(card).toMatchObject({ field: "quota-rose", params: { name: "rose", free: 40 } });
  });
});

describe("a deal that is drawn", () => {
  const rule = (change: Partial<Typed>): unknown => {
    const card = cardOf(typed(change), "EUR");
    return "says" in card ? card.says : [card.deals[0]?.fairness, card.deals[0]?.draw_seconds];
  };

  test("carries its window; a first-come deal and a bundle carry none", () => {
    const two = product.variants.map((one) => rowOf(one, "EUR", "loc_a"));
    expect(rule({ fairness: "draw", drawSeconds: " 6 " })).toEqual(["draw", 6]);
    expect(rule({ fairness: "first_come", drawSeconds: "x" })).toEqual([undefined, undefined]);
    expect(rule({ kind: "bundle", fairness: "draw", rows: two })).toEqual([undefined, undefined]);
  });

  test.each(["", "2", "16", "six", "4.5"])("has a window of 3 to 15 seconds, not %j", (drawSeconds) => {
    expect(rule({ fairness: "draw", drawSeconds })).toBe("console.wrong_window");
  });
});
