/** The counter's calls to the server, each typed: what waits to be tried, and the advisor's own baskets. */
import { staffRequest } from "../session";

export interface Article {
  variant_id: string;
  title: string;
  label: string;
  qty: number;
  unit_minor: number;
}

export interface TryOn {
  try_on_id: string;
  code: string;
  state: "kept" | "came" | "bought" | "missed" | "given_up";
  until_ms: number;
  name: string;
  article: Article;
}

export interface StaffBasket {
  basket_id: string;
  basket: { customer: string; note: string; lines: Article[]; subtotal_minor: number; state: "open" | "taken" | "gone"; currency: string };
  url: string;
  qr_svg: string;
  taken: boolean;
  order_status: string;
}

export interface BasketDraft {
  location_id: string;
  lines: { variant_id: string; qty: number }[];
  customer: string;
  note: string;
  hold_minutes: number;
}

export const tryOnsAt = (locationId: string): Promise<{ try_ons: TryOn[] }> =>
  staffRequest("GET", `/api/staff/try-ons?location=${encodeURIComponent(locationId)}`);

export const tellTryOn = (code: string, outcome: "came" | "bought" | "missed", receipt = ""): Promise<TryOn> =>
  staffRequest("POST", `/api/staff/try-ons/${encodeURIComponent(code)}`, { outcome, receipt });

export const ownBaskets = (): Promise<{ baskets: StaffBasket[]; hold_minutes_most: number }> => staffRequest("GET", "/api/staff/baskets");

export const makeBasket = (draft: BasketDraft): Promise<StaffBasket> => staffRequest("POST", "/api/staff/baskets", draft);

export const withdrawBasket = (basketId: string): Promise<StaffBasket> =>
  staffRequest("DELETE", `/api/staff/baskets/${encodeURIComponent(basketId)}`);
