import { describe, expect, test } from "vitest";
import { EMPTY, type RoomState } from "../src/shared/fold";
import type { OfferFacts } from "../src/shared/protocol";
import { gone, NO_OFFERS, received, REST_MS, stands, turned, type OfferShelf } from "../src/watch/offers";
import { aCard, aDeal, aHold } from "./facts";

const NOW = 10_000;
const card = aCard({ deals: [aDeal(), aDeal({ deal_id: "d2" })] });
const state: RoomState = { ...EMPTY, cards: [card], levels: { d1: [0, 1, 0, 3, 0] } };

const anOffer = (given: Partial<OfferFacts> = {}): OfferFacts => ({
  offer_id: "off_1",
  moment: "sold_out",
  kind: "another_shade",
  about_deal_id: "d1",
  deal_ids: ["d2"],
  wait: false,
  place: null,
  counter: null,
  words: {},
  until_ms: null,
  ...given,
});
const shown = (offer: OfferFacts): OfferShelf => turned(received(NO_OFFERS, offer), state, NOW, REST_MS);

describe("an offer comes", () => {
  test("when no finger has touched the page for half a second, and not before", () => {
    const waiting = received(NO_OFFERS, anOffer());
    expect(turned(waiting, state, NOW, REST_MS - 1)).toBe(waiting);
    expect(turned(waiting, state, NOW, REST_MS).now?.offer_id).toBe("off_1");
  });

  test("one at a time: the next waits until the first is closed", () => {
    const both = received(shown(anOffer()), anOffer({ offer_id: "off_2" }));
    expect(turned(both, state, NOW, 9999)).toBe(both);
    expect(turned(gone(both, "off_1"), state, NOW, 9999).now?.offer_id).toBe("off_2");
  });

  test("once: told again, it does not stand a second time", () => {
    const closed = gone(shown(anOffer()), "off_1");
    expect(received(closed, anOffer())).toBe(closed);
  });
});

describe("an offer goes by itself", () => {
  test("when what it offers is gone, but never under a finger", () => {
    const standing = shown(anOffer());
    const soldOut = { ...state, levels: { ...state.levels, d2: [0, 0, 0, 24, 0] as const } } as unknown as RoomState;
    expect(turned(standing, soldOut, NOW, REST_MS - 1).now?.offer_id).toBe("off_1");
    expect(turned(standing, soldOut, NOW, REST_MS).now).toBeNull();
  });

  test.each([
    ["what it offers is hers", anOffer(), { ...state, holds: { r: aHold({ lines: [{ deal_id: "d2", qty: 1 }] }) } }, false],
    ["its deal has closed", anOffer(), { ...state, cards: [aCard({ deals: [aDeal(), aDeal({ deal_id: "d2", status: "closed" })] })] }, false],
    ["its instant has passed", anOffer({ until_ms: NOW }), state, false],
    ["its instant has not passed", anOffer({ until_ms: NOW + 1 }), state, true],
    ["nobody knows its deal", anOffer({ deal_ids: ["none"] }), state, false],
    ["it is a place in a line that is one", anOffer({ wait: true, deal_ids: ["d1"] }), state, true],
    ["it is a place in a line, and one is free", anOffer({ wait: true }), state, false],
    ["it is a counter", anOffer({ deal_ids: [], counter: { name: "Lyon", address: "", city: "", hours: "", units: 2 } }), state, true],
    ["it is nothing", anOffer({ deal_ids: [] }), state, false],
  ] as const)("%s", (_, offer, now, stays) => {
    expect(stands(offer as OfferFacts, now as RoomState, NOW)).toBe(stays);
  });
});
