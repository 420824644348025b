/**
 * What a card offers this viewer right now, as one word: the button, its sentence and its clock follow from it.
 * Pure: decides from the room's state, the chosen deals, the server's time and what was asked but not yet answered.
 */
import { liveHolds, numbersOf, type Numbers, type RoomState } from "../shared/fold";
import type { CardFacts, DealFacts, DrawFacts, Hold } from "../shared/protocol";

/** A request on its way: the tap is answered in place at once, the server's word follows. */
export interface Asked {
  rid: string;
  dealIds: readonly string[];
  wait: boolean;
  /** The offer that this tap accepts. */
  offerId?: string;
}

export type Offer =
  /** A card without a deal: something to look at. */
  | { word: "look" }
  /** Announced without an instant, or still a draft. */
  | { word: "soon" }
  | { word: "opening"; opensAtMs: number }
  | { word: "open" }
  /** The window of a draw is open: a tap enters. */
  | { word: "enter"; drawsAtMs: number; entrants: number }
  /** The window is over, the result on its way. */
  | { word: "drawing" }
  | { word: "entered"; hold: Hold; drawsAtMs: number; entrants: number }
  | { word: "pending"; wait: boolean }
  | { word: "held"; hold: Hold }
  | { word: "paying"; hold: Hold }
  | { word: "offered"; hold: Hold }
  | { word: "waiting"; hold: Hold; paying: number }
  | { word: "sold_out"; paying: number; held: number; waiting: number; mayWait: boolean }
  | { word: "limit"; confirmed: number }
  /** `pulled`: the shop took the deal back. `cancelled`: with it what she held. */
  | { word: "closed"; confirmed: number; pulled: boolean; cancelled: boolean };

/** Which of her holds speaks first where she has several on one card. */
const FIRST: Partial<Record<Hold["state"], number>> = { offered: 0, held: 1, paying: 2, entered: 3, waiting: 4 };

export function offerOf(state: RoomState, card: CardFacts, deal: DealFacts | null, nowMs: number, asked: readonly Asked[]): Offer {
  const deals = card.kind === "bundle" ? card.deals : deal ? [deal] : [];
  if (deals.length === 0) return { word: "look" };
  const ids = deals.map((one) => one.deal_id);
  const hold = holdOf(state, ids);
  if (hold?.state === "offered") return { word: "offered", hold };
  const pending = asked.find((one) => sameDeals(one.dealIds, ids));
  if (pending) return { word: "pending", wait: pending.wait };
  const numbers = together(deals.map((one) => numbersOf(state, one)));
  if (hold?.state === "held") return { word: "held", hold };
  if (hold?.state === "paying") return { word: "paying", hold };
  if (hold?.state === "entered") return { word: "entered", hold, drawsAtMs: drawsAtMs(deals[0], nowMs), entrants: numbers.waiting };
  if (hold?.state === "waiting") return { word: "waiting", hold, paying: numbers.paying };
  return withoutHold(state, card, deals, numbers, nowMs);
}

function withoutHold(state: RoomState, card: CardFacts, deals: readonly DealFacts[], numbers: Numbers, nowMs: number): Offer {
  const confirmed = Math.max(...deals.map((deal) => confirmedUnits(state, deal.deal_id)));
  if (deals.some((deal) => deal.status === "closed" || deal.status === "closing")) {
    const pulled = deals.find((deal) => deal.pulled);
    const cancelled = Object.values(state.holds).some(
      (hold) => hold.state === "cancelled" && hold.lines.some((line) => line.deal_id === pulled?.deal_id),
    );
    return { word: "closed", confirmed, pulled: !!pulled, cancelled };
  }
  const opensAtMs = Math.max(...deals.map((deal) => (deal.status === "announced" ? (deal.opens_at_ms ?? Infinity) : 0)));
  if (deals.some((deal) => deal.status === "draft") || opensAtMs === Infinity) return { word: "soon" };
  // The button opens by the server's clock, for everyone at one instant; the server's own word may come a moment later.
  if (opensAtMs > nowMs) return { word: "opening", opensAtMs };
  if (deals.some((deal) => confirmedUnits(state, deal.deal_id) >= deal.limit_per_viewer)) return { word: "limit", confirmed };
  if (deals.length === 1 && undrawn(deals[0])) {
    const atMs = drawsAtMs(deals[0], nowMs);
    return atMs > nowMs ? { word: "enter", drawsAtMs: atMs, entrants: numbers.waiting } : { word: "drawing" };
  }
  if (numbers.available < 1) {
    const { paying, held, waiting } = numbers;
    return { word: "sold_out", paying, held, waiting, mayWait: card.kind !== "bundle" };
  }
  return { word: "open" };
}

/** The draw of a deal that is still to be made. */
export function undrawn(deal: DealFacts | undefined): DrawFacts | null {
  return deal?.draw && deal.draw.drawn_at_ms === null ? deal.draw : null;
}

/** When its window ends. A page that opened the button by the clock knows it before the server's own word. */
function drawsAtMs(deal: DealFacts | undefined, nowMs: number): number {
  const draw = undrawn(deal);
  return draw ? (draw.draws_at_ms ?? (deal?.opens_at_ms ?? nowMs) + draw.window_seconds * 1000) : nowMs;
}

/** The numbers of a bundle are those of its scarcest part. */
function together(all: readonly Numbers[]): Numbers {
  return all.reduce((least, one) => (one.available < least.available ? one : least));
}

export function cardNumbers(state: RoomState, card: CardFacts, deal: DealFacts | null): Numbers | null {
  const deals = card.kind === "bundle" ? card.deals : deal ? [deal] : [];
  return deals.length === 0 ? null : together(deals.map((one) => numbersOf(state, one)));
}

function holdOf(state: RoomState, dealIds: readonly string[]): Hold | null {
  const mine = liveHolds(state).filter((hold) => sameDeals(hold.lines.map((line) => line.deal_id), dealIds));
  mine.sort((a, b) => (FIRST[a.state] ?? 9) - (FIRST[b.state] ?? 9));
  return mine[0] ?? null;
}

function sameDeals(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id) => b.includes(id));
}

/** Units of a deal that are hers for good. A page that was loaded again knows them from her orders alone. */
export function confirmedUnits(state: RoomState, dealId: string): number {
  const holds = Object.values(state.holds).filter((hold) => hold.state === "confirmed");
  const heard = new Set(holds.map((hold) => hold.rid));
  const orders = Object.values(state.orders).filter((order) => order.status === "confirmed" && !heard.has(order.rid));
  return [...holds, ...orders]
    .flatMap((one) => one.lines)
    .filter((line) => line.deal_id === dealId)
    .reduce((sum, line) => sum + line.qty, 0);
}

/**
 * True where a hold of hers ends because the shop pulled its deal: held or offered, it can end as "cancelled" by nothing
 * else. What was being paid is told with its order.
 */
export function endedByPull(before: RoomState, hold: Hold): boolean {
  const was = before.holds[hold.rid]?.state;
  return hold.state === "cancelled" && (was === "held" || was === "offered");
}

/** The deal a card opens on: the chosen one, else one she holds, else the first with stock, else the first. */
export function dealToShow(state: RoomState, card: CardFacts, chosenId: string | undefined): DealFacts | null {
  const own = liveHolds(state).flatMap((hold) => hold.lines.map((line) => line.deal_id));
  return (
    card.deals.find((deal) => deal.deal_id === chosenId) ??
    card.deals.find((deal) => own.includes(deal.deal_id)) ??
    card.deals.find((deal) => numbersOf(state, deal).available > 0) ??
    card.deals[0] ??
    null
  );
}

/** What a hold costs: the bundle's price where the card is one, else the sum of its lines. */
export function priceOf(state: RoomState, hold: Hold): number {
  const ids = hold.lines.map((line) => line.deal_id);
  const bundle = state.cards.find((card) => card.kind === "bundle" && sameDeals(card.deals.map((deal) => deal.deal_id), ids));
  if (bundle?.bundle_minor != null) return bundle.bundle_minor;
  const deals = new Map(state.cards.flatMap((card) => card.deals.map((deal) => [deal.deal_id, deal] as const)));
  return hold.lines.reduce((sum, line) => sum + (deals.get(line.deal_id)?.price_minor ?? 0) * line.qty, 0);
}

export interface HoldWords {
  title: string;
  label: string;
  image: string;
  swatch: string;
}

/** How a hold is called on the page. */
export function nameOf(state: RoomState, hold: Hold): HoldWords {
  const ids = hold.lines.map((line) => line.deal_id);
  const bundle = state.cards.find(
    (card) => card.kind === "bundle" && ids.length > 1 && sameDeals(card.deals.map((deal) => deal.deal_id), ids),
  );
  if (bundle) return { title: bundle.title, label: "", image: bundle.image, swatch: "" };
  const cards = [...state.cards].sort((a, b) => Number(a.kind === "bundle") - Number(b.kind === "bundle"));
  for (const card of cards) {
    const deal = card.deals.find((one) => one.deal_id === ids[0]);
    if (deal) return { title: card.title, label: deal.label, image: deal.image || card.image, swatch: deal.swatch };
  }
  return { title: "", label: "", image: "", swatch: "" };
}
