/**
 * The bag as the shop's pages know it: what the server set aside for her, place by place, each with its clock. Nothing is
 * kept here that the server does not know: a reload, another tab or another device show the same bags.
 */
import { signal } from "@preact/signals";
import { api, Refusal } from "../shared/api";
import { newId } from "../shared/ids";
import type { OrderFacts } from "../shared/protocol";
import { REFUSAL } from "../shared/protocol";

export interface Place {
  location_id: string;
  kind: "warehouse" | "shop";
  name: string;
  address: string;
  city: string;
  hours: string;
}

export interface Article {
  variant_id: string;
  handle: string;
  title: string;
  label: string;
  image: string;
  qty: number;
  unit_minor: number;
}

export interface Bag {
  book_id: string;
  rid: string;
  place: Place;
  state: "held" | "paying";
  due_at_ms: number | null;
  lines: Article[];
  subtotal_minor: number;
  currency: string;
  qty_most: number;
  from_advisor: string;
}

export interface TryOn {
  try_on_id: string;
  code: string;
  state: "asked" | "kept" | "came" | "bought" | "missed" | "given_up" | "refused";
  until_ms: number;
  place: Place;
  article: Article;
}

export interface Basket {
  word: string;
  state: "open" | "taken" | "gone";
  advisor_name: string;
  customer: string;
  note: string;
  place: Place;
  lines: Article[];
  subtotal_minor: number;
  currency: string;
  hold_minutes: number;
}

export interface OrderPage {
  order: OrderFacts;
  show_id: string;
  story: string;
  test_notice: string;
  lines: { title: string; label: string; qty: number; total_minor: number }[];
  shipping_minor: number;
  delivery: "ship" | "pickup";
  counter: { name: string; address: string; city: string; hours: string } | null;
  pickup_promise: string;
}

export interface Where {
  delivery: "ship" | "pickup";
  pickup_location_id: string;
  contact_name: string;
  contact: string;
  address: { line1: string; line2: string; postcode: string; city: string; country: string };
}

/** null: not asked for yet. */
export const bags = signal<readonly Bag[] | null>(null);
export const tryOns = signal<readonly TryOn[]>([]);
export const orders = signal<readonly OrderPage[]>([]);

const STALE: ReadonlySet<number> = new Set([REFUSAL.HOLD_GONE, REFUSAL.CONFLICT, REFUSAL.NOT_FOUND]);

interface Me {
  viewer: { name: string } | null;
}

/** Who she is to the shop: the browser's own viewer, made at the first need. */
async function comeIn(): Promise<void> {
  const me = await api.get<Me>("/api/me");
  if (!me.viewer) await api.post("/api/viewers", { name: "Guest" });
}

/** Everything that is hers; empty for somebody who never set anything aside. */
export async function loadBags(): Promise<void> {
  const me = await api.get<Me>("/api/me");
  if (!me.viewer) {
    bags.value = [];
    return;
  }
  const [mine, tried, bought] = await Promise.all([
    api.get<{ bags: Bag[] }>("/api/bag"),
    api.get<{ try_ons: TryOn[] }>("/api/try-ons"),
    api.get<{ orders: OrderPage[] }>("/api/orders"),
  ]);
  bags.value = mine.bags;
  tryOns.value = tried.try_ons;
  orders.value = bought.orders;
}

/** The bag of a place with so many of an article in it; 0 takes the article out, and the last one lets the bag go. */
export function linesWith(bag: Bag | undefined, variantId: string, qty: number): { variant_id: string; qty: number }[] {
  const others = (bag?.lines ?? []).filter((line) => line.variant_id !== variantId);
  const lines = others.map(({ variant_id, qty: had }) => ({ variant_id, qty: had }));
  return qty > 0 ? [...lines, { variant_id: variantId, qty }] : lines;
}

/** The bag of a place that can still be changed. */
export const bagAt = (locationId: string): Bag | undefined =>
  (bags.value ?? []).find((bag) => bag.place.location_id === locationId && bag.state === "held" && !bag.from_advisor);

export async function putInBag(locationId: string, variantId: string): Promise<void> {
  await comeIn();
  if (bags.value === null) await loadBags();
  const has = bagAt(locationId)?.lines.find((line) => line.variant_id === variantId)?.qty ?? 0;
  await setQty(locationId, variantId, has + 1);
}

/** Raises `Refusal`; the bag is then as it was. */
export async function setQty(locationId: string, variantId: string, qty: number): Promise<void> {
  const bag = bagAt(locationId);
  const lines = linesWith(bag, variantId, qty);
  if (bag && lines.length === 0) return letGo(bag.rid);
  try {
    await api.put("/api/bag", { location_id: locationId, rid: newId("bag"), replaces: bag?.rid ?? "", lines });
  } catch (error) {
    // The clock ended, or another tab changed it: what is shown must be what is there.
    if (error instanceof Refusal && STALE.has(error.number)) await loadBags();
    throw error;
  }
  await loadBags();
}

export async function letGo(rid: string): Promise<void> {
  bags.value = (await api.delete<{ bags: Bag[] }>(`/api/bag/${encodeURIComponent(rid)}`)).bags;
}

/** Make the order; answers where to pay it. */
export async function checkOut(bag: Bag, where: Where): Promise<string> {
  const answer = await api.post<{ pay_url: string }>("/api/checkouts", { show_id: bag.book_id, rid: bag.rid, ...where });
  await loadBags();
  return answer.pay_url;
}

export async function payAgain(orderId: string): Promise<void> {
  await api.post(`/api/orders/${encodeURIComponent(orderId)}/retry`);
  await loadBags();
}

export async function cancelOrder(orderId: string): Promise<void> {
  await api.post(`/api/orders/${encodeURIComponent(orderId)}/cancel`);
  await loadBags();
}

export async function askToTry(locationId: string, variantId: string): Promise<TryOn> {
  await comeIn();
  const told = await api.post<TryOn>("/api/try-ons", { rid: newId("try"), location_id: locationId, variant_id: variantId });
  await loadBags();
  return told;
}

export async function giveUp(tryOnId: string): Promise<void> {
  await api.delete(`/api/try-ons/${encodeURIComponent(tryOnId)}`);
  await loadBags();
}

export const loadBasket = (word: string): Promise<Basket> => api.get(`/api/baskets/${encodeURIComponent(word)}`);

export async function takeBasket(word: string): Promise<void> {
  await comeIn();
  bags.value = (await api.post<{ bags: Bag[] }>(`/api/baskets/${encodeURIComponent(word)}/take`)).bags;
}
