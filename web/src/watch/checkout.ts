/**
 * From a hold to a paid order, as the page knows it. Which step stands is not kept: it follows from the hold and its
 * order, so that a reload, another tab or the bank's app land on the same step and the same clock.
 */
import { computed, signal } from "@preact/signals";
import { api } from "../shared/api";
import { fold } from "../shared/fold";
import type { Hold, OrderFacts } from "../shared/protocol";
import { room } from "./room";

/** An order as its owner sees it over HTTP: more than the socket carries. */
export interface OrderPage {
  order: OrderFacts;
  story: string;
  test_notice: string;
  lines: { title: string; label: string; qty: number; unit_minor: number; total_minor: number }[];
  subtotal_minor: number;
  shipping_minor: number;
  tax_minor: number;
  tax_included: boolean;
  delivery: "ship" | "pickup";
  counter: { name: string; address: string; city: string; hours: string } | null;
  pickup_promise: string;
  promises: string[];
}

/** What a checkout answers: the order, where to pay, and the same address as a QR code for a phone. */
interface CheckoutAnswer {
  order: OrderFacts;
  pay_url: string;
  qr_svg: string;
  pay_by_ms: number | null;
}

export interface OrderView {
  facts: OrderFacts;
  page: OrderPage | null;
  payUrl: string;
  qrSvg: string;
}

export interface Address {
  line1: string;
  line2: string;
  postcode: string;
  city: string;
  country: string;
}

export interface Where {
  delivery: "pickup" | "ship";
  locationId: string;
  contactName: string;
  contact: string;
  address: Address;
}

export type Step = "where" | "pay" | "declined" | "done" | "gone";

/** Orders with nothing left to pay. */
export const SETTLED: ReadonlySet<OrderFacts["status"]> = new Set(["confirmed", "expired", "cancelled", "refund_due", "refunded"]);

/** The rid that is being checked out, or "". */
export const checkoutRid = signal("");
const pages = signal<Readonly<Record<string, OrderPage>>>({});
const payments = signal<Readonly<Record<string, { url: string; qrSvg: string }>>>({});

export function openCheckout(rid: string): void {
  checkoutRid.value = rid;
}

export function closeCheckout(): void {
  checkoutRid.value = "";
}

export const checkoutHold = computed<Hold | null>(() => room.value.holds[checkoutRid.value] ?? null);

export const checkoutOrder = computed<OrderView | null>(() => {
  const rid = checkoutRid.value;
  const order = Object.values(room.value.orders).find((one) => one.rid === rid);
  return order ? withDetails(order) : null;
});

/** The socket's facts are the newer ones, the page's know more. */
export function withDetails(facts: OrderFacts): OrderView {
  const payment = payments.value[facts.order_id];
  return {
    facts,
    page: pages.value[facts.order_id] ?? null,
    payUrl: facts.pay_url || payment?.url || "",
    qrSvg: payment?.qrSvg ?? "",
  };
}

export function stepOf(hold: Hold | null, order: OrderFacts | null): Step {
  switch (order?.status) {
    case "confirmed":
      return "done";
    case "paying":
      return "pay";
    case "declined":
      return "declined";
    case "expired":
    case "cancelled":
    case "refund_due":
    case "refunded":
      return "gone";
    case undefined:
      return hold && (hold.state === "held" || hold.state === "paying") ? "where" : hold?.state === "confirmed" ? "done" : "gone";
  }
}

/** Make the order: from here on the unit is safe until the order's own deadline. */
export async function checkOut(rid: string, where: Where): Promise<void> {
  const ships = where.delivery === "ship";
  await pay("/api/checkouts", {
    show_id: room.value.show?.show_id ?? "",
    rid,
    delivery: where.delivery,
    contact_name: where.contactName,
    contact: where.contact,
    ...(ships ? { address: where.address } : { pickup_location_id: where.locationId }),
  });
}

export async function payAgain(orderId: string): Promise<void> {
  // The old link is dead, and the socket may say "paying" before the new one is here: nothing to press until it is.
  const { [orderId]: _dead, ...others } = payments.value;
  payments.value = others;
  await pay(`/api/orders/${encodeURIComponent(orderId)}/retry`, {});
}

export async function cancelOrder(orderId: string): Promise<void> {
  await api.post(`/api/orders/${encodeURIComponent(orderId)}/cancel`);
  await refreshOrders();
}

async function pay(path: string, body: unknown): Promise<void> {
  const answer = await api.post<CheckoutAnswer>(path, body);
  payments.value = { ...payments.value, [answer.order.order_id]: { url: answer.pay_url, qrSvg: answer.qr_svg } };
  learn({ ...answer.order, pay_url: answer.pay_url, pay_by_ms: answer.pay_by_ms });
  await refreshOrders().catch(() => undefined); // the sums come with it; the order itself stands already
}

/** How often one look is repeated where news kept coming in between; the next look is never far. */
const LOOKS_MAX = 3;

/**
 * Ask for the orders themselves; after a payment, or where the socket may have missed the word. What came meanwhile, by
 * the socket or as the answer to an act of hers, is the newer word: an answer that was on its way then is asked again.
 */
export async function refreshOrders(): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const known = room.value.orders;
    const { orders } = await api.get<{ orders: OrderPage[] }>("/api/orders");
    if (room.value.orders !== known) continue;
    pages.value = { ...pages.value, ...Object.fromEntries(orders.map((page) => [page.order.order_id, page])) };
    for (const page of orders) learn(page.order);
    return;
  }
}

function learn(order: OrderFacts): void {
  room.value = fold(room.value, { t: "own", hold: null, order, note: "", private: null });
}
