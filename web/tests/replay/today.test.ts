/** What a card of the evening is today. */
import { describe, expect, test, vi } from "vitest";
import { askedOnce, todayOf } from "../../src/replay/today";
import { Refusal } from "../../src/shared/api";
import { REFUSAL } from "../../src/shared/protocol";
import type { Product, StockWords, Variant } from "../../src/shop/server";
import { aCard, aDeal } from "../facts";

const PLENTY: StockWords = { availability: "in_stock", words: "", left: null };
const last = (left: number): StockWords => ({ availability: "last", words: "", left });
const NONE: StockWords = { availability: "sold_out", words: "", left: 0 };
const variant = (id: string, price: number, stock: StockWords, retired = false): Variant =>
  ({ variant_id: id, price_minor: price, stock, retired }) as Variant;
const product = (...variants: Variant[]): Product => ({ variants }) as Product;
const card = aCard({ deals: [aDeal({ variant_id: "v1", price_minor: 2000 }), aDeal({ deal_id: "d2", variant_id: "v2", price_minor: 2000 })] });

describe("a card today", () => {
  test.each([
    ["dearer again", product(variant("v1", 2900, PLENTY)), 2900, "in_stock", null, "over"],
    ["as cheap as then", product(variant("v1", 2000, last(3))), 2000, "last", 3, "on"],
    ["cheaper still", product(variant("v1", 1500, PLENTY), variant("v2", 2900, PLENTY)), 1500, "in_stock", null, "on"],
    ["as cheap, but sold out", product(variant("v1", 2000, NONE)), 2000, "sold_out", 0, "over"],
    ["its last ones together", product(variant("v1", 2900, last(2)), variant("v2", 2900, last(1))), 2900, "last", 3, "over"],
    ["another shade than it offered", product(variant("v9", 900, PLENTY), variant("v1", 2900, NONE)), 2900, "sold_out", 0, "over"],
    ["sold no more", product(variant("v1", 900, PLENTY, true)), null, "sold_out", 0, "over"],
  ] as const)("%s", (_name, shop, priceMinor, availability, left, deal) => {
    expect(todayOf(card, shop)).toEqual({ priceMinor, stock: { availability, left }, deal });
  });

  test("without a deal is the whole product, and a bundle is never as cheap as one of its parts", () => {
    const shop = product(variant("v1", 100, PLENTY));
    expect(todayOf(aCard({ deals: [] }), shop)).toMatchObject({ priceMinor: 100, deal: "none" });
    expect(todayOf({ ...card, bundle_minor: 3000 }, shop).deal).toBe("over");
  });
});

describe("a product", () => {
  test("is asked for once, and again after it could not be fetched", async () => {
    const load = vi.fn().mockRejectedValueOnce(Refusal.unreachable()).mockResolvedValue(product());
    const ask = askedOnce(load);
    await expect(ask("tint")).rejects.toThrow();
    expect(await Promise.all([ask("tint"), ask("tint"), ask("tint")])).toEqual([product(), product(), product()]);
    expect(load).toHaveBeenCalledTimes(2);
  });

  test("that the shop no longer has is gone, and not asked for again", async () => {
    const load = vi.fn().mockRejectedValue(new Refusal({ number: REFUSAL.NOT_FOUND, word: "", text: "", again: false }));
    const ask = askedOnce(load);
    expect([await ask("tint"), await ask("tint")]).toEqual(["gone", "gone"]);
    expect(load).toHaveBeenCalledTimes(1);
  });
});
