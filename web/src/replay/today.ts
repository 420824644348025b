/**
 * What a card of the evening is today: in the shop or gone from it, how many are left, and whether it still costs as
 * little. What arrives: a card, and the shop's facts of its product. It does not know the screen.
 */
import { Refusal } from "../shared/api";
import { REFUSAL, type CardFacts } from "../shared/protocol";
import type { Product, StockWords, Variant } from "../shop/server";

export interface Today {
  /** The least that any of it costs; null where nothing of it is sold any more. */
  priceMinor: number | null;
  stock: Pick<StockWords, "availability" | "left">;
  /** Of the show's deal: over, or "on" where what it offered costs no more today and can be had. */
  deal: "none" | "over" | "on";
}

/** A product that the shop no longer has is "gone". */
export type OfShop = Product | "gone";

export function todayOf(card: CardFacts, product: Product): Today {
  const sold = product.variants.filter((one) => !one.retired);
  const dealt = new Map(card.deals.map((deal) => [deal.variant_id, deal.price_minor]));
  const meant = dealt.size ? sold.filter((one) => dealt.has(one.variant_id)) : sold;
  const on = meant.some((one) => one.stock.availability !== "sold_out" && one.price_minor <= (dealt.get(one.variant_id) ?? -1));
  return {
    priceMinor: lowest(meant.map((one) => one.price_minor)),
    stock: stockOf(meant),
    // What a bundle costs by itself is no part's price.
    deal: !dealt.size ? "none" : on && card.bundle_minor === null ? "on" : "over",
  };
}

/** Of shades together: the last ones are counted only where there is no other shade with plenty. */
function stockOf(variants: readonly Variant[]): Today["stock"] {
  const words = variants.map((one) => one.stock);
  if (words.some((one) => one.availability === "in_stock")) return { availability: "in_stock", left: null };
  const left = words.reduce((sum, one) => sum + (one.availability === "last" ? (one.left ?? 0) : 0), 0);
  return left > 0 ? { availability: "last", left } : { availability: "sold_out", left: 0 };
}

export const lowest = (prices: readonly number[]): number | null => (prices.length ? Math.min(...prices) : null);

/** Each product is asked for once; one that could not be fetched is asked for again, at the next need. */
export function askedOnce(load: (handle: string) => Promise<Product>): (handle: string) => Promise<OfShop> {
  const asked = new Map<string, Promise<OfShop>>();
  const ask = async (handle: string): Promise<OfShop> => {
    try {
      return await load(handle);
    } catch (error) {
      if (error instanceof Refusal && error.number === REFUSAL.NOT_FOUND) return "gone";
      asked.delete(handle);
      throw error;
    }
  };
  return (handle) => {
    const known = asked.get(handle) ?? ask(handle);
    asked.set(handle, known);
    return known;
  };
}
