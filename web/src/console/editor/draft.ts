/**
 * A card while it is being put together: what was typed, and what of it is wrong. What arrives: variants chosen and
 * texts typed. What leaves: a card for the API, or the first complaint and the field it is about.
 */
import type { DealFacts } from "../../shared/protocol";
import { decimalsOf, minorOf, textOf } from "../money";
import { freeUnits, type CardDraft, type DealDraft, type StaffProduct, type StaffVariant } from "../server";

export type Kind = CardDraft["kind"];
export type Fairness = NonNullable<DealDraft["fairness"]>;

export interface Row {
  variant: StaffVariant;
  price: string;
  was: string;
  quota: string;
}

export interface Typed {
  kind: Kind;
  title: string;
  line: string;
  notes: string;
  product: StaffProduct | null;
  rows: readonly Row[];
  locationId: string;
  hidden: boolean;
  limit: string;
  holdMinutes: string;
  payMinutes: string;
  limitBy: DealFacts["limit_by"];
  addressCap: string;
  heldTimes: string;
  headWaits: boolean;
  level: DealFacts["level"];
  fairness: Fairness;
  drawSeconds: string;
}

export const NOTHING_TYPED: Typed = {
  kind: "deal",
  title: "",
  line: "",
  notes: "",
  product: null,
  rows: [],
  locationId: "",
  hidden: false,
  limit: "2",
  holdMinutes: "5",
  payMinutes: "10",
  limitBy: "guest",
  addressCap: "",
  heldTimes: "3",
  headWaits: false,
  level: "soft",
  fairness: "first_come",
  drawSeconds: "10",
};
const QUOTA_FIRST = 24;

/** A row for a variant as it is sold today: a deal begins from its own price. */
export function rowOf(variant: StaffVariant, currency: string, locationId: string): Row {
  return {
    variant,
    price: textOf(variant.price_minor, currency),
    was: textOf(variant.was_minor ?? variant.price_minor, currency),
    quota: String(Math.max(1, Math.min(QUOTA_FIRST, freeUnits(variant, locationId)))),
  };
}

export interface Wrong {
  says: string;
  params: Record<string, string | number>;
  field: string; // id of the field to look at
}

const whole = (text: string, least: number, most: number): number | null => {
  const value = /^\s*\d+\s*$/.test(text) ? Number(text) : Number.NaN;
  return value >= least && value <= most ? value : null;
};
const wrong = (says: string, field: string, params: Wrong["params"] = {}): Wrong => ({
  says: `console.wrong_${says}`,
  params,
  field,
});

/** The card for the API, or what is wrong with it first. */
export function cardOf(typed: Typed, currency: string): CardDraft | Wrong {
  if (!typed.product) return wrong("product", "card-search");
  if (typed.kind !== "product" && typed.rows.length === 0) return wrong("variants", "card-variants");
  if (typed.kind === "bundle" && typed.rows.length < 2) return wrong("bundle", "card-variants");
  const limit = whole(typed.limit, 1, 1000);
  const hold = whole(typed.holdMinutes, 1, 1440);
  const pay = whole(typed.payMinutes, 1, 1440);
  // Nothing typed is no cap.
  const addressCap = typed.addressCap.trim() ? whole(typed.addressCap, 0, 100_000) : 0;
  const heldTimes = typed.heldTimes.trim() ? whole(typed.heldTimes, 0, 20) : 0;
  if (limit === null) return wrong("limit", "card-limit");
  if (addressCap === null) return wrong("address_cap", "card-address-cap");
  if (heldTimes === null) return wrong("held_times", "card-held-times");
  if (hold === null) return wrong("minutes", "card-hold");
  if (pay === null) return wrong("minutes", "card-pay");
  // A set is taken whole or not at all: its parts are never drawn.
  const drawn = typed.kind === "deal" && typed.fairness === "draw";
  const window = whole(typed.drawSeconds, 3, 15);
  if (drawn && window === null) return wrong("window", "card-window");
  const deals = [];
  for (const row of typed.kind === "product" ? [] : typed.rows) {
    const price = minorOf(row.price, currency);
    const was = row.was.trim() ? minorOf(row.was, currency) : null;
    const quota = whole(row.quota, 1, 1_000_000);
    const id = row.variant.variant_id;
    const name = row.variant.label || row.variant.title;
    if (price === null) return wrong("price", `price-${id}`, { name, ...coin(currency) });
    if (row.was.trim() && was === null) return wrong("price", `was-${id}`, { name, ...coin(currency) });
    if (quota === null) return wrong("quota", `quota-${id}`, { name });
    const free = freeUnits(row.variant, typed.locationId);
    if (quota > free) return wrong("stock", `quota-${id}`, { name, free });
    deals.push({
      variant_id: id,
      location_id: typed.locationId,
      price_minor: price,
      // A price that is not above today's is no earlier price: it would promise a reduction that is none.
      was_minor: was !== null && was > price ? was : null,
      quota,
      limit_per_viewer: limit,
      hold_seconds: hold * 60,
      pay_seconds: pay * 60,
      level: typed.level,
      head_wants_more: typed.headWaits ? ("wait" as const) : ("skip" as const),
      limit_by: typed.limitBy,
      address_cap: addressCap,
      hold_cap_seconds: heldTimes * hold * 60,
      ...(drawn && window !== null ? { fairness: "draw" as const, draw_seconds: window } : {}),
    });
  }
  return {
    kind: typed.kind,
    title: typed.title.trim() || typed.product.title,
    line: typed.line.trim(),
    notes: typed.notes.trim(),
    product_handle: typed.product.handle,
    hidden_until_launch: typed.hidden,
    deals,
  };
}

function coin(currency: string): { places: number } {
  return { places: decimalsOf(currency) };
}
