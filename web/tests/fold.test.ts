import { describe, expect, test } from "vitest";
import { CAPTIONS_KEPT_MAX, cardById, COUNTDOWN_SEEN_MS, dealOf, EMPTY, fold, foldStamped, LINES_KEPT_MAX, liveHolds, numbersOf, release, type RoomState } from "../src/shared/fold";
import type { OrderFacts, ShowEvent, ShowFacts, Stamped, Welcome } from "../src/shared/protocol";
import { aCard, aDeal, aHold, aLine, anOrder, aShow, aSnapshot, aWelcome } from "./facts";

const welcomed = fold(EMPTY, aWelcome({ snapshot: aSnapshot({ cards: [aCard()] }) }));
const after = (state: RoomState, event: ShowEvent, offset = state.offset + 1, at_ms = 1000): RoomState =>
  foldStamped(state, { offset, at_ms, event });

describe("welcome", () => {
  test("a snapshot replaces everything that was known of the show", () => {
    const before = { ...welcomed, talk: [aLine("old")], onAir: "gone" };
    const state = fold(before, aWelcome({ offset: 9, snapshot: aSnapshot({ talk: [aLine("new")] }) }));
    expect(state.talk.map((line) => line.line_id)).toEqual(["new"]);
    expect(state.onAir).toBe("");
    expect(state.offset).toBe(9);
  });

  test("a welcome while stock is counted again leaves what she knows of her holds", () => {
    const state = fold(welcomed, { t: "answer", rid: "mine", hold: aHold({ rid: "mine", token: "signed" }) });
    const counted = fold(state, aWelcome({ recovered: true, counting: true }));
    expect(counted.counting).toBe(true);
    expect(counted.holds["mine"]?.token).toBe("signed");
    const over = fold(fold(counted, { t: "counting", on: false }), aWelcome({ recovered: true }));
    expect([over.counting, over.holds]).toEqual([false, {}]);
  });

  test("her own holds and orders come with the welcome, beside a snapshot that is the same for everybody", () => {
    const snapshot = aSnapshot({ holds: [], orders: [] });
    const state = fold(EMPTY, aWelcome({ snapshot, holds: [aHold({ rid: "mine" })], orders: [anOrder()] }));
    expect(Object.keys(state.holds)).toEqual(["mine"]);
    expect(Object.keys(state.orders)).toEqual(["or_1"]);
  });

  test("a recovered welcome keeps the show and the place, and takes her own holds and orders from the server", () => {
    const before = { ...welcomed, offset: 4, holds: { old: aHold({ rid: "old" }) } };
    const welcome: Welcome = aWelcome({ recovered: true, offset: 7, holds: [aHold({ rid: "mine" })], orders: [anOrder()] });
    const state = fold(before, welcome);
    expect(state.offset).toBe(4);
    expect(state.cards).toBe(before.cards);
    expect(Object.keys(state.holds)).toEqual(["mine"]);
    expect(Object.keys(state.orders)).toEqual(["or_1"]);
  });
});

describe("events of the show", () => {
  test("an offset seen before changes nothing", () => {
    const state = after(welcomed, { kind: "note", text: "one" }, 5);
    expect(after(state, { kind: "note", text: "two" }, 5)).toBe(state);
  });

  test("a card goes on the picture and off it; another card's leaving does not take it away", () => {
    const shown = after(welcomed, { kind: "card_shown", card: aCard({ card_id: "b" }) });
    expect(shown.onAir).toBe("b");
    expect(after(shown, { kind: "card_hidden", card_id: "a" }).onAir).toBe("b");
    expect(after(shown, { kind: "card_hidden", card_id: "b" }).onAir).toBe("");
  });

  test("a listed card changes in place and keeps its order", () => {
    const two = after(welcomed, { kind: "card_listed", card: aCard({ card_id: "b" }) });
    const changed = after(two, { kind: "card_listed", card: aCard({ title: "New" }) });
    expect(changed.cards.map((card) => [card.card_id, card.title])).toEqual([["a", "New"], ["b", "Tint"]]);
  });

  test("a deal is announced, opened and closed on its card", () => {
    const announced = after(welcomed, { kind: "deal_announced", deal_id: "d1", opens_at_ms: 77, draw: null });
    expect(dealOf(announced, "d1")?.deal).toMatchObject({ status: "announced", opens_at_ms: 77 });
    const open = after(announced, { kind: "deal_opened", deal_id: "d1", closes_at_ms: 99, draw: null });
    expect(dealOf(open, "d1")?.deal).toMatchObject({ status: "open", closes_at_ms: 99 });
    expect(dealOf(after(open, { kind: "deal_closed", deal_id: "d1", reason: "pulled", pulled: "cancel" }), "d1")?.deal).toMatchObject({
      status: "closed",
      pulled: "cancel",
    });
  });

  test("a drawn deal is told its window with its opening, and its seed with the draw", () => {
    const draw = { window_seconds: 6, commitment: "c", draws_at_ms: 6000, drawn_at_ms: null, entrants: 0, seed: "", root: "", again: 0 };
    const open = after(welcomed, { kind: "deal_opened", deal_id: "d1", closes_at_ms: null, draw });
    expect(dealOf(open, "d1")?.deal.draw).toEqual(draw);
    const drawn = { ...draw, drawn_at_ms: 6001, entrants: 3, seed: "s", root: "r" };
    expect(dealOf(after(open, { kind: "deal_drawn", deal_id: "d1", draw: drawn }), "d1")?.deal).toMatchObject({ status: "open", draw: drawn });
    const again = { ...drawn, drawn_at_ms: null, entrants: 0, seed: "", root: "", draws_at_ms: 99, again: 1 };
    expect(dealOf(after(open, { kind: "draw_reopened", deal_id: "d1", draw: again }), "d1")?.deal).toMatchObject({ status: "open", draw: again });
  });

  test("a hidden line leaves the talk and the pins", () => {
    const pinned = after({ ...welcomed, talk: [aLine("x"), aLine("y")] }, { kind: "line_pinned", line: aLine("x") });
    const hidden = after(pinned, { kind: "line_hidden", line_id: "x", copies: [] });
    expect(hidden.talk.map((line) => line.line_id)).toEqual(["y"]);
    expect(hidden.pinned).toEqual([]);
  });

  test("promises gather on their card, questions change in place, rules and slate are taken over", () => {
    let state = after(welcomed, { kind: "promise_made", card_id: "a", text: "mini" });
    state = after(state, { kind: "promise_made", card_id: "a", text: "gift" });
    expect(state.promises["a"]).toEqual(["mini", "gift"]);
    const question = { question_id: "q", name: "A", text: "?", votes: 1, status: "queued" as const, answer: "" };
    state = after(after(state, { kind: "question_changed", question }), { kind: "question_changed", question: { ...question, votes: 5 } });
    expect(state.questions.map((one) => one.votes)).toEqual([5]);
    expect(after(state, { kind: "room_rules", slow_seconds: 10, members_only: true })).toMatchObject({ slowSeconds: 10, membersOnly: true });
  });

  test("the words of a slate stay with it, and another slate begins without", () => {
    const by = (number: number, who: "host" | "camera", more = {}): ShowFacts =>
      aShow({
        status: "interrupted",
        interruption: { number, by: who, began_at_ms: 1, ended_at_ms: null, waived: false, lengthened_ms: 0 },
        ...more,
      });
    const changed = (now: RoomState, show: ShowFacts) => after(now, { kind: "show_changed", show, reason: "any" });
    const begun = changed(welcomed, by(1, "host"));
    expect(begun.note).toBe("");
    const slate = after(begun, { kind: "note", text: "phone call" });
    expect(changed(slate, by(1, "host", { title: "Another title" })).note).toBe("phone call");
    expect(changed(slate, aShow()).note).toBe("");
    expect(changed(slate, by(2, "host")).note).toBe("");
    expect(changed(after(changed(welcomed, by(1, "camera")), { kind: "note", text: "x" }), by(1, "host")).note).toBe("");
  });

  test("lengthened reservations change nothing of the room: each holder hears her own", () => {
    expect(after(welcomed, { kind: "holds_lengthened", number: 1, break_ms: 5000 }).holds).toBe(welcomed.holds);
  });
});

describe("a picture that lags", () => {
  const shown = { t: "state" as const, epoch: "e", events: [{ offset: 1, at_ms: 5000, event: { kind: "card_shown" as const, card: aCard({ card_id: "b" }) } }] };

  test("a card waits for its picture; its deals can be had at once", () => {
    const waiting = fold(welcomed, shown, true);
    expect(waiting.onAir).toBe("");
    expect(cardById(waiting, "b")).not.toBeNull();
    expect(release(waiting, 4000, 4000)).toBe(waiting);
    expect(release(waiting, 4950, 4950).onAir).toBe("b");
  });

  const soon = { ...aCard({ card_id: "b" }), deals: [aDeal({ deal_id: "d2", status: "draft" })] };
  const counting = (opensAtMs: number) => {
    const shownB = fold(welcomed, { t: "state", epoch: "e", events: [{ offset: 1, at_ms: 5000, event: { kind: "card_shown", card: soon } }] }, true);
    return fold(shownB, { t: "state", epoch: "e", events: [{ offset: 2, at_ms: 5000, event: { kind: "deal_announced", deal_id: "d2", opens_at_ms: opensAtMs, draw: null } }] }, true);
  };

  test("a card that counts down is seen five seconds before it opens, however late her picture is", () => {
    const state = counting(15_000);
    expect(release(state, 3000, 15_000 - COUNTDOWN_SEEN_MS - 1)).toBe(state);
    expect(release(state, 3000, 15_000 - COUNTDOWN_SEEN_MS).onAir).toBe("b");
    expect(release(state, 5000, 5000).onAir).toBe("b"); // and with its picture, where that comes first
  });

  test("a card that opened without a countdown comes with its picture", () => {
    const opened = fold(fold(welcomed, { t: "state", epoch: "e", events: [{ offset: 1, at_ms: 5000, event: { kind: "card_shown", card: soon } }] }, true), { t: "state", epoch: "e", events: [{ offset: 2, at_ms: 5000, event: { kind: "deal_opened", deal_id: "d2", closes_at_ms: null, draw: null } }] }, true);
    expect(release(opened, 3000, 9000).onAir).toBe("");
    expect(release(opened, 5000, 9000).onAir).toBe("b");
  });

  test("a card put there again, whose deal has opened before, comes with its picture too", () => {
    const open = { ...aCard({ card_id: "b" }), deals: [aDeal({ deal_id: "d2", status: "open", opens_at_ms: 4999 })] };
    const again = fold(welcomed, { t: "state", epoch: "e", events: [{ offset: 1, at_ms: 5000, event: { kind: "card_shown", card: open } }] }, true);
    expect(release(again, 3000, 9000)).toBe(again);
    expect(release(again, 5000, 9000).onAir).toBe("b");
  });

  test("what stood on the picture before a card that came early does not take its place", () => {
    const first = fold(welcomed, { t: "state", epoch: "e", events: [{ offset: 1, at_ms: 4000, event: { kind: "card_shown", card: aCard({ card_id: "c" }) } }, { offset: 2, at_ms: 4500, event: { kind: "note", text: "later" } }] }, true);
    const both = fold(first, { t: "state", epoch: "e", events: [{ offset: 3, at_ms: 5000, event: { kind: "card_shown", card: soon } }, { offset: 4, at_ms: 5000, event: { kind: "deal_announced", deal_id: "d2", opens_at_ms: 9000, draw: null } }] }, true);
    const early = release(both, 1000, 5000);
    expect([early.onAir, early.note, early.later.length]).toEqual(["b", "", 1]);
    expect(release(early, 5000, 6000)).toMatchObject({ onAir: "b", note: "later", later: [] });
  });

  test("a price that changed while the card waited is not turned back", () => {
    const waiting = fold(welcomed, shown, true);
    const cheaper = after(waiting, { kind: "card_listed", card: aCard({ card_id: "b", title: "Cheaper" }) });
    expect(cardById(release(cheaper, 6000, 6000), "b")?.title).toBe("Cheaper");
  });

  test("stock, openings and closings never wait", () => {
    const closed = fold(welcomed, { t: "state", epoch: "e", events: [{ offset: 1, at_ms: 9e9, event: { kind: "deal_closed", deal_id: "d1", reason: "host", pulled: "" } }] }, true);
    expect(dealOf(closed, "d1")?.deal.status).toBe("closed");
  });
});

describe("captions", () => {
  const said = (offset: number, saidAtMs: number, text: string, atMs = 9000) => ({ offset, at_ms: atMs, event: { kind: "caption_said" as const, caption: { caption_id: text, said_at_ms: saidAtMs, text } } });
  const hidden = (offset: number, id: string) => ({ offset, at_ms: 9500, event: { kind: "caption_hidden" as const, caption_id: id } });
  const heard = (state: RoomState, ...events: Stamped[]): RoomState => fold(state, { t: "state", epoch: "e", events }, true);
  const texts = (state: RoomState): string[] => state.captions.map((caption) => caption.text);

  test("come with the picture of the moment at which they were said, not with that of their writing", () => {
    const state = heard(welcomed, said(1, 6000, "good"), said(2, 8000, "evening"));
    expect(texts(release(state, 5800, 9000))).toEqual([]);
    expect(texts(release(state, 6000, 9000))).toEqual(["good"]);
    expect(texts(release(state, 8000, 9000))).toEqual(["good", "evening"]);
  });

  test("that a moderator took away are gone, and never come where their picture had not come yet", () => {
    const state = release(heard(welcomed, said(1, 6000, "wrong"), said(2, 8000, "rude")), 6000, 9000);
    const without = heard(state, hidden(3, "wrong"), hidden(4, "rude"));
    expect(texts(without)).toEqual([]);
    expect(texts(release(without, 9000, 9000))).toEqual([]);
  });

  test("stand in the order in which they were said, and no more are kept than are of use", () => {
    const many = Array.from({ length: CAPTIONS_KEPT_MAX + 5 }, (_, place) => said(place + 1, 1000 + place, `c${place}`));
    const state = release(heard(welcomed, ...many, said(99, 1500, "late")), 99_000, 99_000);
    expect(state.captions).toHaveLength(CAPTIONS_KEPT_MAX);
    expect(texts(state).at(-1)).toBe("late");
  });
});

describe("levels, own and talk", () => {
  test("an older version of the levels is stale", () => {
    const now = fold(welcomed, { t: "levels", version: 5, deals: { d1: [3, 0, 0, 0, 0] }, viewers: 7, hearts: null });
    expect(fold(now, { t: "levels", version: 4, deals: { d1: [9, 0, 0, 0, 0] }, viewers: 1, hearts: 1 })).toBe(now);
    expect(numbersOf(now, aDeal())).toEqual({ available: 3, held: 0, paying: 0, sold: 0, waiting: 0 });
    expect(now.viewers).toBe(7);
  });

  test("before the first level all of the quota is available", () => {
    expect(numbersOf(EMPTY, aDeal({ quota: 12 })).available).toBe(12);
  });

  test("holds that are over are kept and no longer live", () => {
    const held = fold(welcomed, { t: "answer", rid: "r1", hold: aHold({ rid: "r1", ticket: 2 }) });
    const both = fold(held, { t: "own", hold: aHold({ rid: "r0", ticket: 1, state: "waiting" }), order: null, note: "", private: null });
    expect(liveHolds(both).map((hold) => hold.rid)).toEqual(["r0", "r1"]);
    const lapsed = fold(both, { t: "own", hold: aHold({ rid: "r1", state: "expired" }), order: null, note: "", private: null });
    expect(liveHolds(lapsed).map((hold) => hold.rid)).toEqual(["r0"]);
    expect(lapsed.holds["r1"]?.state).toBe("expired");
  });

  test("a line is shown once, and no more lines are kept than the page can carry", () => {
    const many = Array.from({ length: LINES_KEPT_MAX + 20 }, (_, index) => aLine(`l${index}`));
    const state = fold(welcomed, { t: "talk", lines: many, shed: 2 });
    expect(state.talk).toHaveLength(LINES_KEPT_MAX);
    const again = fold(state, { t: "said", cid: "c", shown: true, line: aLine("l219"), again_ms: null });
    expect(again.talk).toHaveLength(LINES_KEPT_MAX);
    expect(again.talk.at(-1)?.line_id).toBe("l219");
  });

  test("her own line held back by a moderator does not enter the talk", () => {
    expect(fold(welcomed, { t: "said", cid: "c", shown: false, line: aLine("h"), again_ms: null }).talk).toEqual([]);
  });
});

describe("a hold's signed token", () => {
  test("stays when later news of the hold do not repeat it, and never crosses to another hold", () => {
    const held = fold(welcomed, { t: "answer", rid: "mine", hold: aHold({ rid: "mine", token: "signed" }) });
    const paying = fold(held, { t: "own", hold: aHold({ rid: "mine", state: "paying", token: "" }), order: null, note: "", private: null });
    const other = fold(paying, { t: "own", hold: aHold({ rid: "other", token: "" }), order: null, note: "", private: null });

    expect(paying.holds["mine"]).toMatchObject({ state: "paying", token: "signed" });
    expect(other.holds["other"]?.token).toBe("");
  });
});

describe("moderated talk", () => {
  const talking = { ...welcomed, talk: [aLine("a"), aLine("b"), aLine("c")] };

  test("a hidden line goes with all its copies, from the pins too", () => {
    const state = after({ ...talking, pinned: [aLine("b")] }, { kind: "line_hidden", line_id: "a", copies: ["b"] });
    expect([state.talk.map((line) => line.line_id), state.pinned]).toEqual([["c"], []]);
  });

  test("a line that is shown again stands where it stood, once", () => {
    const times = talking.talk.map((line, at) => ({ ...line, at_ms: at }));
    const hidden = after({ ...talking, talk: times }, { kind: "line_hidden", line_id: "b", copies: [] });
    const again = after(hidden, { kind: "line_restored", line: times[1]! });
    expect(again.talk.map((line) => line.line_id)).toEqual(["a", "b", "c"]);
    expect(after(again, { kind: "line_restored", line: times[1]! }).talk.length).toBe(3);
  });

  test("a question that was dropped is seen no more", () => {
    const question = { question_id: "q", name: "A", text: "?", votes: 0, status: "queued" as const, answer: "" };
    const asked = after(welcomed, { kind: "question_changed", question });
    expect(after(asked, { kind: "question_changed", question: { ...question, status: "dropped" } }).questions).toEqual([]);
  });

  test("who may write comes with the snapshot and with the rules", () => {
    expect(fold(EMPTY, aWelcome({ snapshot: aSnapshot({ members_only: true }) })).membersOnly).toBe(true);
    expect(after(welcomed, { kind: "room_rules", slow_seconds: 5, members_only: true }).membersOnly).toBe(true);
  });

  test("missed talk is marked behind the last line that was heard, or in front of a new beginning", () => {
    expect(fold(talking, aWelcome({ recovered: true, missed_talk: true })).talkGap).toBe("c");
    expect(fold(talking, aWelcome({ recovered: true })).talkGap).toBeNull();
    expect(fold(talking, aWelcome({ missed_talk: true, snapshot: aSnapshot() })).talkGap).toBe("");
  });

  test("her private questions are kept by their id, also over a new snapshot", () => {
    const question = {
      question_id: "p", show_id: "s", at_ms: 1, name: "A", advisor_name: "Mei", text: "?", answer: "", answered_at_ms: null,
    };
    const asked = fold(welcomed, { t: "own", hold: null, order: null, note: "", private: question });
    const answered = fold(asked, { t: "own", hold: null, order: null, note: "", private: { ...question, answer: "yes" } });
    expect(answered.privates.map((one) => one.answer)).toEqual(["yes"]);
    expect(fold(answered, aWelcome({ snapshot: aSnapshot() })).privates.length).toBe(1);
  });
});

describe("news of an order", () => {
  const told = (version: number, status: OrderFacts["status"]) =>
    ({ t: "own", hold: null, order: anOrder({ version, status }), note: "", private: null }) as const;

  test("that comes late changes nothing, whichever way it came", () => {
    const confirmed = fold(fold(welcomed, told(2, "paying")), told(3, "confirmed"));
    expect(fold(confirmed, told(2, "paying"))).toEqual(confirmed);
    expect(fold(confirmed, told(2, "paying")).orders).toBe(confirmed.orders);
    const back = fold(confirmed, aWelcome({ recovered: true, orders: [anOrder({ version: 2, status: "paying" })] }));
    expect(back.orders["or_1"]?.status).toBe("confirmed");
  });

  test("of the same version or a later one is taken: the same may be told with more", () => {
    const paying = fold(welcomed, told(2, "paying"));
    expect(fold(paying, told(2, "declined")).orders["or_1"]?.status).toBe("declined");
    expect(fold(paying, told(4, "refunded")).orders["or_1"]?.status).toBe("refunded");
  });
});
