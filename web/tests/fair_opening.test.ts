/**
 * No viewer's delay decides who gets a unit: a thousand people whose pictures lag by 1 to 12 s, and the share of each
 * second of delay that gets one.
 *
 * Each of them is the page's own code: the reducer over what the server tells, the release of what waits for the
 * picture, and the word of the card's button. She can tap only what stands in front of her: a card that her picture has
 * not brought cannot be tapped, however open its deal is. Her clock is a little off, her line has its own length, and
 * she taps a human while after her own button opened; none of it has to do with her delay.
 */
import { describe, expect, test } from "vitest";
import { cardById, COUNTDOWN_SEEN_MS, EMPTY, fold, release, type RoomState } from "../src/shared/fold";
import type { ShowEvent, ToViewer } from "../src/shared/protocol";
import { offerOf } from "../src/watch/offer";
import { aCard, aDeal } from "./facts";

const VIEWERS = 1000;
const UNITS = 300;
const CROWDS = 60;
const LAG_MS = [1000, 12_000] as const;
const POINTS_MAX = 2;
const TICK_MS = 250; // the page looks at its clock so often, each page at its own moments
const NEWS_MS = 100_000; // the host shows the card

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

const card = aCard({ card_id: "c", deals: [aDeal({ deal_id: "d", status: "draft", quota: UNITS })] });
const news = (offset: number, atMs: number, event: ShowEvent): readonly [number, ToViewer] => [atMs, { t: "state", epoch: "e", events: [{ offset, at_ms: atMs, event }] }];

/** What the server tells of a card that is shown with a countdown of so long. */
function story(countdownMs: number): readonly (readonly [number, ToViewer])[] {
  const opens_at_ms = NEWS_MS + countdownMs;
  return [
    news(1, NEWS_MS, { kind: "card_shown", card }),
    news(2, NEWS_MS, { kind: "deal_announced", deal_id: "d", opens_at_ms, draw: null }),
    news(3, opens_at_ms, { kind: "deal_opened", deal_id: "d", closes_at_ms: null, draw: null }),
  ];
}

interface Viewer {
  lagMs: number;
  lineMs: number;
  reactionMs: number;
  clockOffMs: number;
  phaseMs: number;
}

type Page = (state: RoomState, programmeMs: number, nowMs: number) => RoomState;

/** Server time at which this viewer's tap arrives. */
function tapOf(viewer: Viewer, told: readonly (readonly [number, ToViewer])[], page: Page): number {
  let state: RoomState = { ...EMPTY, epoch: "e" };
  let next = 0;
  // Before the last seconds nothing that she sees decides anything.
  for (let now = (told.at(-1)?.[0] ?? 0) - COUNTDOWN_SEEN_MS - 2 * TICK_MS + viewer.phaseMs; ; now += TICK_MS) {
    for (let news = told[next]; news && news[0] + viewer.lineMs <= now; news = told[++next]) state = fold(state, news[1], true);
    const own = now + viewer.clockOffMs;
    state = page(state, now - viewer.lagMs, own);
    const onPage = state.onAir === "c" ? cardById(state, "c") : null;
    const button = onPage && offerOf(state, onPage, onPage.deals[0] ?? null, own, []);
    if (button?.word === "open") return now + viewer.reactionMs + viewer.lineMs;
  }
}

/** Percent that got a unit, for each whole second of delay. */
function shares(countdownMs: number, page: Page, crowds = CROWDS): number[] {
  const random = chance(20_261_128);
  const told = story(countdownMs);
  const groups = Array.from({ length: (LAG_MS[1] - LAG_MS[0]) / 1000 }, () => ({ won: 0, all: 0 }));
  for (let crowd = 0; crowd < crowds; crowd += 1) {
    const viewers = Array.from({ length: VIEWERS }, (_, place): Viewer => ({
      lagMs: LAG_MS[0] + ((place + random()) / VIEWERS) * (LAG_MS[1] - LAG_MS[0]),
      lineMs: 10 + random() * 90,
      reactionMs: 250 + random() * 900,
      clockOffMs: (random() - 0.5) * 80,
      phaseMs: random() * TICK_MS,
    }));
    const taps = viewers.map((viewer) => ({ viewer, atMs: tapOf(viewer, told, page) })).sort((a, b) => a.atMs - b.atMs);
    taps.forEach(({ viewer }, place) => {
      const group = groups[Math.floor((viewer.lagMs - LAG_MS[0]) / 1000)]!;
      group.all += 1;
      if (place < UNITS) group.won += 1;
    });
  }
  return groups.map(({ won, all }) => (won / all) * 100);
}

const spread = (all: readonly number[]): number => Math.max(...all.map((share) => Math.abs(share - (UNITS / VIEWERS) * 100)));

describe("the share of those who get a unit, by the delay of their picture", () => {
  test.each([COUNTDOWN_SEEN_MS, 10_000, 30_000])("is the same within two points, with a countdown of %i ms", (countdownMs) => {
    expect(spread(shares(countdownMs, release))).toBeLessThan(POINTS_MAX);
  });

  test("would not be, if a card that counts down waited for its picture: then this test fails, as it must", () => {
    expect(spread(shares(10_000, (state, programmeMs) => release(state, programmeMs, -Infinity), 5))).toBeGreaterThan(10);
  });
});
