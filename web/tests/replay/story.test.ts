import { describe, expect, test } from "vitest";
import { placeIn } from "../../src/replay/player";
import { Story, stretchAt, Talk } from "../../src/replay/story";
import type { CardFacts, Line, Question, Stamped } from "../../src/shared/protocol";
import { placeText } from "../../src/shared/time";

const card = (id: string, priceMinor = 1990): CardFacts =>
  ({ card_id: id, kind: "deal", title: id, line: "", product_handle: id, image: "", deals: [{ deal_id: `d-${id}`, price_minor: priceMinor }], bundle_minor: null, code: "" }) as unknown as CardFacts;
const line = (atMs: number): Line => ({ line_id: `l${atMs}`, at_ms: atMs, name: "Ana", text: "hm", role: "viewer", kind: "chat", simulated: false });
const events: Stamped[] = [
  { offset: 1, at_ms: 1000, event: { kind: "card_shown", card: card("a") } },
  { offset: 2, at_ms: 2000, event: { kind: "card_listed", card: card("a", 990) } },
  { offset: 3, at_ms: 3000, event: { kind: "card_shown", card: card("b") } },
  { offset: 4, at_ms: 4000, event: { kind: "card_hidden", card_id: "b" } },
];
const priceOf = (story: Story, ms: number): number | undefined => story.at(ms).cards[0]?.deals[0]?.price_minor;

describe("a story at a moment", () => {
  test("is what the room knew then, also after going back", () => {
    const story = new Story(events);
    for (const [ms, onAir] of [[0, ""], [1500, "a"], [3500, "b"], [9000, ""], [1500, "a"], [0, ""], [3000, "b"]] as const)
      expect([ms, story.at(ms).onAir]).toEqual([ms, onAir]);
  });

  test("has the price of that moment", () => {
    const story = new Story(events);
    expect([priceOf(story, 1500), priceOf(story, 2500), priceOf(story, 1500)]).toEqual([1990, 990, 1990]);
  });

  test("of a long evening goes on with each page that comes", () => {
    const story = new Story(events.slice(0, 2));
    expect([story.at(3500).onAir, story.end().onAir]).toEqual(["a", "a"]);
    story.add(events.slice(2, 3));
    expect([story.at(3500).onAir, story.at(1500).onAir, story.end().onAir]).toEqual(["b", "a", "b"]);
    story.add(events.slice(3));
    expect([story.at(9000).onAir, story.end().onAir]).toEqual(["", ""]);
  });
});

describe("questions", () => {
  const asked = (id: string, atMs: number, status: Question["status"], answer = ""): Stamped => ({
    offset: atMs, at_ms: atMs, event: { kind: "question_changed", question: { question_id: id, name: "Ana", text: id, votes: 1, status, answer } },
  });
  const story = new Story([
    asked("early", 1000, "queued"), asked("late", 2000, "queued"), asked("rude", 2500, "queued"), asked("late", 3000, "answering"),
    asked("rude", 3500, "dropped"), asked("late", 4000, "answered", "Yes"), asked("early", 5000, "answering"),
  ]);

  test("stand at the moment they were answered, else asked, in that order; what was dropped does not", () => {
    expect(story.questions().map(({ question, askedMs, answeredMs }) => [question.text, question.answer, askedMs, answeredMs])).toEqual([
      ["late", "Yes", 2000, 3000],
      ["early", "", 1000, 5000],
    ]);
    expect(new Story([asked("one", 9, "queued")]).questions()[0]).toMatchObject({ askedMs: 9, answeredMs: null });
  });

  test("that went back to the queue are not answered", () => {
    const back = new Story([asked("one", 1, "answering"), asked("one", 2, "queued"), asked("two", 3, "answering")]);
    expect(back.questions().map(({ answeredMs }) => answeredMs)).toEqual([null, 3]);
  });
});

test.each([
  [1_000, false, "going"], // the picture is still elsewhere
  [90_000, false, "going"],
  [18_000, true, "on"], // the keyframe before
  [29_900, true, "on"],
  [30_100, true, "over"],
  [55_000, true, "left"], // she went on by herself
  [5_000, true, "left"],
] as const)("of a stretch from 20 to 30 s, %i ms (begun: %s) is %s", (ms, begun, is) => {
  expect(stretchAt({ fromMs: 20_000, toMs: 30_000, begun }, ms)).toBe(is);
});

describe("talk", () => {
  test("of a loud minute comes in several answers, and nothing of it twice or not at all", async () => {
    const said = [1, 2, 2, 2, 3, 4, 5].map((atMs, place) => ({ ...line(atMs), line_id: `l${place}` }));
    const froms: number[] = [];
    const talk = new Talk(async (from, to) => {
      if (from < 60_000) froms.push(from);
      const all = said.filter((one) => one.at_ms >= from && one.at_ms < to);
      return { lines: all.slice(0, 4), more: all.length > 4 };
    }, () => undefined);
    talk.upTo(10);
    await new Promise((done) => setTimeout(done));
    expect(talk.upTo(10).map((one) => one.line_id)).toEqual(said.map((one) => one.line_id));
    expect(froms.filter((from) => from >= 0)).toEqual([0, 2, 3]);
  });

  test("comes a minute at a time, shows only what was said by then, and asks once", async () => {
    const asked: number[] = [];
    let told = 0;
    const talk = new Talk(async (from) => (asked.push(from), { lines: [line(from + 10_000), line(from + 50_000)], more: false }), () => (told += 1));
    expect(talk.upTo(90_000)).toEqual([]);
    await Promise.resolve();
    await Promise.resolve();
    expect(talk.upTo(90_000).map((one) => one.at_ms)).toEqual([10_000, 50_000, 70_000]);
    expect(asked).toEqual([0, 60_000, 120_000]);
    expect(told).toBe(3);
  });

  test("that could not be fetched is asked for again after a while, not at once", async () => {
    let now = 0;
    let asks = 0;
    const talk = new Talk(async () => (asks++, Promise.reject(new Error())), () => undefined, () => now);
    talk.upTo(0);
    await new Promise((done) => setTimeout(done));
    talk.upTo(0);
    expect(asks).toBe(3);
    now = 6_000;
    talk.upTo(0);
    expect(asks).toBe(6);
  });
});

describe("a programme time in a recording with a gap", () => {
  const pieces = [
    { start: 0, duration: 6, programDateTime: 100_000 },
    { start: 6, duration: 4, programDateTime: 106_000 },
    { start: 10, duration: 6, programDateTime: 150_000 },
  ];

  test.each([
    [100_000, 0],
    [108_500, 8.5],
    [130_000, 10], // nothing was filmed then: the next that was
    [152_000, 12],
    [90_000, 0],
    [999_000, 15.5],
  ])("%i lies at %f s", (ms, place) => expect(placeIn(pieces, ms)).toBe(place));

  test("is nowhere before the recording is known", () => expect(placeIn([], 1)).toBeNull());
});

test.each([
  [0, "0:00"],
  [65_000, "1:05"],
  [3_729_000, "1:02:09"],
  [-5, "0:00"],
])("%i ms reads %s", (ms, text) => expect(placeText(ms)).toBe(text));
