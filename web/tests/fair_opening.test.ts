/**
 * No viewer's delay decides who gets a unit: a thousand pages whose pictures lag by 1 to 12 s see the same deal open.
 * Each page is the real reducer; each person taps a human while after her own button opened.
 */
import { expect, test } from "vitest";
import { EMPTY, dealOf, fold, release, type RoomState } from "../src/shared/fold";
import type { CardFacts, ToViewer } from "../src/shared/protocol";

const VIEWERS = 1000;
const UNITS = 300;
const STEP_MS = 20;
const NEWS_MS = 10_000; // when the server tells that the deal is announced; it opens ten seconds later
const OPENS_MS = NEWS_MS + 10_000;

/** A small seeded generator (mulberry32): the same crowd in every run. */
function chance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const card = { card_id: "c", kind: "deal", title: "Lip", line: "", product_handle: "lip", image: "", bundle_minor: null, code: "", deals: [{ deal_id: "d", status: "draft", opens_at_ms: null, quota: UNITS }] } as unknown as CardFacts;
const news = (offset: number, atMs: number, event: object): ToViewer => ({ t: "state", epoch: "e", events: [{ offset, at_ms: atMs, event }] }) as unknown as ToViewer;
const STORY: readonly [number, ToViewer][] = [
  [NEWS_MS, news(1, NEWS_MS, { kind: "card_shown", card })],
  [NEWS_MS, news(2, NEWS_MS, { kind: "deal_announced", deal_id: "d", opens_at_ms: OPENS_MS, draw: null })],
  [OPENS_MS, news(3, OPENS_MS, { kind: "deal_opened", deal_id: "d", closes_at_ms: null, draw: null })],
];

interface Viewer {
  lagMs: number;
  lineMs: number;
  reactionMs: number;
}

/** Server time at which this viewer's tap arrives. */
function tapOf({ lagMs, lineMs, reactionMs }: Viewer): number {
  let state: RoomState = { ...EMPTY, epoch: "e" };
  let told = 0;
  // Nothing moves between the announcement and the opening, so the page is first looked at shortly before that.
  for (let now = OPENS_MS - 5 * STEP_MS; ; now += STEP_MS) {
    for (let next = STORY[told]; next && next[0] + lineMs <= now; next = STORY[told]) {
      state = fold(state, next[1], true);
      told += 1;
    }
    state = release(state, now - lagMs);
    if (dealOf(state, "d")?.deal.status === "open") return now + reactionMs + lineMs;
  }
}

test("the share of those who get a unit is the same whatever the delay of their picture, within two points", () => {
  const random = chance(20_261_128);
  const crowds = 20;
  const [near, far] = [{ won: 0, all: 0 }, { won: 0, all: 0 }];
  for (let crowd = 0; crowd < crowds; crowd += 1) {
    const viewers = Array.from({ length: VIEWERS }, (): Viewer => ({ lagMs: 1000 + random() * 11_000, lineMs: 10 + random() * 90, reactionMs: 250 + random() * 900 }));
    const taps = viewers.map((viewer) => ({ viewer, atMs: tapOf(viewer) })).sort((a, b) => a.atMs - b.atMs);
    taps.forEach(({ viewer }, place) => {
      const group = viewer.lagMs < 6500 ? near : far;
      group.all += 1;
      if (place < UNITS) group.won += 1;
    });
  }
  const points = Math.abs(near.won / near.all - far.won / far.all) * 100;
  expect(points).toBeLessThan(2);
});

test("the card itself waits for its picture", () => {
  let state: RoomState = fold({ ...EMPTY, epoch: "e" }, STORY[0]![1], true);
  expect(state.onAir).toBe("");
  state = release(state, NEWS_MS - 1000);
  expect(state.onAir).toBe("");
  expect(release(state, NEWS_MS).onAir).toBe("c");
});
