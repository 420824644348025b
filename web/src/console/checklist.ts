/**
 * Is this show ready to go on air? What arrives: the show and its cards as the editor has them. What leaves: checks in
 * words, each good, worth a look, or missing. It blocks nothing: the host decides.
 */

export interface CheckedDeal {
  label: string;
  price_minor: number;
  was_minor: number | null;
  quota: number;
  free_units?: number | null; // what the pool can still give, where the page knows it
}

export interface CheckedCard {
  title: string;
  kind: string;
  deals: readonly CheckedDeal[];
}

export interface Check {
  says: string; // key of the phrase
  params: Record<string, string | number>;
  state: "good" | "look" | "missing";
}

export function checksOf(cards: readonly CheckedCard[], hasVideo: boolean, hasTitle: boolean): Check[] {
  const deals = cards.flatMap((card) => card.deals.map((deal) => ({ card, deal })));
  const pricey = deals.filter(({ deal }) => deal.was_minor !== null && deal.price_minor >= deal.was_minor);
  const short = deals.filter(({ deal }) => typeof deal.free_units === "number" && deal.free_units < deal.quota);
  const empty = cards.filter((card) => card.kind !== "product" && card.deals.length === 0);
  return [
    { says: "console.check_title", params: {}, state: hasTitle ? "good" : "missing" },
    {
      says: cards.length ? "console.check_rundown" : "console.check_rundown_empty",
      params: { count: cards.length },
      state: cards.length ? "good" : "missing",
    },
    {
      says: hasVideo ? "console.check_video" : "console.check_video_none",
      params: {},
      state: hasVideo ? "good" : "look",
    },
    empty.length
      ? { says: "console.check_no_deals", params: { name: empty[0]!.title }, state: "missing" as const }
      : {
          says: "console.check_deals",
          params: { count: deals.length },
          state: deals.length ? ("good" as const) : "look",
        },
    short.length
      ? {
          says: "console.check_stock_short",
          params: { name: nameOf(short[0]!), quota: short[0]!.deal.quota, free: short[0]!.deal.free_units ?? 0 },
          state: "missing" as const,
        }
      : { says: "console.check_stock", params: {}, state: "good" as const },
    pricey.length
      ? { says: "console.check_price", params: { name: nameOf(pricey[0]!) }, state: "missing" as const }
      : { says: "console.check_prices_good", params: {}, state: "good" as const },
  ];
}

function nameOf({ card, deal }: { card: CheckedCard; deal: CheckedDeal }): string {
  return deal.label ? `${card.title}, ${deal.label}` : card.title;
}
