import { describe, expect, test } from "vitest";
import { EMPTY, type RoomState } from "../src/shared/fold";
import type { CardFacts, Hold, Level, OrderFacts } from "../src/shared/protocol";
import { dealToShow, endedByPull, nameOf, offerOf, priceOf, type Asked } from "../src/watch/offer";
import { aCard, aDeal, aHold, anOrder } from "./facts";

const NOW = 10_000;
const aDraw = { window_seconds: 6, commitment: "c", draws_at_ms: NOW + 6000, drawn_at_ms: null, entrants: 0, seed: "", root: "", again: 0 };

function offer(given: { card?: CardFacts; levels?: Record<string, Level>; holds?: Hold[]; orders?: OrderFacts[]; asked?: Asked[] } = {}) {
  const card = given.card ?? aCard();
  const state: RoomState = {
    ...EMPTY,
    cards: [card],
    levels: given.levels ?? {},
    holds: Object.fromEntries((given.holds ?? []).map((hold) => [hold.rid, hold])),
    orders: Object.fromEntries((given.orders ?? []).map((order) => [order.order_id, order])),
  };
  return offerOf(state, card, card.deals[0] ?? null, NOW, given.asked ?? []);
}

describe("a deal that the shop took back", () => {
  const pulled = aCard({ deals: [aDeal({ status: "closing", pulled: "cancel" })] });

  test("is closed, and says so to everybody", () => {
    expect(offer({ card: pulled })).toEqual({ word: "closed", confirmed: 0, pulled: true, cancelled: false });
  });

  test("owes an apology to who held it", () => {
    expect(offer({ card: pulled, holds: [aHold({ state: "cancelled" })] })).toMatchObject({ pulled: true, cancelled: true });
  });

  test("lets her pay what is honoured", () => {
    const honoured = aCard({ deals: [aDeal({ status: "closing", pulled: "honour" })] });
    expect(offer({ card: honoured, holds: [aHold({ state: "held" })] }).word).toBe("held");
  });

  test.each([
    ["held", "cancelled", true],
    ["offered", "cancelled", true],
    ["paying", "cancelled", false], // told with its order
    ["cancelled", "cancelled", false], // told already
    ["held", "expired", false],
    ["held", "released", false],
  ] as const)("a hold that goes from %s to %s was ended by it: %s", (was, is, told) => {
    const before: RoomState = { ...EMPTY, holds: { r1: aHold({ rid: "r1", state: was }) } };
    expect(endedByPull(before, aHold({ rid: "r1", state: is }))).toBe(told);
  });
});

describe("what the button says", () => {
  test("a product without a deal is something to look at", () => {
    expect(offer({ card: aCard({ kind: "product", deals: [] }) })).toEqual({ word: "look" });
  });

  test("an announced deal opens at its instant on the server's clock, not before", () => {
    const opens = (opens_at_ms: number | null) => offer({ card: aCard({ deals: [aDeal({ status: "announced", opens_at_ms })] }) });
    expect(opens(NOW + 1)).toEqual({ word: "opening", opensAtMs: NOW + 1 });
    expect(opens(NOW)).toEqual({ word: "open" });
    expect(opens(null)).toEqual({ word: "soon" });
    expect(offer({ card: aCard({ deals: [aDeal({ status: "draft" })] }) })).toEqual({ word: "soon" });
  });

  test("a tap is answered in place before the server's answer", () => {
    expect(offer({ asked: [{ rid: "r", dealIds: ["d1"], wait: false }] })).toEqual({ word: "pending", wait: false });
  });

  test.each([
    ["held", "held"],
    ["paying", "paying"],
    ["offered", "offered"],
    ["waiting", "waiting"],
  ] as const)("her hold in state %s is what the card speaks of", (state, word) => {
    expect(offer({ holds: [aHold({ state })] }).word).toBe(word);
  });

  test.each(["released", "expired", "lapsed", "cancelled"] as const)("a hold that is %s is over: the deal is open again", (state) => {
    expect(offer({ holds: [aHold({ state })] }).word).toBe("open");
  });

  test("an offer comes before everything else she has", () => {
    const both = [aHold({ rid: "r1" }), aHold({ rid: "r2", state: "offered" })];
    expect(offer({ holds: both })).toMatchObject({ word: "offered", hold: { rid: "r2" } });
  });

  test("sold out says how many are still paying and holding, and whether one may wait", () => {
    expect(offer({ levels: { d1: [0, 2, 6, 16, 3] } })).toEqual({ word: "sold_out", paying: 6, held: 2, waiting: 3, mayWait: true });
  });

  test("with her limit bought the deal is hers, even where it is sold out", () => {
    expect(offer({ holds: [aHold({ state: "confirmed" })], levels: { d1: [0, 0, 0, 24, 0] } })).toEqual({ word: "limit", confirmed: 1 });
  });

  test("with room under the limit she may reserve again", () => {
    expect(offer({ card: aCard({ deals: [aDeal({ limit_per_viewer: 2 })] }), holds: [aHold({ state: "confirmed" })] }).word).toBe("open");
  });

  test("after a reload, when holds that were paid are gone, her orders say what is hers", () => {
    const order = anOrder({ status: "confirmed", lines: [{ deal_id: "d1", qty: 1 }] });
    const two = aCard({ deals: [aDeal({ limit_per_viewer: 2 })] });
    expect(offer({ orders: [order], levels: { d1: [0, 0, 0, 24, 0] } })).toEqual({ word: "limit", confirmed: 1 });
    expect(offer({ card: two, orders: [order], holds: [aHold({ state: "confirmed", rid: order.rid })] }).word).toBe("open");
    expect(offer({ orders: [anOrder({ status: "paying" })] }).word).toBe("open");
  });

  test("a closed deal is closed, whatever is left", () => {
    expect(offer({ card: aCard({ deals: [aDeal({ status: "closing" })] }) })).toEqual({
      word: "closed",
      confirmed: 0,
      pulled: false,
      cancelled: false,
    });
  });
});

describe("a bundle", () => {
  const bundle = aCard({ card_id: "b", kind: "bundle", title: "Set", bundle_minor: 5000, deals: [aDeal(), aDeal({ deal_id: "d2", price_minor: 4000 })] });
  const whole = aHold({ lines: [{ deal_id: "d1", qty: 1 }, { deal_id: "d2", qty: 1 }] });

  test("is sold out with its scarcest part, and has no line to wait in", () => {
    expect(offer({ card: bundle, levels: { d1: [9, 0, 0, 0, 0], d2: [0, 0, 1, 0, 0] } })).toMatchObject({ word: "sold_out", mayWait: false });
  });

  test("is not held by a hold of one of its parts", () => {
    expect(offer({ card: bundle, holds: [aHold()] }).word).toBe("open");
    expect(offer({ card: bundle, holds: [whole] }).word).toBe("held");
  });

  test("costs its own price and has its own name; a part alone has the product's", () => {
    const state = { ...EMPTY, cards: [bundle, aCard()] };
    expect(priceOf(state, whole)).toBe(5000);
    expect(nameOf(state, whole).title).toBe("Set");
    expect(priceOf(state, aHold())).toBe(2090);
    expect(nameOf(state, aHold())).toMatchObject({ title: "Tint", label: "Rosewood" });
  });
});

describe("the shade a card opens on", () => {
  const card = aCard({ deals: [aDeal(), aDeal({ deal_id: "d2" }), aDeal({ deal_id: "d3" })] });
  const levels: Record<string, Level> = { d1: [0, 0, 0, 24, 0] };

  test("is the chosen one, even sold out; else her own; else the first with stock", () => {
    const state = { ...EMPTY, cards: [card], levels };
    expect(dealToShow(state, card, "d1")?.deal_id).toBe("d1");
    expect(dealToShow(state, card, undefined)?.deal_id).toBe("d2");
    const holding = { ...state, holds: { r: aHold({ lines: [{ deal_id: "d3", qty: 1 }] }) } };
    expect(dealToShow(holding, card, undefined)?.deal_id).toBe("d3");
  });
});

describe("a deal that is drawn", () => {
  const drawn = (draw: Partial<typeof aDraw> | { drawn_at_ms: number }, given: Parameters<typeof offer>[0] = {}, deal = {}) =>
    offer({ card: aCard({ deals: [aDeal({ draw: { ...aDraw, ...draw }, ...deal })] }), ...given });

  test("is entered while its window is open, and says how many are in", () => {
    expect(drawn({}, { levels: { d1: [24, 0, 0, 0, 310] } })).toEqual({ word: "enter", drawsAtMs: NOW + 6000, entrants: 310 });
  });

  test("opens on the server's clock: the end of its window is known before the server's word", () => {
    const announced = { status: "announced" as const, opens_at_ms: NOW - 1000 };
    expect(drawn({ draws_at_ms: null as never }, {}, announced)).toMatchObject({ word: "enter", drawsAtMs: NOW + 5000 });
  });

  test("takes no tap between the window's end and the result", () => {
    expect(drawn({ draws_at_ms: NOW })).toEqual({ word: "drawing" });
  });

  test("tells who is in when the result comes", () => {
    const hold = aHold({ state: "entered", due_at_ms: null });
    expect(drawn({}, { holds: [hold], levels: { d1: [24, 0, 0, 0, 2] } })).toEqual({ word: "entered", hold, drawsAtMs: NOW + 6000, entrants: 2 });
  });

  test("is a deal like any other once it was drawn", () => {
    expect(drawn({ drawn_at_ms: NOW }, { levels: { d1: [1, 23, 0, 0, 0] } })).toEqual({ word: "open" });
    expect(drawn({ drawn_at_ms: NOW }, { levels: { d1: [0, 24, 0, 0, 286] } }).word).toBe("sold_out");
    expect(drawn({ drawn_at_ms: NOW }, { holds: [aHold({ state: "waiting", place: 3 })] }).word).toBe("waiting");
  });
});
