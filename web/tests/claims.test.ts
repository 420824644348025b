import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { EMPTY, fold, type RoomState } from "../src/shared/fold";
import { REFUSAL, type Claimed } from "../src/shared/protocol";
import { claimWords, nameOfDeals } from "../src/watch/claims";
import { aCard, aDeal, aHold } from "./facts";

const card = aCard({ title: "Velvet Lip", deals: [aDeal(), aDeal({ deal_id: "d2", label: "Plum" })] });
const set = aCard({ card_id: "b", kind: "bundle", title: "Evening set", deals: [aDeal({ deal_id: "s1" }), aDeal({ deal_id: "s2" })] });
const state: RoomState = { ...EMPTY, cards: [card, set] };
const known = JSON.parse(readFileSync(new URL("../src/shared/i18n/watch.en.json", import.meta.url), "utf8")) as Record<string, unknown>;

const anAnswer = (given: Partial<Claimed> = {}): Claimed => ({
  t: "claimed",
  cid: "say_1",
  rid: "clm_1",
  text: "",
  code: "AA",
  lines: [{ deal_id: "d2", qty: 2 }],
  hold: null,
  number: 0,
  word: "",
  again: false,
  after_ms: null,
  choices: [],
  codes: [],
  facts: {},
  ...given,
});

describe("the private answer to a claim", () => {
  test("says what was understood and until when it is hers", () => {
    const words = claimWords(state, anAnswer({ hold: aHold({ due_at_ms: 99 }) }));
    expect(words).toMatchObject({ tone: "good", key: "claim.held", blanks: { what: "Velvet Lip, Plum", count: 2 }, timeMs: 99 });
  });

  test.each([
    ["confirmed", "claim.yours"],
    ["paying", "claim.yours"],
    ["released", "claim.over"],
    ["expired", "claim.over"],
    ["entered", "claim.entered"],
  ] as const)("of a claim that is %s by now is not 'reserved'", (is, key) => {
    expect(claimWords(state, anAnswer({ hold: aHold({ state: is }) })).key).toBe(key);
  });

  test("that it is sold out offers the place in the line, for as many as she wanted", () => {
    const words = claimWords(state, anAnswer({ number: REFUSAL.SOLD_OUT, facts: { place: 3 } }));
    expect(words.blanks["place"]).toBe(3);
    expect(words.next).toEqual([{ dealIds: ["d2"], label: "", qty: 2, wait: true }]);
  });

  test("a set that is sold out has no line to wait in", () => {
    const lines = [{ deal_id: "s1", qty: 1 }, { deal_id: "s2", qty: 1 }];
    expect(claimWords(state, anAnswer({ number: REFUSAL.SOLD_OUT, lines }))).toMatchObject({ key: "claim.sold_out_set", next: [] });
  });

  test("that it could be several names each as a choice", () => {
    const words = claimWords(state, anAnswer({ number: REFUSAL.CLAIM_WHICH, lines: [], choices: ["d1", "d2"] }));
    expect(words.next.map((next) => next.label)).toEqual(["Rosewood", "Plum"]);
    expect(words.next.every((next) => !next.wait && next.qty === 1)).toBe(true);
  });

  test("that nobody is called so says which codes are on, or that there is none", () => {
    expect(claimWords(state, anAnswer({ number: REFUSAL.CLAIM_CODE, codes: ["AA", "AB"] })).blanks["codes"]).toBe("AA, AB");
    expect(claimWords(state, anAnswer({ number: REFUSAL.CLAIM_CODE })).key).toBe("claim.none");
  });

  test("that it opens later says when", () => {
    expect(claimWords(state, anAnswer({ number: REFUSAL.DEAL_NOT_OPEN, facts: { opens_at_ms: 7 } }))).toMatchObject({ key: "claim.opens", timeMs: 7 });
    expect(claimWords(state, anAnswer({ number: REFUSAL.DEAL_NOT_OPEN })).key).toBe("claim.not_open");
  });

  test("has words for every number there may be", () => {
    for (const number of Object.values(REFUSAL)) expect(known).toHaveProperty([claimWords(state, anAnswer({ number })).key]);
  });
});

test("the hold of a claim is hers on the page like any other", () => {
  const held = fold(state, anAnswer({ hold: aHold({ rid: "clm_1" }) }));
  expect(held.holds["clm_1"]?.state).toBe("held");
  expect(fold(state, anAnswer())).toBe(state);
});

test("a deal is called by its card and its shade, a set by its title", () => {
  expect(nameOfDeals(state, ["d1"])).toBe("Velvet Lip, Rosewood");
  expect(nameOfDeals(state, ["s1", "s2"])).toBe("Evening set");
  expect(nameOfDeals(state, ["none"])).toBe("");
});
