/**
 * Offers at their moments, one at a time: which one stands on the page, and when it may change.
 * Pure. Nothing comes, goes or changes its meaning within half a second of a touch: a finger on its way must not land
 * on something else.
 */
import { dealOf, liveHolds, numbersOf, type RoomState } from "../shared/fold";
import type { OfferFacts } from "../shared/protocol";

export const REST_MS = 500;

export interface OfferShelf {
  /** On the page. */
  readonly now: OfferFacts | null;
  /** Comes when the page may change; a newer one takes its place. */
  readonly next: OfferFacts | null;
  /** Ids that stood here, so that none comes twice. */
  readonly seen: readonly string[];
}

export const NO_OFFERS: OfferShelf = { now: null, next: null, seen: [] };
const SEEN_MAX = 100;

/** An offer has come. */
export function received(shelf: OfferShelf, offer: OfferFacts): OfferShelf {
  if (shelf.seen.includes(offer.offer_id) || shelf.next?.offer_id === offer.offer_id) return shelf;
  return { ...shelf, next: offer };
}

/** She closed it, took it, or it is over. */
export function gone(shelf: OfferShelf, offerId: string): OfferShelf {
  if (shelf.now?.offer_id === offerId) return { ...shelf, now: null };
  return shelf.next?.offer_id === offerId ? { ...shelf, next: null } : shelf;
}

/** Time has passed: what is over goes, then the next one comes, unless a finger is near. */
export function turned(shelf: OfferShelf, state: RoomState, nowMs: number, sinceTouchMs: number): OfferShelf {
  if (sinceTouchMs < REST_MS) return shelf;
  const now = shelf.now && stands(shelf.now, state, nowMs) ? shelf.now : null;
  const next = shelf.next && stands(shelf.next, state, nowMs) ? shelf.next : null;
  if (now === shelf.now && next === shelf.next && (now || !next)) return shelf;
  if (now || !next) return { ...shelf, now, next };
  return { now: next, next: null, seen: [...shelf.seen, next.offer_id].slice(-SEEN_MAX) };
}

/** Whether a tap on it would still make sense. */
export function stands(offer: OfferFacts, state: RoomState, nowMs: number): boolean {
  if (offer.until_ms !== null && offer.until_ms <= nowMs) return false;
  if (offer.deal_ids.length === 0) return offer.counter !== null;
  const mine = liveHolds(state).flatMap((hold) => hold.lines.map((line) => line.deal_id));
  if (offer.deal_ids.some((id) => mine.includes(id))) return false;
  const deals = offer.deal_ids.map((id) => dealOf(state, id)?.deal ?? null);
  if (deals.some((deal) => deal === null || deal.status !== "open")) return false;
  const free = deals.every((deal) => deal !== null && numbersOf(state, deal).available > 0);
  // A place in the line is worth something only while there is a line.
  return offer.wait ? !free : free;
}
