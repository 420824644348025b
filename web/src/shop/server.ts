/** The public shop's questions to the server, each typed. */
import { signal } from "@preact/signals";
import { api } from "../shared/api";
import type { CardFacts, ShowFacts } from "../shared/protocol";
import { serverClock } from "../shared/time";

export interface ShopFacts {
  name: string;
  currency: string;
  locale: string;
  demo: boolean;
  now_ms: number;
}

export interface StockWords {
  availability: "in_stock" | "last" | "sold_out";
  words: string;
  left: number | null;
}

export interface ProductLine {
  product_id: string;
  handle: string;
  title: string;
  vendor: string;
  type: string;
  price_from_minor: number;
  price_to_minor: number;
  was_minor: number | null;
  image: string;
  image_alt: string;
  swatches: string[];
  stock: StockWords;
}

export interface ProductPage {
  products: ProductLine[];
  page: number;
  pages: number;
  found: number;
  types: string[];
  tags: string[];
}

export interface Variant {
  variant_id: string;
  label: string;
  sku: string;
  price_minor: number;
  was_minor: number | null;
  swatch: string;
  image: string;
  retired: boolean;
  stock: StockWords;
  stock_by_location: { location_id: string; name: string; kind: "warehouse" | "shop"; stock: StockWords }[];
}

export interface Product {
  product_id: string;
  handle: string;
  title: string;
  body_html: string;
  vendor: string;
  type: string;
  tags: string[];
  currency: string;
  option_names: string[];
  variants: Variant[];
  images: { image_id: string; small: string; medium: string; large: string; alt: string }[];
  details: { name: string; text: string }[];
}

export interface ShowList {
  live: ShowFacts[];
  upcoming: ShowFacts[];
  past: ShowFacts[];
}

export const shop = signal<ShopFacts>({ name: "", currency: "EUR", locale: "en", demo: false, now_ms: 0 });

/** Name, currency and clock of the shop. */
export async function loadShop(): Promise<void> {
  const sentAtMs = Date.now();
  const facts = await api.get<ShopFacts>("/api/shop");
  serverClock.sample(sentAtMs, facts.now_ms);
  shop.value = facts;
}

export const loadShows = (): Promise<ShowList> => api.get("/api/shows");

/** A show with the cards that everyone may see; none where it is for invited guests. */
export const loadShow = (showId: string): Promise<{ show: ShowFacts; cards: CardFacts[] }> =>
  api.get(`/api/shows/${encodeURIComponent(showId)}`);

/** The show as a calendar entry. */
export const calendarPath = (showId: string): string => `/api/shows/${encodeURIComponent(showId)}.ics`;

export const loadProduct = (handle: string): Promise<Product> => api.get(`/api/products/${encodeURIComponent(handle)}`);

export function findProducts(query: string, type: string, page: number): Promise<ProductPage> {
  const words = new URLSearchParams({ q: query, type, page: String(page) });
  return api.get(`/api/products?${words.toString()}`);
}
